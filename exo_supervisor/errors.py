"""What is raised on purpose, one class per thing that a caller can do about it."""


class SupervisorError(Exception):
    """The root of all errors that this package raises on purpose."""


class BadRequestError(SupervisorError):
    """A client's request cannot be served as it stands; the client gets `status` and `code`.

    `retry_after`, in seconds, is for what mends itself; `allow` says which methods a path takes.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        param: str | None = None,
        status: int = 400,
        retry_after: float | None = None,
        allow: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.status = status
        self.retry_after = retry_after
        self.allow = allow


class RestartsSpentError(SupervisorError):
    """A service crashed too often to be restarted by its own supervisor."""


class StartError(SupervisorError):
    """The service cannot start on this machine as it is; the text says why and what to do."""


class BrokenMachineError(SupervisorError):
    """The state may be half-changed: nothing more can be decided, and the process has to end."""
