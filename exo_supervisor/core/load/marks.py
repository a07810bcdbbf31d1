"""What is remembered of a model at one target for a while: busy, not there, what it does not take.

Keyed by (target, model), since providers limit, retire and restrict models one by one. Clients
choose the ids of a provider's models, so every table has a bound and drops its oldest row.

- `BusyMarks`: it asked to be left alone. Until the instant that it named, or one that doubles;
  content of an attempt that began since lifts it. By key, since most providers count by keys.
- `Absences`: it has no such model. For ABSENT seconds, or until its list names the model.
- `Quirks`: it does not take a field, or does not go on with an answer. For QUIRK seconds.
- `Declines`: it declined a request for its own reasons. Counted, until a request is served;
  DECLINES different ones in a row count as a failure of the model there.

But for that last, none is a breaker's business: who is busy, or lacks a model, is well.
"""

from msgspec import Struct

from exo_supervisor.core.bounded import Bounded
from exo_supervisor.core.names import ModelId, Target

Pair = tuple[Target, ModelId]
"""A model at one target."""
Slot = tuple[Target, ModelId, int]
"""A model at one target by one of its keys, the first of which is 0, as where there is none."""

MAX_ROWS = 8192
"""Rows of each table, at most."""

BUSY_FIRST = 1.0
BUSY_MAX = 30.0
"""Seconds for which a busy target that names no time is left alone: first, doubling, at most."""
FOLLOW = 1.0
"""Seconds over which those who waited follow the one that went first."""
STREAK = 60.0
"""Seconds after its end for which a busy mark is kept, so that a next one can be longer."""
ABSENT = 300.0
"""Seconds for which a model that a provider says it has not is not asked for there."""
_PATHS = frozenset({"embeddings", "completions"})
"""Demands that have a path of their own at a provider."""
QUIRK = 300.0
"""Seconds for which what a model did not take is left out: what stood beside it may be to blame."""
DECLINES = 3
"""Different requests in a row that a provider declines before it is left alone with that model."""


STREAM, PREFILL, THINKING = "stream", "prefill", "thinking"
"""To be asked for a stream; to go on with a last message of the assistant; thoughts of earlier
turns that another provider has signed."""


class Busy(Struct):
    """A target asked to be left alone until an instant, `streak` times in a row.

    `at` is when it said so last, or was tried although it had. `led` is when somebody went first
    after its time was up.
    """

    until: float
    streak: int
    at: float
    led: float | None = None


class BusyMarks:
    """Owns the marks of the busy; others may read whether there are any."""

    def __init__(self) -> None:
        self.marks = Bounded[Slot, Busy](MAX_ROWS)

    def get(self, slot: Slot) -> Busy | None:
        """Look a mark up, one whose time is up included."""
        return self.marks.get(slot)

    def free_at(self, slot: Slot, draw: float) -> float | None:
        """Tell when a request may start there; `draw`, in [0, 1), spreads those who follow.

        When the time is up, one goes first; the others follow a little later, each at a moment of
        its own, or all of them would meet the same refusal at once.
        """
        mark = self.marks.get(slot)
        if mark is None or mark.led is None:
            return None if mark is None else mark.until
        return max(mark.until, mark.led + FOLLOW * (0.1 + 0.9 * draw))

    def note(self, slot: Slot, wait: float | None, began: float, now: float) -> None:
        """Mark a target that answered `busy` to an attempt that `began` at an instant.

        The longest time named wins. Who had begun before the last refusal tells nothing of what
        came after it, so a burst that is refused at once counts as one.
        """
        mark = self.marks.get(slot)
        if mark is None:
            mark = self.marks[slot] = Busy(now, 1, now)
        elif began >= mark.at:
            mark.streak += 1
        if wait is None:
            wait = min(BUSY_MAX, BUSY_FIRST * 2.0 ** min(mark.streak - 1, 10))
        mark.until, mark.at, mark.led = max(mark.until, now + wait), now, None

    def start(self, slot: Slot, now: float) -> None:
        """Note that an attempt begins there: the first one after the time is up leads the rest."""
        mark = self.marks.get(slot)
        if mark is None:
            return
        if now < mark.until:
            mark.at = now
        elif mark.led is None:
            mark.led = now

    def lift(self, slot: Slot, began: float) -> None:
        """Take a mark away, because an attempt that began since it was made brought content."""
        mark = self.marks.get(slot)
        if mark is not None and began >= mark.at:
            del self.marks[slot]

    def forget(self, target: Target) -> None:
        """Drop the marks of a target that is gone."""
        for slot in [slot for slot in self.marks if slot[0] == target]:
            del self.marks[slot]

    def prune(self, now: float) -> None:
        """Drop the marks whose time was up long ago."""
        for slot in [slot for slot, mark in self.marks.items() if now >= mark.until + STREAK]:
            del self.marks[slot]


class Absences:
    """Owns which models are not to be had where they were asked for, by what was asked there.

    A provider without a path for embeddings says the same 404 there as of a model that is gone.
    """

    def __init__(self) -> None:
        self.until = Bounded[tuple[Pair, frozenset[str]], float](MAX_ROWS)

    def note(self, pair: Pair, demands: frozenset[str], now: float) -> None:
        """Mark a model as not there."""
        self.until.renew((pair, demands & _PATHS), now + ABSENT)

    def holds(self, pair: Pair, demands: frozenset[str], now: float) -> bool:
        """Say whether a model is marked as not there."""
        if not self.until:
            return False
        until = self.until.get((pair, demands & _PATHS))
        return until is not None and now < until

    def listed(self, target: Target, models: tuple[ModelId, ...]) -> None:
        """Lift the marks of the models that a target's list names."""
        if self.until:
            named = {(target, model) for model in models}
            for key in [key for key in self.until if key[0] in named]:
                del self.until[key]

    def prune(self, now: float) -> None:
        """Drop the marks that are over."""
        for key in [key for key, until in self.until.items() if now >= until]:
            del self.until[key]


class Quirks:
    """Owns what models at providers are known not to take: fields by their names, or PREFILL."""

    def __init__(self) -> None:
        self.known = Bounded[Pair, frozenset[str]](MAX_ROWS)
        self._until = Bounded[Pair, float](MAX_ROWS)

    def note(self, pair: Pair, what: str, now: float) -> None:
        """Remember that a model does not take something."""
        self.known.renew(pair, self.known.get(pair, frozenset[str]()) | {what})
        self._until.renew(pair, now + QUIRK)

    def has(self, pair: Pair, what: str) -> bool:
        """Say whether a model is known not to take something."""
        return what in self.known.get(pair, ())

    def prune(self, now: float) -> None:
        """Drop what is to be tried again."""
        for pair in [pair for pair, until in self._until.items() if now >= until]:
            del self._until[pair], self.known[pair]


class Declines:
    """Owns how many different requests in a row a model's provider declined."""

    def __init__(self) -> None:
        self.bodies = Bounded[Pair, tuple[int, ...]](MAX_ROWS)

    def note(self, pair: Pair, body: int) -> bool:
        """Count a declined request; True if it makes a failure of the provider's.

        `body` tells requests apart: one that a client sends again and again counts once.
        """
        bodies = self.bodies.get(pair, ())
        known = body in bodies
        bodies = bodies if known else (*bodies, body)[-DECLINES:]
        self.bodies.renew(pair, bodies)
        return not known and len(bodies) == DECLINES

    def forget(self, pair: Pair) -> None:
        """Begin anew, because a request was served."""
        self.bodies.pop(pair, None)
