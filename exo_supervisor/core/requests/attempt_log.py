"""Says which target failed how while another one served; a storm of failures stays a few lines."""

import re

from msgspec import Struct

from exo_supervisor.core.bounded import Bounded
from exo_supervisor.core.effects import Announce
from exo_supervisor.core.events import AttemptSettled
from exo_supervisor.core.names import Target
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.requests.request import Attempt

SPAN = 10.0
MOST = 5
"""Lines of one target and fault in so many seconds; those left out are counted in the next one."""
MAX_KEYS = 1024
MAX_WORDS = 200
"""Characters of a target's words in a line."""

_QUOTE = re.compile(r"'[^']{41,}'|\"[^\"]{41,}\"|`[^`]{41,}`")
"""What a target quotes at such a length may be of the request."""


class _Span(Struct):
    began: float
    lines: int = 0
    left_out: int = 0


class AttemptLog:
    """Owns how many lines were written of each target and fault of late."""

    def __init__(self) -> None:
        self._spans = Bounded[tuple[Target, Fault], _Span](MAX_KEYS)

    def tell(self, attempt: Attempt, event: AttemptSettled, now: float) -> list[Announce]:
        """Make the line of one attempt that failed, unless there were many of its like."""
        candidate, failure = attempt.candidate, event.failure
        key = candidate.target, failure.fault
        span = self._spans.get(key)
        if span is None or now >= span.began + SPAN:
            left_out = 0 if span is None else span.left_out
            span = self._spans[key] = _Span(now, left_out=left_out)
        if span.lines >= MOST:
            span.left_out += 1
            return []
        span.lines += 1
        facts: dict[str, object] = {
            "request_id": event.request,
            "target": candidate.target,
            "model": candidate.model,
            "fault": failure.fault.value,
            "status": failure.status or None,
            "message": told_words(failure.loggable) or None,
        }
        if span.left_out:
            facts["left_out"], span.left_out = span.left_out, 0
        return [Announce(level="info", name="attempt_failed", facts=facts)]


def told_words(loggable: str) -> str:
    """Cut a target's words to what others than its client may read."""
    return _QUOTE.sub("…", loggable)[:MAX_WORDS]


def continued(attempt: Attempt, event: AttemptSettled, target: Target) -> Announce:
    """Say that a target goes on with an answer that broke off."""
    facts: dict[str, object] = {"request_id": event.request, "fault": event.failure.fault.value}
    facts |= {"from": attempt.candidate.target, "to": target}
    return Announce(level="warning", name="stream_continued", facts=facts)
