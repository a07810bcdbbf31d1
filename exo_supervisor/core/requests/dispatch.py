"""Requests: from the moment one arrives until its last permit is back.

Owns the flights. Each event of a request changes its flight, is booked, and asks
`advance` what to do next.
"""

from collections.abc import Callable

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
from exo_supervisor.core.names import ProviderName, RequestId
from exo_supervisor.core.outcomes import VERDICTS, Fault, Next, Outcome
from exo_supervisor.core.requests.attempt_log import AttemptLog
from exo_supervisor.core.requests.budget import Budget
from exo_supervisor.core.requests.candidates import Option, Seen, Tables, crowded
from exo_supervisor.core.requests.catalog import Catalog, Route
from exo_supervisor.core.requests.fail import DEADLINE, NO_ROOM, Fail, over
from exo_supervisor.core.requests.next_step import Start, Wait, advance, served_at_home
from exo_supervisor.core.requests.queue import Waiting
from exo_supervisor.core.requests.refusals import end_of, must_stay, not_found, not_placed
from exo_supervisor.core.requests.request import Attempt, Flight
from exo_supervisor.core.requests.settlement import Books
from exo_supervisor.core.requests.shifts import Moves
from exo_supervisor.core.requests.stall_check import Quiet
from exo_supervisor.core.requests.tally import Tally
from exo_supervisor.core.requests.timers import first_use, start_of

_SHIFTS = {Fault.BUSY: "busy", Fault.NOT_PLACED: "model_not_ready"}
"""Why a request went elsewhere after an attempt, where that attempt did not simply fail."""

Wake = Callable[[float, RequestId], None]


class Dispatch:
    """Owns every request in flight and everything that is remembered between requests."""

    def __init__(self, tables: Tables, catalog: Catalog, wake: Wake) -> None:
        self.flights: dict[RequestId, Flight] = {}
        self.waiting = Waiting()
        self.tally = Tally()
        self.counts = self.tally.counts
        self.looked = False
        self._tables = tables
        self._catalog = catalog
        self._wake = wake
        self._books = Books(tables)
        self._moves = Moves()
        self._log = AttemptLog()
        self._budget = Budget(tables.policy.budget)
        self._quiet = Quiet(tables, self.flights)

    def arrived(self, event: RequestArrived, now: float) -> list[Effect]:
        """Resolve a new request's model, and start it, make it wait, or refuse it."""
        self.counts["total"] += 1
        route = self._catalog.lookup(event.model)
        if not isinstance(route, str):
            return self._launch(event, route, now)
        if not self.looked:  # nobody has had the time to name this model yet
            empty = Route(event.model, (), "exo", local_only=False)
            return self._park(Flight(event=event, route=empty, tiers=(), arrived=now))
        self.counts["refused"] += 1
        ready = self._catalog.ready()
        if route == "card":
            return [not_placed(event, ready)]
        return [not_found(event, *self._catalog.nearest(event.model), ready)]

    def content(self, event: ContentSeen, now: float) -> list[Effect]:
        """Take in that an attempt brought its first content."""
        found = self._find(event.request, event.attempt)
        if found is None:
            return []
        flight, attempt = found
        self._quiet.forget(event.request)
        effects = self._books.content(flight, attempt, event.ttft, now)
        if event.head is not None and attempt.option.generation is None and attempt.streamed:
            self._tables.heads.saw(ProviderName(attempt.option.target), event.head)
        if flight.is_special():
            return effects
        moved = self._moves.answered(
            flight.route.name,
            attempt.side,
            home=flight.route.first,
            shift=flight.shift,
            target=attempt.option.target,
            now=now,
        )
        return effects if moved is None else [*effects, moved]

    def quieted(self, event: AttemptQuieted, now: float) -> list[Effect]:
        """Ask the state about an attempt at a node that makes no progress."""
        found = self._find(event.request, event.attempt)
        if found is None or found[1].option.generation is None:
            return []
        return self._quiet.quieted(found[1], event, now)

    def state_read(self, event: PlacementRead, now: float) -> list[Effect]:
        """End the silent attempts at a node whose state does not vouch for them."""
        return self._quiet.state_read(event, now)

    def died(self, node: Node) -> list[Effect]:
        """End what waits at a node that is dead for certain."""
        return self._quiet.died(node)

    def settled(self, event: AttemptSettled, now: float) -> list[Effect]:
        """Book an attempt's end and decide what its request does next."""
        found = self._find(event.request, event.attempt)
        if found is None:
            return []
        flight, attempt = found
        flight.attempt = None
        self._quiet.forget(event.request)
        effects = self._books.settle(flight, attempt, event, now)
        effects += self._after(flight, attempt, event, now)
        return effects + self._wake_next(attempt.option, now)

    def ended(self, event: RequestEnded, now: float) -> list[Effect]:
        """Give everything back that a request still holds: its client left."""
        flight = self.flights.get(event.request)
        if flight is None:
            return []
        if flight.attempt is None:
            return self._close(flight, "abandoned", now)
        settled = AttemptSettled(
            request=event.request,
            attempt=flight.attempt.number,
            fault=Fault.CLIENT_LEFT,
            draw=0.0,  # nobody is to blame, so no rest begins
        )
        return self.settled(settled, now)

    def due(self, request: RequestId, now: float) -> list[Effect]:
        """Look at a waiting request again, because its time has come."""
        flight = self.flights.get(request)
        if flight is None or flight.waiting_until is None or now < flight.waiting_until:
            return []
        return self._resume(flight, now)

    def wake_all(self, now: float) -> list[Effect]:
        """Look at every waiting request again, because the house has changed."""
        effects: list[Effect] = []
        for request in self.waiting:
            effects += self._resume(self.flights[request], now)
        return effects

    def follow(self) -> None:
        """Hold every request in flight to a policy that is stricter than what it began with.

        A request keeps its route, and an attempt its target and its timers. But privacy is
        absolute: what must stay from now on goes to no other cloud, and what had to stay when it
        came still has to.
        """
        self._budget.share = self._tables.policy.budget
        for flight in self.flights.values():
            route = self._catalog.lookup(flight.event.model)
            stays = not isinstance(route, str) and route.local_only
            flight.seen.local_only = flight.seen.local_only or stays

    def _wake_next(self, option: Option, now: float) -> list[Effect]:
        """Let the longest waiting requests that can take a free seat do so."""
        bench, effects = option.bench(), list[Effect]()
        if bench is None:
            return effects
        for request in self.waiting.for_model(bench[1]):
            if crowded(option, self._tables, now) is not None:
                break
            effects += self._resume(self.flights[request], now)
        return effects

    def _launch(self, event: RequestArrived, route: Route, now: float) -> list[Effect]:
        tiers, stays = route.tiers, event.local_only or route.local_only
        if stays:
            tiers = tuple(tier for tier in tiers if tier.side == "exo")
            if event.route == "cloud" or (route.tiers and not tiers):
                self.counts["refused"] += 1
                return [must_stay(event)]
        if event.route is not None:
            tiers = tuple(tier for tier in tiers if tier.side == event.route)
        seen = Seen(set(), set(), event.demands, event.hazards, local_only=stays, draw=event.draw)
        flight = Flight(event=event, route=route, tiers=tiers, arrived=now, seen=seen)
        flight.forced = event.route is not None
        flight.shift = flight.shift_by_route()
        if not self.looked and not served_at_home(flight, self._tables, now):
            return self._park(flight)
        self._budget.saw_request(now)
        self.flights[event.request] = flight
        return [*self._demand(flight, now), *self._go(flight, now)]

    def _demand(self, flight: Flight, now: float) -> list[Effect]:
        """Have a model placed that is to stand when somebody asks for it."""
        registry, route = self._tables.registry, flight.route
        models = route.exo_models()
        if not route.on_demand or not models or flight.event.route == "cloud":
            return []
        stays = flight.seen.local_only
        if any(registry.where_ready(model, local_only=stays) for model in models):
            return []
        return self._tables.keeper.demand(models, now)

    def _park(self, flight: Flight) -> list[Effect]:
        """Keep a request until the first look is over."""
        flight.first_look = True
        self.flights[flight.event.request] = flight
        return self._wait(flight, flight.event.deadline)

    def _resume(self, flight: Flight, now: float) -> list[Effect]:
        if flight.first_look and now < flight.event.deadline:
            self._drop(flight)
            self.counts["total"] -= 1
            return self.arrived(flight.event, now)
        return self._go(flight, now)

    def _go(self, flight: Flight, now: float) -> list[Effect]:
        if now >= flight.event.deadline:
            return self._refuse(flight, DEADLINE, now)
        step = advance(flight, self._tables, self._budget, now)
        match step:
            case Start():
                return self._start(flight, step, now)
            case Wait(until=until):
                return self._wait(flight, min(until, flight.event.deadline))
            case Fail():
                return self._refuse(flight, step, now)

    def _start(self, flight: Flight, step: Start, now: float) -> list[Effect]:
        permits, effects = self._books.begin(step.option, now, early=step.early)
        flight.attempts += 1
        flight.attempts_here += 1
        if flight.shift is None and flight.faults and step.option.target != flight.faults[0][0]:
            flight.shift = _SHIFTS.get(flight.faults[0][1], "attempt_failed")
        flight.attempt = Attempt(flight.attempts, step.option, step.side, permits, began=now)
        flight.waiting_until = None
        self.waiting.remove(flight.event.request)
        effects += first_use(step.option, self._tables)
        return [*effects, start_of(flight, flight.attempt, self._tables)]

    def _after(
        self, flight: Flight, attempt: Attempt, event: AttemptSettled, now: float
    ) -> list[Effect]:
        fault, verdict = event.fault, VERDICTS[event.fault]
        if fault is Fault.NONE:
            return self._close(flight, attempt.side, now)
        if event.resumable and flight.may_continue(attempt, fault):
            return self._continue(flight, attempt, event, now)
        if flight.anew is None:
            flight.faults.append((attempt.option.target, fault))
        if event.committed or fault is Fault.CLIENT_LEFT:
            left = verdict.outcome is Outcome.ABANDONED
            return self._close(flight, "abandoned" if left else "failed", now)
        if fault is Fault.DEADLINE:
            return self._refuse(flight, DEADLINE, now)
        if fault is Fault.OVERLOADED:
            return self._refuse(flight, NO_ROOM, now)
        if flight.anew is None and (fail := over(flight, attempt.option.target, event)) is not None:
            return self._refuse(flight, fail, now)
        if verdict.next is Next.SAME_ONCE:
            flight.once = attempt.option
        effects = self._go(flight, now)
        goes_on = flight.event.request in self.flights
        return [*(self._log.tell(attempt, event, now) if goes_on else ()), *effects]

    def _continue(
        self, flight: Flight, attempt: Attempt, event: AttemptSettled, now: float
    ) -> list[Effect]:
        """Let another target go on with an answer that broke off, if one can at once."""
        fault = event.fault
        if flight.anew is None:
            flight.faults.append((attempt.option.target, fault))
        flight.resuming, flight.once = True, None
        flight.seen.demands |= {PREFILL}
        step = advance(flight, self._tables, self._budget, now)
        if now >= flight.event.deadline or not isinstance(step, Start):
            return self._close(flight, "failed", now)
        facts: dict[str, object] = {"request_id": flight.event.request, "fault": fault.value}
        facts |= {"from": attempt.option.target, "to": step.option.target}
        said = Announce(level="warning", name="stream_continued", facts=facts)
        return [said, *self._log.tell(attempt, event, now), *self._start(flight, step, now)]

    def _wait(self, flight: Flight, until: float) -> list[Effect]:
        self.waiting.add(flight)
        if flight.waiting_until != until:
            flight.waiting_until = until
            self._wake(until, flight.event.request)
        return []

    def _refuse(self, flight: Flight, fail: Fail, now: float) -> list[Effect]:
        refusal = Refuse(
            request=flight.event.request,
            status=fail.status,
            code=fail.code,
            message=fail.message,
            param=fail.param,
            retry_after=fail.retry_after,
        )
        return [*self._close(flight, end_of(fail.code, flight.attempts), now), refusal]

    def _close(self, flight: Flight, end: str, now: float) -> list[Effect]:
        self._drop(flight)
        self.tally.end(flight, end, now)
        return self._books.give_back(flight, now)

    def _drop(self, flight: Flight) -> None:
        request = flight.event.request
        self.waiting.remove(request)
        self.flights.pop(request, None)

    def _find(self, request: RequestId, number: int) -> tuple[Flight, Attempt] | None:
        """Find the attempt that an event speaks of; a late event finds nothing."""
        flight = self.flights.get(request)
        if flight is None or flight.attempt is None or flight.attempt.number != number:
            return None
        return flight, flight.attempt
