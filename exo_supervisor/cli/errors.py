"""What a verb could not do, in the three parts that a person needs."""

from collections.abc import Sequence

from exo_supervisor.errors import SupervisorError

FAILED = 1
USAGE = 2
UNREACHABLE = 69
BAD_CONFIG = 78
_CODES = {FAILED: "failed", USAGE: "usage", UNREACHABLE: "unreachable", BAD_CONFIG: "bad_config"}


class VerbError(SupervisorError):
    """A verb failed: what happened, why (the evidence), and a line to try; and the exit code.

    `body` is the service's own `{"error": ...}` as it came, where the service gave one.
    """

    def __init__(
        self,
        message: str,
        *,
        why: Sequence[str] = (),
        hint: str = "",
        exit_code: int = FAILED,
        body: bytes = b"",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.why = tuple(why)
        self.hint = hint
        self.exit_code = exit_code
        self.body = body

    @property
    def code(self) -> str:
        return _CODES.get(self.exit_code, "failed")


def misuse(message: str, hint: str) -> VerbError:
    """Build the error for a command line that says something we do not understand."""
    return VerbError(message, hint=hint, exit_code=USAGE)
