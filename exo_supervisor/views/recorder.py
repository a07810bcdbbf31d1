"""The flight recorder: how the last requests went, the last moves of traffic, the last trips.

A sink; nothing of a prompt or of an answer comes here. What it keeps is what it was handed, so that
a request costs it next to nothing; `recorded` makes rows of it when somebody asks.
"""

from collections import deque
from collections.abc import Callable

from msgspec import Struct, structs

from exo_supervisor.core.bounded import Bounded
from exo_supervisor.core.breakers.transitions import STATES
from exo_supervisor.core.choice import ONLY, Choice
from exo_supervisor.core.effects import Announce
from exo_supervisor.core.requests.refusals import SHORT, short
from exo_supervisor.views.request_done import RequestDone, RequestLine, side_of

MOST = 1000
"""Requests that are kept, the last ones."""
MOST_BYTES = 4 * 2**20
"""Bytes that they take, by a reckoning that is too high rather than too low."""
MOST_MOVES = 128
"""Moves of traffic that are kept, and as many trips of breakers."""
_ATTEMPT, _PASSED, _CHARACTER = 1024, 256, 4
"""Bytes that a line or an attempt with its names takes, but for what is counted by itself, a target
that was passed over, and one character of a text at most."""


class BreakerMoved(Struct, frozen=True, gc=False):
    """What a request did to a breaker."""

    at: float
    state: str
    target: str
    model: str | None
    reason: str


class Kept(Struct, frozen=True, gc=False):
    """One request that ended, and when, in seconds since 1970."""

    at: float
    line: RequestLine
    done: RequestDone
    breakers: tuple[BreakerMoved, ...]
    size: int

    @property
    def since(self) -> float:
        """When it came."""
        return self.at - self.line.duration


class Trip(Struct):
    """One breaker that opened: what it was told, until it closed."""

    at: float
    facts: dict[str, object]
    closed: float | None = None


class Move(Struct):
    """One move of a name's traffic, and what went there by it, until it moved again."""

    at: float
    facts: dict[str, object]
    until: float | None = None
    requests: int = 0
    cost: int = 0
    """Pico-units of money."""


class Recorder:
    """Owns what is kept; `row_of` says what a client's name for a model stands for."""

    name = "recorder"

    def __init__(
        self, clock: Callable[[], float], row_of: Callable[[str], str] = lambda name: name,
        most: int = MOST, most_bytes: int = MOST_BYTES,
    ) -> None:  # fmt: skip
        self._clock, self._row_of = clock, row_of
        self._most, self._most_bytes = most, most_bytes
        self.kept: dict[str, Kept] = {}
        self._oldest_first = deque[str]()
        """Their ids: a dict finds its first row past all that were taken out before it."""
        self.size = 0
        self.moves = deque[Move](maxlen=MOST_MOVES)
        self.trips = deque[Trip](maxlen=MOST_MOVES)
        self._last = Bounded[str, Move](MOST_MOVES)
        self._away = Bounded[str, Move](MOST_MOVES)
        """By name: its last move, and its last one away from where its traffic belongs."""
        self._breakers = Bounded[str, tuple[BreakerMoved, ...]](MOST)
        """What requests under way did to breakers."""

    def done(self, record: RequestDone) -> None:
        """Keep a request that is over, and let the oldest go for it."""
        line = record.line
        if line.model is not None and len(line.model) > SHORT:
            line = structs.replace(line, model=short(line.model))
        name = line.request_id
        breakers = self._breakers.pop(name, ()) if self._breakers else ()
        size = _size_of(record) + _PASSED * len(breakers)
        self.kept[name] = kept = Kept(self._clock(), line, record, breakers, size)
        self.size += size
        self._oldest_first.append(name)
        while self.size > self._most_bytes or len(self.kept) > self._most:
            self.size -= self.kept.pop(self._oldest_first.popleft()).size
        if line.shift is not None and self._away:
            self._count(kept)

    def announce(self, said: Announce) -> None:
        """Take in moves of traffic and of breakers."""
        if said.name == "traffic_shifted":
            self._moved(said.facts)
        elif (state := STATES.get(said.name)) is not None:
            self._breaker(state, said.facts)

    def starting(self, prefix: str) -> list[Kept]:
        """List the requests whose id begins so; one whose id it is comes alone."""
        if (found := self.kept.get(prefix)) is not None:
            return [found]
        return [kept for name, kept in self.kept.items() if name.startswith(prefix)]

    def _moved(self, facts: dict[str, object]) -> None:
        model, now = str(facts["model"]), self._clock()
        if (last := self._last.get(model)) is not None:
            last.until = now
        move = self._last[model] = Move(now, facts)
        self.moves.append(move)
        if facts["reason"] != "recovered":
            self._away[model] = move

    def _count(self, kept: Kept) -> None:
        """Count a request in that went where its name's traffic had moved."""
        line, tried = kept.line, kept.done.tried
        move = self._away.get(self._row_of(line.model or ""))
        if move is None or side_of(line) != move.facts["to"]:
            return
        if move.until is None or kept.since < move.until:
            move.requests += 1
            move.cost += sum(each.cost or 0 for each in tried)

    def _breaker(self, state: str, facts: dict[str, object]) -> None:
        now, model = self._clock(), facts["model"]
        named = str(facts["target"]), None if model is None else str(model)
        moved = BreakerMoved(now, state, *named, str(facts["reason"]))
        if (request := facts.get("request_id")) is not None:
            self._breakers[str(request)] = (*self._breakers.get(str(request), ()), moved)
        if state == "open":
            self.trips.append(Trip(now, facts))
        elif state == "closed":
            for trip in self.trips:
                if trip.closed is None and _key(trip.facts) == _key(facts):
                    trip.closed = now


def _key(facts: dict[str, object]) -> tuple[object, object]:
    return facts["target"], facts["model"]


def _size_of(record: RequestDone) -> int:
    """Reckon what keeping a request takes, from above."""
    size = _ATTEMPT if record.choice is None else _ATTEMPT + _told(record.choice)
    for each in record.tried:
        size += _ATTEMPT
        if each.served_model is not None and each.served_model != each.model:
            size += _CHARACTER * len(each.served_model)
        if each.message:
            size += _CHARACTER * len(each.message)
        if each.choice is not ONLY:
            size += _told(each.choice)
    return size


def _told(choice: Choice) -> int:
    return _PASSED * (1 + len(choice.passed) + len(choice.compared))
