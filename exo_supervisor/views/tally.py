"""How requests ended, counted by what their log lines say: there are as many ends as lines."""

from collections import deque
from collections.abc import Callable
from time import monotonic

from exo_supervisor.core.effects import Announce
from exo_supervisor.views.request_done import RequestDone, RequestLine, side_of

ENDS: tuple[str, ...] = ("exo", "cloud", "here", "refused", "failed", "abandoned")
"""Who served them: Exo, a provider, or this house without either; or why nobody did."""
_UNSERVED = {"failure": "failed", "abandoned": "abandoned"}
LAST_REQUESTS = 20
"""Requests that tell how it goes."""
LATELY_SECONDS = 600.0
"""Seconds after which a request does not tell it any more."""
_SPENT, _OURS = 402, 500
"""Statuses for which a client's request is not to blame: no money, and what we could not do."""


class Tally:
    """A sink that counts."""

    name = "tally"

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.counts: dict[str, int] = dict.fromkeys(ENDS, 0)
        self._clock = clock
        self._last = deque[tuple[float, RequestLine]](maxlen=LAST_REQUESTS)

    def done(self, record: RequestDone) -> None:
        """Count a request by its end."""
        line = record.line
        self.counts[_end_of(line)] += 1
        self._last.append((self._clock(), line))

    def unserved(self) -> tuple[int, int]:
        """Of the last requests, count those that got no answer for a cause of ours, and all."""
        since = self._clock() - LATELY_SECONDS
        late = [_is_unserved(line) for at, line in self._last if at >= since]
        return sum(late), len(late)

    def announce(self, said: Announce) -> None:
        """Count nothing of what the core announces."""


def _end_of(line: RequestLine) -> str:
    """Say how a request ended; what a target refused of it was wrong with it, as with us."""
    if line.outcome == "success":
        return side_of(line) or "here"
    return _UNSERVED.get(line.outcome, "refused")


def _is_unserved(line: RequestLine) -> bool:
    end = _end_of(line)
    ours = line.status >= _OURS or line.status == _SPENT
    return end == "failed" or (end == "refused" and ours)
