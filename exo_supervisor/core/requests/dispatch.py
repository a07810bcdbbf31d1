"""Requests: from the moment one arrives until its last permit is back.

Owns the requests. Each event of a request changes its state, is booked by `settlement`, and asks
`next_step` what to do next; what is decided there is begun, refused or parked here alone.
"""

from collections.abc import Callable

from msgspec import structs

from exo_supervisor.core.effects import Announce, Effect, Refuse
from exo_supervisor.core.events import (
    AttemptQuieted,
    AttemptSettled,
    ContentSeen,
    PlacementRead,
    RequestArrived,
    RequestEnded,
)
from exo_supervisor.core.fleet.nodes import Node
from exo_supervisor.core.load.marks import PREFILL
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.outcomes import VERDICTS, Failure, Fault, Next, Refusal
from exo_supervisor.core.requests.attempt_log import AttemptLog
from exo_supervisor.core.requests.budget import Budget
from exo_supervisor.core.requests.candidate import Candidate
from exo_supervisor.core.requests.candidates import Block, Seen, crowded
from exo_supervisor.core.requests.catalog import Catalog, Route, Tier
from exo_supervisor.core.requests.failed import Failed, failed
from exo_supervisor.core.requests.healthy import start_at_once
from exo_supervisor.core.requests.next_step import Start, Wait, next_step, served_at_home
from exo_supervisor.core.requests.queue import Waiting
from exo_supervisor.core.requests.refusals import (
    DEADLINE,
    EMBEDDINGS,
    MUST_STAY,
    NO_ROOM,
    advised,
    end_of,
    not_found,
    not_placed,
    over,
    short,
    unfit,
)
from exo_supervisor.core.requests.request import Attempt, RequestState
from exo_supervisor.core.requests.settlement import Settlement
from exo_supervisor.core.requests.shifts import Shifts
from exo_supervisor.core.requests.stall_check import StallCheck
from exo_supervisor.core.requests.timers import first_use, start_of
from exo_supervisor.core.tables import Tables

_SHIFTS = {Fault.BUSY: "busy", Fault.NOT_PLACED: "model_not_ready"}
"""Why a request went elsewhere after an attempt, where that attempt did not simply fail."""
_ABANDONED = frozenset({Fault.CLIENT_LEFT, Fault.DEADLINE})
"""Ends at which an answer that was cut is no failure; want of room for it is one of ours."""

Wake = Callable[[float, RequestId], None]


class Dispatch:
    """Owns every request in flight and everything that is remembered between requests."""

    def __init__(self, tables: Tables, catalog: Catalog, wake: Wake) -> None:
        self.requests: dict[RequestId, RequestState] = {}
        self.waiting = Waiting()
        self.last_failed: Failed | None = None
        self.looked = False
        self._tables = tables
        self._catalog = catalog
        self._wake = wake
        self._settlement = Settlement(tables)
        self._shifts = Shifts()
        self._log = AttemptLog()
        self._budget = Budget(tables.policy.budget)
        self._stall_check = StallCheck(tables, self.requests)

    def arrived(self, event: RequestArrived, now: float) -> list[Effect]:
        """Resolve a new request's model, and start it, make it wait, or refuse it."""
        route = self._catalog.lookup(event.model)
        if not isinstance(route, str):
            return self._launch(event, route, now)
        if not self.looked:  # nobody has had the time to name this model yet
            empty = Route(event.model, (), "exo", local_only=False)
            return self._park(RequestState(event=event, route=empty, tiers=(), arrived=now))
        name, ready = event.model, self._catalog.ready()
        if route == "card":
            refusal = not_placed(name, ready)
        else:
            refusal = not_found(name, *self._catalog.nearest(name), ready)
        refusal = advised(refusal, event.demands)
        return [Refuse(request=event.request, refusal=refusal)]

    def content(self, event: ContentSeen, now: float) -> list[Effect]:
        """Take in that an attempt brought its first content."""
        found = self._find(event.request, event.attempt)
        if found is None:
            return []
        state, attempt = found
        self._stall_check.forget(event.request)
        effects = self._settlement.content(state, attempt, event.ttft, now)
        provider = attempt.candidate.provider
        if event.head is not None and provider is not None and attempt.streamed:
            self._tables.heads.observe(provider, event.head)
        if state.is_special():
            return effects
        moved = self._shifts.answered(
            state.route.name,
            attempt.side,
            home=state.route.first,
            shift=state.shift,
            target=attempt.candidate.target,
            now=now,
        )
        return effects if moved is None else [*effects, moved]

    def quieted(self, event: AttemptQuieted, now: float) -> list[Effect]:
        """Ask the state about an attempt at a node that makes no progress."""
        found = self._find(event.request, event.attempt)
        if found is None or found[1].candidate.provider is not None:
            return []
        return self._stall_check.quieted(found[1], event, now)

    def state_read(self, event: PlacementRead, now: float) -> list[Effect]:
        """End the silent attempts at a node whose state does not vouch for them."""
        return self._stall_check.state_read(event, now)

    def died(self, node: Node) -> list[Effect]:
        """End what waits at a node that is dead for certain."""
        return self._stall_check.died(node)

    def settled(self, event: AttemptSettled, now: float) -> list[Effect]:
        """Book an attempt's end and decide what its request does next."""
        found = self._find(event.request, event.attempt)
        if found is None:
            return []
        state, attempt = found
        state.attempt = None
        self._stall_check.forget(event.request)
        effects = self._settlement.settle(state, attempt, event, now)
        effects += self._after(state, attempt, event, now)
        if self.waiting:
            effects += self._wake_next(attempt.candidate, now)
        return effects

    def ended(self, event: RequestEnded, now: float) -> list[Effect]:
        """Give everything back that a request still holds: its client left, or has taken it all."""
        state = self.requests.get(event.request)
        if state is None:
            return []
        if state.attempt is None:
            return self._close(state, now)
        settled = AttemptSettled(
            request=event.request,
            attempt=state.attempt.number,
            failure=Failure(Fault.CLIENT_LEFT),
            draw=0.0,  # nobody is to blame, so no rest begins
        )
        return self.settled(settled, now)

    def due(self, request: RequestId, now: float) -> list[Effect]:
        """Look at a waiting request again, because its time has come."""
        state = self.requests.get(request)
        if state is None or state.waiting_until is None or now < state.waiting_until:
            return []
        return self._resume(state, now)

    def wake_all(self, now: float) -> list[Effect]:
        """Look at every waiting request again, because the house has changed."""
        effects: list[Effect] = []
        for request in self.waiting:
            effects += self._resume(self.requests[request], now)
        return effects

    def follow(self) -> None:
        """Hold every request in flight to a policy that is stricter than what it began with.

        A request keeps its route, and an attempt its target and its timers. But privacy is
        absolute: what must stay from now on goes to no other cloud, and what had to stay when it
        came still has to.
        """
        self._budget.share = self._tables.policy.budget
        for state in self.requests.values():
            route = self._catalog.lookup(state.event.model)
            stays = not isinstance(route, str) and route.local_only
            state.seen.local_only = state.seen.local_only or stays

    def _wake_next(self, candidate: Candidate, now: float) -> list[Effect]:
        """Let the longest waiting requests that can take a free seat do so."""
        seat_key, effects = candidate.seat_key, list[Effect]()
        if seat_key is None:
            return effects
        for request in self.waiting.for_model(seat_key[1]):
            if crowded(candidate, self._tables, now) is not None:
                break
            effects += self._resume(self.requests[request], now)
        return effects

    def _launch(self, event: RequestArrived, route: Route, now: float) -> list[Effect]:
        tiers, stays = route.tiers, event.local_only or route.local_only
        if stays:
            tiers = tuple(tier for tier in tiers if tier.side == "exo")
            if event.route == "cloud" or (route.tiers and not tiers):
                return [Refuse(request=event.request, refusal=MUST_STAY)]
        if event.route is not None:
            tiers = tuple(tier for tier in tiers if tier.side == event.route)
        seen = Seen(
            demands=event.demands, native=event.native_demands, dialect=event.dialect,
            hazards=event.hazards, local_only=stays, draw=event.draw,
        )  # fmt: skip
        wanted, tiers = tiers, _fit(tiers, event, route.name)
        if wanted and not tiers:
            refusal = unfit(seen, short(route.name))
            return [Refuse(request=event.request, refusal=refusal)]
        state = RequestState(event=event, route=route, tiers=tiers, arrived=now, seen=seen)
        state.forced = event.route is not None
        state.shift = state.shift_by_route()
        if tiers and tiers[0] != wanted[0]:
            state.shift = state.shift or Block.FIELD.value
        if not self.looked and not served_at_home(state, self._tables, now):
            return self._park(state)
        self._budget.saw_request(now)
        self.requests[event.request] = state
        if (step := start_at_once(event, route, self._tables, now)) is not None:
            return self._start(state, step, now)
        return [*self._demand(state, now), *self._go(state, now)]

    def _demand(self, state: RequestState, now: float) -> list[Effect]:
        """Have a model placed that is to stand when somebody asks for it."""
        registry, route = self._tables.registry, state.route
        if not route.on_demand or not route.exo or state.event.route == "cloud":
            return []
        if state.event.native_demands:
            return []
        stays, own = state.seen.local_only, state.tiers_of(route.name)
        models = (model for tier in own if tier.side == "exo" for model in tier.models)
        if any(registry.where_ready(model, local_only=stays) for model in models):
            return []
        return self._tables.reconciler.demand(route.exo, now)

    def _park(self, state: RequestState) -> list[Effect]:
        """Keep a request until the first look is over."""
        state.first_look = True
        self.requests[state.event.request] = state
        return self._wait(state, state.event.deadline)

    def _resume(self, state: RequestState, now: float) -> list[Effect]:
        if state.first_look and now < state.event.deadline:
            self._drop(state)
            return self.arrived(state.event, now)
        return self._go(state, now)

    def _go(self, state: RequestState, now: float) -> list[Effect]:
        if now >= state.event.deadline:
            return self._refuse(state, DEADLINE, now)
        step = next_step(state, self._tables, self._budget, now)
        match step:
            case Start():
                return self._start(state, step, now)
            case Wait(until=until):
                return self._wait(state, min(until, state.event.deadline))
            case Refusal():
                return self._refuse(state, step, now)

    def _start(self, state: RequestState, step: Start, now: float) -> list[Effect]:
        permits, effects = self._settlement.begin(step.candidate, now, early=step.early)
        state.attempts += 1
        state.attempts_here += 1
        if state.shift is None and state.faults and step.candidate.target != state.faults[0][0]:
            state.shift = _SHIFTS.get(state.faults[0][1], "attempt_failed")
        state.attempt = Attempt(state.attempts, step.candidate, step.side, permits, began=now)
        if state.waiting_until is not None:
            state.waiting_until = None
            self.waiting.remove(state.event.request)
        if step.candidate.provider is None:
            effects += first_use(step.candidate, self._tables)
        effects.append(start_of(state, state.attempt, self._tables))
        return effects

    def _after(
        self, state: RequestState, attempt: Attempt, event: AttemptSettled, now: float
    ) -> list[Effect]:
        failure, fault = event.failure, event.failure.fault
        if event.unsent:
            state.served = attempt
            return []
        if fault is Fault.NONE:
            return self._close(state, now)
        if event.resumable and state.may_continue(attempt, fault):
            return self._continue(state, attempt, event, now)
        if state.anew is None:
            state.faults.append((attempt.candidate.target, fault))
        if event.committed or fault is Fault.CLIENT_LEFT:
            return self._close(state, now) if fault in _ABANDONED else self._fail(state, now)
        if fault is Fault.DEADLINE:
            return self._refuse(state, DEADLINE, now)
        if fault is Fault.OVERLOADED:
            return self._refuse(state, NO_ROOM, now)
        refusal = over(state, attempt.candidate.target, failure) if state.anew is None else None
        if refusal is not None:
            return self._refuse(state, refusal, now)
        if VERDICTS[fault].next is Next.SAME_ONCE:
            state.once = attempt.candidate
        effects = self._go(state, now)
        goes_on = state.event.request in self.requests
        return [
            *(self._log.tell(attempt, event, now) if goes_on else ()),
            *effects,
        ]

    def _continue(
        self, state: RequestState, attempt: Attempt, event: AttemptSettled, now: float
    ) -> list[Effect]:
        """Let another target go on with an answer that broke off, if one can at once."""
        fault = event.failure.fault
        if state.anew is None:
            state.faults.append((attempt.candidate.target, fault))
        state.resuming, state.once = True, None
        state.keep_to_row(attempt.candidate)
        state.seen.demands |= {PREFILL}
        if now >= state.event.deadline:
            return self._fail(state, now)
        step = next_step(state, self._tables, self._budget, now)
        if not isinstance(step, Start):  # one that resumes waits for no retry: nothing was paid for
            return self._fail(state, now)
        facts: dict[str, object] = {"request_id": state.event.request, "fault": fault.value}
        facts |= {"from": attempt.candidate.target, "to": step.candidate.target}
        said = Announce(level="warning", name="stream_continued", facts=facts)
        return [
            said,
            *self._log.tell(attempt, event, now),
            *self._start(state, step, now),
        ]

    def _wait(self, state: RequestState, until: float) -> list[Effect]:
        self.waiting.add(state)
        if state.waiting_until != until:
            state.waiting_until = until
            self._wake(until, state.event.request)
        return []

    def _refuse(self, state: RequestState, refusal: Refusal, now: float) -> list[Effect]:
        outcome, request = end_of(refusal.code, state.attempts), state.event.request
        told = Refuse(request=request, refusal=structs.replace(refusal, outcome=outcome))
        close = self._fail if outcome == "failure" else self._close
        return [*close(state, now), told]

    def _fail(self, state: RequestState, now: float) -> list[Effect]:
        self.last_failed = failed(state, now)
        return self._close(state, now)

    def _close(self, state: RequestState, now: float) -> list[Effect]:
        self._drop(state)
        return self._settlement.give_back(state, now) if state.held else []

    def _drop(self, state: RequestState) -> None:
        request = state.event.request
        if state.waiting_until is not None:
            self.waiting.remove(request)
        self.requests.pop(request, None)

    def _find(self, request: RequestId, number: int) -> tuple[RequestState, Attempt] | None:
        """Find the attempt that an event speaks of; a late event finds nothing."""
        state = self.requests.get(request)
        if state is None or state.attempt is None or state.attempt.number != number:
            return None
        return state, state.attempt


def _fit(tiers: tuple[Tier, ...], event: RequestArrived, name: str) -> tuple[Tier, ...]:
    """Leave out whoever cannot serve such a request, however well it is."""
    if event.native_demands:  # no Exo honours one, so that none is placed for it
        tiers = tuple(tier for tier in tiers if tier.side != "exo")
    rows = [tier.row for tier in tiers]
    if rows and EMBEDDINGS in event.demands:  # vectors of another model mean something else
        row = name if name in rows else rows[0]
        tiers = tuple(tier for tier in tiers if tier.row == row)
    return tiers
