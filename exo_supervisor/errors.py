"""What is raised on purpose, one class per thing that a caller can do about it."""


class SupervisorError(Exception):
    """The root of all errors that this package raises on purpose."""


class RestartsSpentError(SupervisorError):
    """A service crashed too often to be restarted by its own supervisor."""


class StartError(SupervisorError):
    """The service cannot start on this machine as it is; the text says why and what to do."""


class NotOursError(SupervisorError):
    """The content of a file that we keep is not what we write; the text says what it is not."""


class BrokenMachineError(SupervisorError):
    """The state may be half-changed: nothing more can be decided, and the process has to end."""


def why_failed(fault: Exception) -> str:
    """Say why something failed: in the system's words, else in the fault's, which may have none."""
    words = fault.strerror if isinstance(fault, OSError) else None
    return (words or str(fault) or type(fault).__name__).lower()
