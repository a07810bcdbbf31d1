"""What is known of a request at its end, for its one line in the log."""

from collections.abc import Callable

from msgspec import Struct


class RequestRecord(Struct, gc=False):
    """One POST to a dispatch route; filled in as things happen. `began` is on the loop's clock."""

    request_id: str
    began: float
    client_uid: int | None = None
    model: str | None = None
    served_model: str | None = None
    target: str | None = None
    attempts: int = 0
    shift: str | None = None
    status: int = 0
    outcome: str = "refused"
    code: str | None = None
    continued: int = 0
    ttft: float | None = None
    duration: float = 0.0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    malformed: int = 0

    def abandon(self) -> None:
        """Note that the client left, unless it is known by now how the request ended."""
        if self.outcome == "refused":
            self.outcome = "abandoned"


Done = Callable[[RequestRecord], None]
"""Takes the record of a request that is over, exactly once."""
