"""What is known of a request at its end, for its one line in the log."""

from collections.abc import Callable

import structlog
from msgspec import Struct

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("serve")


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


def log_done(record: RequestRecord) -> None:
    """Write a request's line."""
    log.info(
        "request_done",
        request_id=record.request_id,
        model=record.model,
        served_model=record.served_model,
        target=record.target,
        attempts=record.attempts,
        shift=record.shift,
        status=record.status,
        outcome=record.outcome,
        code=record.code,
        continued=record.continued,
        ttft=record.ttft and round(record.ttft, 6),
        duration=round(record.duration, 6),
        prompt_tokens=record.prompt_tokens,
        completion_tokens=record.completion_tokens,
        cost_microdollars=None,
        malformed=record.malformed,
        client_uid=record.client_uid,
    )
