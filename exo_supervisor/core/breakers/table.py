"""The table of breakers: one per target, one per model and scope; only the sick are kept."""

from collections.abc import Container, Iterator
from typing import Literal

from msgspec import Struct, structs

from exo_supervisor.core.bounded import Bounded
from exo_supervisor.core.breakers import automaton
from exo_supervisor.core.breakers.automaton import (
    Breaker,
    Closed,
    HalfOpen,
    Mark,
    Open,
    Reason,
    Rules,
)
from exo_supervisor.core.names import ModelId, Scope, Target

Key = tuple[Target | Scope, ModelId | None]
"""(target, None), or (scope, model)."""

Forced = Literal["open", "closed"]

MOST_FAILURES = 5
"""The last failures of a breaker that are told where it opens."""
MAX_ROWS = 8192
"""Rows at most: clients choose the model ids of a provider, and must not fill our memory."""

RAMP_STEP = 5.0
RAMP_STEPS = 3
"""A breaker that has closed lets 1, 2, then 4 attempts at a time through, each for this long."""

UNCOUNTED = -1
"""The permit of an attempt that passes by decree where the automaton rests: no epoch is its own."""


class Cell(Struct):
    """One breaker, what an operator decreed of it, and when and why it last changed."""

    breaker: Breaker
    since: float
    reason: Reason = Reason.NONE
    forced: Forced | None = None
    last: str = ""

    def state(self) -> Literal["closed", "open", "half_open"]:
        """Name the state that traffic meets."""
        if self.forced is not None:
            return self.forced
        match self.breaker:
            case Closed():
                return "closed"
            case Open():
                return "open"
            case HalfOpen():
                return "half_open"

    def rest_ends(self) -> float | None:
        """Tell when an open breaker may be probed; None if it is not merely resting."""
        if self.forced is not None or not isinstance(self.breaker, Open):
            return None
        return self.breaker.until


class Failed(Struct, frozen=True, gc=False):
    """One failure that counted at a breaker."""

    fault: str
    status: int
    request: str
    at: float


class Change(Struct, frozen=True):
    """A breaker moved from one state to another, of which the `failures` are the evidence."""

    key: Key
    was: str
    now: str
    cell: Cell
    failures: tuple[Failed, ...] = ()


class Ramp(Struct, frozen=True):
    """How many attempts at a time may pass one that has just recovered, and until when."""

    at_once: int
    until: float


class _Rows(Bounded[Key, Cell]):
    def drop_one(self) -> None:
        """Drop the oldest; one that is held only if all are."""
        free = (key for key, cell in self.items() if not cell.forced)
        del self[next(free, next(iter(self)))]


class Breakers:
    """Owns every breaker. One that never tripped and has no failure is a missing row, epoch 0."""

    def __init__(self, rules: Rules, most: int = MAX_ROWS) -> None:
        self.rules = rules
        self.rows = _Rows(most)
        self._failures = Bounded[Key, tuple[Failed, ...]](most)
        """Of who failed of late: a row does not outlive a success, after which they may count."""

    def __iter__(self) -> Iterator[tuple[Key, Cell]]:
        return iter(self.rows.items())

    def get(self, key: Key) -> Cell | None:
        """Look a row up; None is a healthy breaker."""
        return self.rows.get(key)

    def held_open(self, key: Key) -> bool:
        """Say whether an operator holds it open."""
        cell = self.rows.get(key)
        return cell is not None and cell.forced == "open"

    def is_closed(self, key: Key) -> bool:
        """Say whether traffic flows freely."""
        cell = self.rows.get(key)
        return cell is None or cell.state() == "closed"

    def may_admit(self, key: Key, now: float) -> bool:
        """Say whether one more attempt may pass."""
        cell = self.rows.get(key)
        if cell is None or cell.forced == "closed":
            return True
        return cell.forced is None and automaton.may_admit(cell.breaker, now)

    def rest_ends(self, key: Key) -> float | None:
        """Tell when an open breaker may be probed; None if it is not merely resting."""
        cell = self.rows.get(key)
        return None if cell is None else cell.rest_ends()

    def ramp(self, key: Key, now: float) -> Ramp | None:
        """Tell how slowly a breaker that has just closed starts; None: as many pass as come."""
        cell = self.rows.get(key)
        if cell is None or cell.forced is not None or not isinstance(cell.breaker, Closed):
            return None
        step = int((now - cell.since) / RAMP_STEP)
        if cell.breaker.epoch == 0 or step >= RAMP_STEPS:
            return None
        return Ramp(2**step, cell.since + (step + 1) * RAMP_STEP)

    def may_probe(self, key: Key) -> bool:
        """Say whether an attempt may pass before the rest is over: no probe is out already."""
        cell = self.rows.get(key)
        if cell is None:
            return True
        return cell.forced != "open" and not isinstance(cell.breaker, HalfOpen)

    def take(self, key: Key, now: float, *, early: bool = False) -> tuple[int, Change | None]:
        """Take the permit that `may_admit` (or, early, `may_probe`) has just promised."""
        cell = self.rows.get(key)
        if cell is None:
            return 0, None
        if cell.forced == "closed":
            return cell.breaker.epoch if isinstance(cell.breaker, Closed) else UNCOUNTED, None
        moved, permit = (
            automaton.probe(cell.breaker) if early else automaton.admit(cell.breaker, now)
        )
        if permit is None:
            raise AssertionError(f"no permit at {key}: ask may_admit first")
        return permit, _move(key, cell, moved, now)

    def settle(
        self, key: Key, permit: int, mark: Mark, now: float, jitter: float,
        *, failed: Failed | None = None, owed: int = 0,
    ) -> Change | None:  # fmt: skip
        """Record what the holder of a permit learnt."""
        cell = self.rows.get(key)
        if cell is None:
            if mark is not Mark.FAILURE:
                return None
            cell = self.rows[key] = Cell(Closed(), now)
        if mark is Mark.FAILURE and failed is not None and permit == cell.breaker.epoch:
            cell.last = failed.fault
            known = self._failures.get(key, ())
            self._failures.renew(key, (*known[1 - MOST_FAILURES :], failed))
        moved = automaton.settle(
            cell.breaker, permit, mark, now, rules=self.rules, jitter=jitter, owed=owed
        )
        change = _move(key, cell, moved, now)
        self._drop_if_well(key, cell)
        if change is not None and change.now == "open":
            return structs.replace(change, failures=self.last_failures(key))
        return change

    def last_failures(self, key: Key) -> tuple[Failed, ...]:
        """List the failures that opened a breaker last, as many as open one, the last one last."""
        return self._failures.get(key, ())[-self.rules.trip_after :]

    def failures(self, key: Key) -> int:
        """Tell how many failures in a row a closed breaker has counted."""
        cell = self.rows.get(key)
        return cell.breaker.failures if cell and isinstance(cell.breaker, Closed) else 0

    def hasten(self, key: Key, now: float) -> None:
        """End a target's rest early: a cheap check has seen it come back."""
        if (cell := self.rows.get(key)) is not None:
            cell.breaker = automaton.hasten(cell.breaker, now)

    def force(self, key: Key, forced: Forced | None, now: float) -> Change | None:
        """Do as the operator says; None returns to the automaton."""
        cell = self.rows.get(key)
        if cell is None:
            cell = self.rows[key] = Cell(Closed(), now)
        was = cell.state()
        cell.forced = forced
        self._drop_if_well(key, cell)
        if cell.state() == was:
            return None
        cell.since, cell.reason = now, Reason.OPERATOR
        return Change(key, was, cell.state(), cell)

    def copy(self, old: Scope, new: Scope) -> None:
        """Give the models of one scope their health in another; where both know, the worse."""
        for (where, model), cell in list(self.rows.items()):
            if where != old or model is None:
                continue
            there = self.rows.get((new, model))
            twin = Cell(
                automaton.rested(cell.breaker), cell.since, cell.reason, cell.forced, cell.last
            )
            if there is None:
                self.rows[new, model] = twin
            elif automaton.worse(there.breaker, twin.breaker) is not there.breaker:
                twin.forced = there.forced or cell.forced
                twin.breaker = automaton.in_place_of(there.breaker, twin.breaker)
                self.rows[new, model] = twin
            else:
                there.forced = there.forced or cell.forced

    def forget(self, where: Target | Scope, *, models: bool) -> None:
        """Drop the rows of a target, or of a scope's models, that is gone."""
        for rows in (self.rows, self._failures):
            for key in [k for k in rows if k[0] == where and (k[1] is not None) == models]:
                del rows[key]

    def prune(self, targets: Container[str], scopes: Container[str]) -> None:
        """Drop the rows of whoever is gone: an attempt can outlive its target and its cluster."""
        for rows in (self.rows, self._failures):
            for where, model in list(rows):
                if where not in (targets if model is None else scopes):
                    del rows[where, model]

    def _drop_if_well(self, key: Key, cell: Cell) -> None:
        if cell.breaker == Closed() and cell.forced is None:
            del self.rows[key]


def _move(key: Key, cell: Cell, moved: Breaker, now: float) -> Change | None:
    was = cell.state()
    cell.breaker = moved
    state = cell.state()
    if state == was:
        return None
    cell.since = now
    match moved:
        case Closed():
            cell.reason = Reason.NONE
        case Open():
            cell.reason = moved.reason
        case HalfOpen():
            cell.reason = Reason.PROBE_SENT
    return Change(key, was, state, cell)
