"""One request on its way, and the attempts that it makes."""

from collections.abc import Iterator
from math import inf

from msgspec import Struct

from exo_supervisor.core.breakers.table import Failed, Key
from exo_supervisor.core.choice import ONLY, Awaited, Choice, Passed
from exo_supervisor.core.effects import Timers
from exo_supervisor.core.events import RequestArrived
from exo_supervisor.core.load.marks import PREFILL, Pair, Slot
from exo_supervisor.core.names import InstanceId, NodeId, Scope, Side, Target
from exo_supervisor.core.outcomes import VERDICTS, Fault, Next
from exo_supervisor.core.policy import ANY_TIMERS
from exo_supervisor.core.requests.candidate import Candidate, Permits
from exo_supervisor.core.requests.candidates import Block, Seen, candidates
from exo_supervisor.core.requests.catalog import Route, Tier
from exo_supervisor.core.tables import Tables

_SHIFTS = {Fault.BUSY: "busy", Fault.NOT_PLACED: "model_not_ready"}
"""Why a request went elsewhere after an attempt, where that attempt did not simply fail."""
Met = dict[Slot, tuple[Candidate, str]]
CRASHES = {Fault.SERVER_ERROR, Fault.ERROR_EVENT}
"""Alike: one engine tells of its crash in the head, another in a stream that has begun."""


class Attempt(Struct):
    """One request at one target."""

    number: int
    candidate: Candidate
    side: Side
    permits: Permits
    began: float
    choice: Choice
    timers: Timers = ANY_TIMERS
    index: int | None = None
    """The last event that its node had told of when it began."""
    copies: frozenset[InstanceId] = frozenset()
    """The copies of its model that stood when it began; any of them may have taken it."""
    ready_copies: frozenset[InstanceId] = frozenset()
    ring: frozenset[NodeId] = frozenset()
    """Who was in its node's ring when it began, where answers go around one."""
    node_id: str | None = None
    streamed: bool = True
    """It was asked to stream, and `usage` to tell its usage: both may be refused."""
    usage: bool = True
    without: frozenset[str] = frozenset()
    """Fields that it was asked without."""
    reserved: int = 0
    """What budgets hold for it."""
    content: bool = False
    owed: tuple[int, int] = (0, 0)
    """Failures at target and model that this attempt's first content wiped out."""


class HeldFailure(Struct, frozen=True):
    """A model's failure, booked only if another target answers: the request may be to blame."""

    scope: Scope
    fault: Fault
    model: tuple[Key, int]
    draw: float
    failed: Failed


class RequestState(Struct):
    """A request in the machine, from its arrival to its end."""

    event: RequestArrived
    route: Route
    tiers: tuple[Tier, ...]
    arrived: float
    seen: Seen
    forced: bool = False
    place: int = 0
    attempts: int = 0
    attempts_here: int = 0
    free_failover: bool = True
    once: Candidate | None = None
    retried: frozenset[Target] = frozenset()
    busy_tries: tuple[Slot, ...] = ()
    """Who was busy, as often as it was."""
    paid: bool = False
    """A retry that the budget has allowed already, before its wait."""
    anew: tuple[Candidate, Side] | None = None
    """Where to ask at once again, without what was refused."""
    left_out: frozenset[tuple[Pair, str]] = frozenset()
    """What of this very request a model does not take."""
    patience_until: float | None = None
    waiting_until: float | None = None
    pause_until: float = -inf
    first_look: bool = False
    resuming: bool = False
    """Its answer broke off in the middle, and another target goes on with it."""
    shift: str | None = None
    reasons: tuple[Block, ...] = ()
    narrowed: tuple[Passed, ...] = ()
    """Tiers of its route that are not open to it."""
    met: Met = {}
    """Whom it could not take, and why, since that was last told (see `passed_over`)."""
    empty: dict[int, Tier] = {}
    """Tiers in which nobody came into question, by their places."""
    waited: Awaited | None = None
    faults: tuple[tuple[Target, Fault], ...] = ()
    words: dict[Target, str] = {}
    """What targets said themselves of why they did not serve it, made safe."""
    held: tuple[HeldFailure, ...] = ()
    rejected: tuple[int, str] | None = None
    attempt: Attempt | None = None
    served: Attempt | None = None
    """What brought its whole answer, of which its client has yet to take the end."""

    def begin(
        self, candidate: Candidate, side: Side, permits: Permits, now: float, choice: Choice = ONLY
    ) -> Attempt:
        """Make the next attempt."""
        self.attempts += 1
        self.attempts_here += 1
        if self.shift is None and self.faults and candidate.target != self.faults[0][0]:
            self.shift = _SHIFTS.get(self.faults[0][1], "attempt_failed")
        self.attempt = Attempt(self.attempts, candidate, side, permits, now, choice)
        return self.attempt

    def start_over(self) -> None:
        """Begin again at the first tier; what failed for this request stays excluded."""
        self.place, self.attempts_here = 0, 0
        self.reasons = ()
        self.met.clear()
        self.empty.clear()
        self.shift = self.shift_by_route()

    def shift_by_route(self) -> str | None:
        """Tell the shift that the client itself asked for, if it did."""
        return "route" if self.forced and self.event.route != self.route.first else None

    def is_special(self) -> bool:
        """Say whether where it goes tells nothing of where traffic goes.

        So it is where the client narrowed the choice, or asked for what only some targets take.
        """
        narrowed = self.forced or self.event.local_only
        return narrowed or self.shift == "unsupported_field" or self.rejected is not None

    def may_continue(self, attempt: Attempt, fault: Fault) -> bool:
        """Say whether another target may go on with an answer that was cut off by a fault.

        Who was asked to go on and refused that has not refused the request.
        """
        if not self.route.continues:
            return False
        refused = self.resuming and not attempt.content and fault is Fault.REJECTED
        return refused or VERDICTS[fault].next is not Next.NOWHERE

    def is_poison(self) -> bool:
        """Say whether two targets that share no model have failed it alike: it may kill a third."""
        if not self.held:
            return False
        last = self.held[-1]
        elsewhere = (held.fault for held in self.held if held.scope != last.scope)
        return any(fault is last.fault or {fault, last.fault} == CRASHES for fault in elsewhere)

    def tiers_of(self, row: str) -> tuple[Tier, ...]:
        """List the tiers of one configured row among those that stand in for each other."""
        return tuple(tier for tier in self.tiers if tier.row == row)

    def resume(self, candidate: Candidate) -> None:
        """Have another target go on with an answer, and no other model than that of its row."""
        self.resuming, self.once = True, None
        self.seen.demands |= {PREFILL}
        row = next(
            tier.row
            for tier in self.tiers
            if tier.provider == candidate.provider and candidate.model in tier.models
        )
        self.place = sum(tier.row == row for tier in self.tiers[: self.place])
        self.tiers = self.tiers_of(row)

    def last_tier(self) -> bool:
        """Say whether no other tier is left."""
        return self.place + 1 >= len(self.tiers)


def candidates_of(
    state: RequestState, tier: Tier, tables: Tables, *, every: bool
) -> Iterator[Candidate]:
    """List a tier's candidates for a request; of many ready nodes only a sample, unless `every`."""
    stays, event = state.seen.local_only, state.event
    home = tables.affinity.home(event, tier.provider)
    at = None if home is None else home.target
    return candidates(tier, tables, event.draw, every=every, local_only=stays, home=at)
