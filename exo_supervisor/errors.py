"""What is raised on purpose, one class per thing that a caller can do about it."""


class SupervisorError(Exception):
    """The root of all errors that this package raises on purpose."""


class RestartsSpentError(SupervisorError):
    """A service crashed too often to be restarted by its own supervisor."""


class StartError(SupervisorError):
    """The service cannot start on this machine as it is; the text says why and what to do."""


class BrokenMachineError(SupervisorError):
    """The state may be half-changed: nothing more can be decided, and the process has to end."""
