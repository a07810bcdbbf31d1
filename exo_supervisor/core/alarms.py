"""When the machine wants to be asked again, and what for."""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Literal, Protocol

STALE = 64
"""Stale alarms of requests that are not worth a clean-up."""

Kind = Literal["request", "cluster", "reconciler", "look", "sweep"]
Alarm = tuple[float, Kind, str]


class Line(Protocol):
    """The requests that wait."""

    def __contains__(self, request: object, /) -> bool: ...
    def __len__(self) -> int: ...


class Alarms:
    """Owns the alarms, the soonest first.

    An alarm is never taken back: it goes off, and whoever it was for finds that it has nothing to
    do. So a request that waits for a busy target a thousand times would leave a thousand of them,
    which is why those of requests that wait no more are dropped before they outnumber the rest.
    """

    def __init__(self) -> None:
        self._heap: list[Alarm] = []

    def __len__(self) -> int:
        return len(self._heap)

    def first(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def set(self, when: float, kind: Kind, key: str = "") -> None:
        heappush(self._heap, (when, kind, key))

    def due(self, now: float) -> Iterator[tuple[Kind, str]]:
        """Take out those whose time has come, also those that are set meanwhile."""
        while self._heap and self._heap[0][0] <= now:
            _, kind, key = heappop(self._heap)
            yield kind, key

    def thin_out(self, waiting: Line, others: int) -> None:
        """Drop the alarms of requests that wait no more; `others` are set for other reasons."""
        if len(self._heap) > STALE + 2 * (len(waiting) + others):
            self._heap = [each for each in self._heap if each[1] != "request" or each[2] in waiting]
            heapify(self._heap)
