"""Requests: from the moment one arrives until its last permit is back.

Owns the requests. Each event of a request changes its state, is booked by `settlement`, and asks
`next_step` what to do next; what is decided there is begun, refused or parked here alone.
"""

from collections.abc import Callable

from exo_supervisor.core.choice import Awaited
from exo_supervisor.core.effects import Effect, Refuse
from exo_supervisor.core.events import (
    AttemptQuieted,
    AttemptSettled,
    ContentSeen,
    RequestArrived,
    RequestEnded,
)
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.outcomes import NO_FAULT, VERDICTS, Next, Refusal
from exo_supervisor.core.requests.aftermath import aftermath, left, refused
from exo_supervisor.core.requests.attempt_log import AttemptLog, continued
from exo_supervisor.core.requests.attempt_start import start_of
from exo_supervisor.core.requests.candidate import Candidate
from exo_supervisor.core.requests.candidates import crowded
from exo_supervisor.core.requests.catalog import Catalog
from exo_supervisor.core.requests.clients import Clients, not_its_own
from exo_supervisor.core.requests.failed import Failed, failed
from exo_supervisor.core.requests.healthy import start_at_once
from exo_supervisor.core.requests.intake import place_on_demand, take_in, unknown, unnamed
from exo_supervisor.core.requests.next_step import Start, Wait, next_step, served_at_home
from exo_supervisor.core.requests.passed_over import why_there
from exo_supervisor.core.requests.privacy import tighten
from exo_supervisor.core.requests.queue import Waiting
from exo_supervisor.core.requests.refusals import DEADLINE
from exo_supervisor.core.requests.request import Attempt, RequestState
from exo_supervisor.core.requests.retry_budget import RetryBudget
from exo_supervisor.core.requests.settlement import Settlement
from exo_supervisor.core.requests.shifts import Shifts
from exo_supervisor.core.requests.stall_check import StallCheck
from exo_supervisor.core.tables import Tables

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
        self._retry_budget = RetryBudget(tables.policy.budget)
        self._clients = Clients(tables.policy.clients)
        self.stall_check = StallCheck(tables, self.requests)

    def arrived(self, event: RequestArrived, now: float) -> list[Effect]:
        """Take a new request in as far as its client may ask for it."""
        narrowed = self._clients.enter(event, now)
        # "Is it this Struct?" takes four times as long where it is not
        if not isinstance(narrowed, RequestArrived):
            return [Refuse(request=event.request, refusal=narrowed)]
        effects = self._enter(narrowed, now)
        if self._clients.rates.taken and event.request not in self.requests:
            self._clients.rates.end(event.request, now)
        return effects

    def _enter(
        self, event: RequestArrived, now: float, waited: Awaited | None = None
    ) -> list[Effect]:
        """Resolve a request's model, and start it, make it wait, or refuse it."""
        rule = self._clients.rule_of(event.client)
        route = self._catalog.lookup_within(event.model, rule.models)
        if route is None:
            return [Refuse(request=event.request, refusal=not_its_own(rule))]
        if isinstance(route, str):
            if not self.looked:
                return self._park(unnamed(event, now))
            refusal = unknown(event, self._catalog, rule, card=route == "card")
            return [Refuse(request=event.request, refusal=refusal)]
        state = take_in(event, route, now)
        if not isinstance(state, RequestState):
            return [state]
        state.waited = waited
        if not self.looked and not served_at_home(state, self._tables, now):
            return self._park(state)
        self._retry_budget.saw_request(now)
        self.requests[event.request] = state
        if (step := start_at_once(event, route, self._tables, now)) is not None:
            return self._start(state, step, now)
        return [*place_on_demand(state, self._tables, now), *self._go(state, now)]

    def content(self, event: ContentSeen, now: float) -> list[Effect]:
        """Take in that an attempt brought its first content."""
        found = self._find(event.request, event.attempt)
        if found is None:
            return []
        state, attempt = found
        if self.stall_check.silences:
            self.stall_check.forget(event.request)
        effects = self._settlement.content(state, attempt, event, now)
        if not state.is_special():
            effects += self._shifts.served(state, attempt, self._tables, now)
        return effects

    def quieted(self, event: AttemptQuieted, now: float) -> list[Effect]:
        """Ask the state about an attempt at a node that makes no progress."""
        found = self._find(event.request, event.attempt)
        if found is None or found[1].candidate.provider is not None:
            return []
        return self.stall_check.quieted(found[1], event, now)

    def settled(self, event: AttemptSettled, now: float) -> list[Effect]:
        """Book an attempt's end and decide what its request does next."""
        found = self._find(event.request, event.attempt)
        if found is None:
            return []
        state, attempt = found
        state.attempt = None
        if self._clients.rates.taken:
            self._clients.rates.used(event.request, event.tokens)
        if self.stall_check.silences:
            self.stall_check.forget(event.request)
        effects = self._settlement.settle(state, attempt, event, now)
        effects += self._after(state, attempt, event, now)
        if self.waiting.line:
            effects += self._wake_next(attempt.candidate, now)
        if self._tables.budgets.news:
            effects += self._tables.budgets.take_news()
        return effects

    def ended(self, event: RequestEnded, now: float) -> list[Effect]:
        """Give everything back that a request still holds: its client left, or has taken it all."""
        state = self.requests.get(event.request)
        if state is None:
            return []
        if state.attempt is None:
            return self._close(state, now)
        return self.settled(left(event, state.attempt), now)

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

        A request keeps its route, and an attempt its target and its timers. Privacy is absolute.
        """
        self._retry_budget.share = self._tables.policy.budget
        self._clients.follow(self._tables.policy.clients)
        tighten(self.requests.values(), self._catalog, self._clients)

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

    def _park(self, state: RequestState) -> list[Effect]:
        """Keep a request until the first look is over."""
        state.first_look = True
        self.requests[state.event.request] = state
        return self._wait(state, state.event.deadline)

    def _resume(self, state: RequestState, now: float) -> list[Effect]:
        if state.first_look and now < state.event.deadline:
            self._close(state, now)
            return self._enter(state.event, now, "first_look")
        return self._go(state, now)

    def _go(self, state: RequestState, now: float) -> list[Effect]:
        if now >= state.event.deadline:
            return self._refuse(state, DEADLINE, now)
        step = next_step(state, self._tables, self._retry_budget, now)
        news = self._tables.budgets.take_news() if self._tables.budgets.news else ()
        match step:
            case Start():
                return [*news, *self._start(state, step, now)]
            case Wait(until=until, what=what):
                state.waited = what
                return [*news, *self._wait(state, min(until, state.event.deadline))]
            case Refusal():
                return [*news, *self._refuse(state, step, now)]

    def _start(self, state: RequestState, step: Start, now: float) -> list[Effect]:
        choice = why_there(state, step.candidate, step.choice, self._tables, now)
        permits, effects = self._settlement.begin(
            state.event.request, step.candidate, now, early=step.early
        )
        attempt = state.begin(step.candidate, step.side, permits, now, choice)
        if state.waiting_until is not None:
            self.waiting.remove(state)
        at_provider = step.candidate.provider is not None
        if at_provider and self._tables.budgets.active and step.side == "cloud":
            self._settlement.reserve(state, attempt, now)
        effects += start_of(state, attempt, self._tables)
        return effects

    def _after(
        self, state: RequestState, attempt: Attempt, event: AttemptSettled, now: float
    ) -> list[Effect]:
        fault = event.failure.fault
        if event.unsent:
            state.served = attempt
            return []
        if fault is NO_FAULT:
            return self._close(state, now)
        if state.anew is None:
            state.faults += ((attempt.candidate.target, fault),)
        match aftermath(state, attempt, event):
            case "over":
                return self._close(state, now)
            case "failed":
                return self._fail(state, now)
            case "continued":
                return self._continue(state, attempt, event, now)
            case "retried":
                return self._retry(state, attempt, event, now)
            case refusal:
                return self._refuse(state, refusal, now)

    def _retry(
        self, state: RequestState, attempt: Attempt, event: AttemptSettled, now: float
    ) -> list[Effect]:
        if VERDICTS[event.failure.fault].next is Next.SAME_ONCE:
            state.once = attempt.candidate
        effects = self._go(state, now)
        if state.event.request in self.requests:
            return [*self._log.tell(attempt, event, now), *effects]
        return effects

    def _continue(
        self, state: RequestState, attempt: Attempt, event: AttemptSettled, now: float
    ) -> list[Effect]:
        """Let another target go on with an answer that broke off, if one can at once."""
        state.resume(attempt.candidate)
        if now >= state.event.deadline:
            return self._fail(state, now)
        step = next_step(state, self._tables, self._retry_budget, now)
        if not isinstance(step, Start):  # one that resumes waits for no retry: nothing was paid for
            return self._fail(state, now)
        return [
            continued(attempt, event, step.candidate.target),
            *self._log.tell(attempt, event, now),
            *self._start(state, step, now),
        ]

    def _wait(self, state: RequestState, until: float) -> list[Effect]:
        if self.waiting.add(state, until):
            self._wake(until, state.event.request)
        return []

    def _refuse(self, state: RequestState, refusal: Refusal, now: float) -> list[Effect]:
        told = refused(state, refusal, self._tables, now)
        close = self._fail if told.refusal.outcome == "failure" else self._close
        return [*close(state, now), told]

    def _fail(self, state: RequestState, now: float) -> list[Effect]:
        self.last_failed = failed(state, now)
        return self._close(state, now)

    def _close(self, state: RequestState, now: float) -> list[Effect]:
        request = state.event.request
        if state.waiting_until is not None:
            self.waiting.remove(state)
        self.requests.pop(request, None)
        if self._clients.rates.taken:
            self._clients.rates.end(request, now)
        return self._settlement.give_back(state, now) if state.held else []

    def _find(self, request: RequestId, number: int) -> tuple[RequestState, Attempt] | None:
        """Find the attempt that an event speaks of; a late event finds nothing."""
        state = self.requests.get(request)
        if state is None or state.attempt is None or state.attempt.number != number:
            return None
        return state, state.attempt
