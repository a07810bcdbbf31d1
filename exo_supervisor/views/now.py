"""The house from second to second, for those who listen: looked at once a second for all."""

from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec
from msgspec import Struct

from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import RequestId, Side
from exo_supervisor.views.booked import LedgerSeen
from exo_supervisor.views.day_book import DayBook, Today
from exo_supervisor.views.event_feed import EventFeed
from exo_supervisor.views.status import requests_of, rungs
from exo_supervisor.views.tally import Tally
from exo_supervisor.views.verdict import Verdict, down, load_of, verdict

PERIOD = 1.0
"""Seconds between two looks, at least."""
FEWEST_REQUESTS = 4
"""From so many on it can be told that half of them get no answer."""


class Now(Struct, frozen=True):
    """What changes from second to second."""

    verdict: Verdict
    running: int
    waiting: int
    tokens_per_second: dict[Side, float]
    nodes: dict[str, int]
    """How many stand on each rung."""
    down: int
    requests: dict[str, int]
    """How those ended that ended since the start."""
    today: Today
    last_shift: dict[str, object] | None


class Tokens(Struct, frozen=True):
    """What tells how many tokens came: of answers that are under way, and by side of all others."""

    coming: Callable[[RequestId], int] = lambda _: 0
    come: Callable[[Side], float] = lambda _: 0.0

    def by_side(self, machine: Machine) -> dict[Side, float]:
        """Return how many came since the start."""
        sums: dict[Side, float] = {"exo": self.come("exo"), "cloud": self.come("cloud")}
        for request, state in machine.dispatch.requests.items():
            if state.attempt is not None:
                sums[state.attempt.side] += self.coming(request)
        return sums


class Pulse:
    """Looks at the house; `text` is what was seen last, and `number` grows when that changes."""

    def __init__(
        self, machine: Machine, tally: Tally, book: DayBook, feed: EventFeed,
        wall: Callable[[], float], tokens: Tokens,
        booked: Callable[[], LedgerSeen | None] = lambda: None,
    ) -> None:  # fmt: skip
        self._machine, self._tally, self._book, self.feed = machine, tally, book, feed
        self._wall, self._tokens, self._booked = wall, tokens, booked
        self._looked_at = float("-inf")
        self._came: dict[Side, float] = {}
        self._facts: bytes = b""
        self.text, self.number = b"", 0

    def look(self, now: float) -> None:
        """Look, unless somebody has within the last second."""
        passed = now - self._looked_at
        if passed < PERIOD:
            return
        self._looked_at = now
        facts = msgspec.json.encode(self._seen(now, passed))
        if facts != self._facts:
            self._facts = facts
            self.number += 1
            self.text = self.feed.stamped("now", facts)

    def verdict(self, now: float) -> Verdict:
        """Say how the house stands."""
        return verdict(
            self._machine, now, self._book.today(), self._last_shift(), list(self._amiss())
        )

    def _amiss(self) -> Iterator[str]:
        unserved, last = self._tally.unserved()
        if last >= FEWEST_REQUESTS and unserved * 2 >= last:
            yield f"{unserved} of the last {last} requests got no answer"
        booked = self._booked()
        if booked is not None and booked.stopped is not None:
            yield "nothing is booked"

    def _seen(self, now: float, passed: float) -> Now:
        machine, shift = self._machine, self.feed.last_shift
        load, came, before = load_of(machine), self._tokens.by_side(machine), self._came
        self._came = came
        return Now(
            verdict=self.verdict(now),
            running=load.running,
            waiting=load.waiting,
            tokens_per_second={
                side: round(max(0.0, total - before.get(side, total)) / passed, 1)
                for side, total in came.items()
            },
            nodes=rungs(machine),
            down=down(machine),
            requests=requests_of(machine, self._tally.counts),
            today=self._book.today(),
            last_shift=None if shift is None else {"ts": shift.ts, **shift.facts},
        )

    def _last_shift(self) -> str | None:
        """Say when and why, by the clock that hangs in the house."""
        shift = self.feed.last_shift
        if shift is None:
            return None
        at, today = datetime.fromisoformat(shift.ts).astimezone(), self._wall()
        same = at.date() == datetime.fromtimestamp(today).astimezone().date()
        return f"{at:%H:%M}{'' if same else f' of {at:%Y-%m-%d}'} {shift.facts['reason']}"
