"""How an answer of the service can fail to come: three ways, each told apart for its caller."""

from exo_supervisor.client.json_object import fields, read_object
from exo_supervisor.errors import SupervisorError

_BROKE_OFF = "the service's answer broke off"


class AnswerError(SupervisorError):
    """No whole answer came; `code` is the service's word for it, or ours, `why` the evidence."""

    def __init__(self, message: str, why: str, code: str) -> None:
        super().__init__(f"{message}: {why}" if why else message)
        self.message, self.why, self.code = message, why, code


class NoAnswerError(AnswerError):
    """Nobody answered in HTTP."""

    def __init__(self, why: str) -> None:
        super().__init__("the service did not answer", why, "unreachable")


class CutError(AnswerError):
    """An answer that had begun broke off, or has no end."""

    def __init__(self, why: str, message: str = _BROKE_OFF) -> None:
        super().__init__(message, why, "broken_off")


class RefusedError(AnswerError):
    """The service answered with an error, whose JSON is `body`, to the request of this id."""

    def __init__(
        self, status: int, body: bytes, retry_after: str = "", request_id: str = ""
    ) -> None:
        error = fields(read_object(body).get("error"))
        said, code = error.get("message"), error.get("code")
        super().__init__(said if isinstance(said, str) else "", "", str(code) if code else "")
        self.status, self.body = status, body
        self.retry_after, self.request_id = retry_after, request_id
