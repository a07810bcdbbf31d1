"""What the end of an attempt means for its request: it is over, and how, or it is tried on."""

from typing import Literal

from msgspec import structs

from exo_supervisor.core.effects import Refuse
from exo_supervisor.core.events import AttemptSettled, RequestEnded
from exo_supervisor.core.outcomes import Failure, Fault, Refusal
from exo_supervisor.core.requests.passed_over import why_nowhere
from exo_supervisor.core.requests.refusals import DEADLINE, NO_ROOM, end_of, over
from exo_supervisor.core.requests.request import Attempt, RequestState
from exo_supervisor.core.tables import Tables

_ABANDONED = frozenset({Fault.CLIENT_LEFT, Fault.DEADLINE})
"""Ends at which an answer that was cut is no failure; want of room for it is one of ours."""

Aftermath = Literal["over", "failed", "continued", "retried"] | Refusal


def aftermath(state: RequestState, attempt: Attempt, event: AttemptSettled) -> Aftermath:
    """Judge an attempt that failed; a `Refusal` ends its request before anything was answered."""
    fault = event.failure.fault
    if event.resumable and state.may_continue(attempt, fault):
        return "continued"
    if event.committed or fault is Fault.CLIENT_LEFT:
        return "over" if fault in _ABANDONED else "failed"
    if fault is Fault.DEADLINE:
        return DEADLINE
    if fault is Fault.OVERLOADED:
        return NO_ROOM
    refusal = over(state, attempt.candidate.target, event.failure) if state.anew is None else None
    return refusal or "retried"


def left(event: RequestEnded, attempt: Attempt) -> AttemptSettled:
    """Settle an attempt that its client left; nobody is to blame, so that no rest begins."""
    return AttemptSettled(
        request=event.request,
        attempt=attempt.number,
        failure=Failure(Fault.CLIENT_LEFT),
        draw=0.0,
        tokens=event.tokens,
        cost=event.cost,
    )


def refused(state: RequestState, refusal: Refusal, tables: Tables, now: float) -> Refuse:
    """Refuse a request, and say whom it was kept from, and whether it had been tried."""
    refusal = structs.replace(refusal, outcome=end_of(refusal.code, state.attempts))
    choice = why_nowhere(state, tables, now)
    return Refuse(request=state.event.request, refusal=refusal, choice=choice)
