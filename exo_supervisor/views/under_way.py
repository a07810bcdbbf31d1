"""The requests that are under way, as they are shown: who serves each, and how far it is."""

from collections.abc import Callable
from typing import Literal, Protocol

from msgspec import Struct

from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.requests.refusals import short
from exo_supervisor.core.requests.request import RequestState
from exo_supervisor.views.placement import Wall

MOST = 200
"""Requests that are shown, at most."""


class Prefilling(Protocol):
    """What is read here of an answer's reader: how far the prompt's prefill is."""

    @property
    def processed(self) -> int: ...

    @property
    def prefill_total(self) -> int: ...


class PrefillSeen(Struct):
    """How many tokens of the prompt its node has read, of how many."""

    done: int
    total: int


class RequestSeen(Struct):
    """One row of `/supervisor/requests`; `why` is what a request that waits waits for."""

    id: str
    model: str
    state: Literal["waiting", "asked", "answering"]
    why: Literal["first_look", "model", "turn"] | None
    target: str | None
    attempts: int
    since: str
    prefill: PrefillSeen | None


def under_way(
    machine: Machine, reading_of: Callable[[RequestId], Prefilling | None], wall: Wall
) -> list[RequestSeen]:
    """List the requests under way, the oldest first."""
    requests = sorted(
        machine.dispatch.requests.values(), key=lambda request_state: request_state.arrived
    )
    return [_seen(machine, each, reading_of, wall) for each in requests[:MOST]]


def _seen(
    machine: Machine,
    request_state: RequestState,
    reading_of: Callable[[RequestId], Prefilling | None],
    wall: Wall,
) -> RequestSeen:
    attempt = request_state.attempt or request_state.served
    request = request_state.event.request
    reading = None if attempt is None or attempt.content else reading_of(request)
    prefill = None
    if reading is not None and reading.prefill_total:
        prefill = PrefillSeen(reading.processed, reading.prefill_total)
    state = "waiting" if attempt is None else "answering" if attempt.content else "asked"
    return RequestSeen(
        id=request,
        model=short(request_state.event.model),
        state=state,
        why=_awaited(machine, request_state) if attempt is None else None,
        target=None if attempt is None else attempt.candidate.target,
        attempts=request_state.attempts,
        since=wall(request_state.arrived),
        prefill=prefill,
    )


def _awaited(
    machine: Machine, request_state: RequestState
) -> Literal["first_look", "model", "turn"]:
    if request_state.first_look:
        return "first_look"
    models = [each for tier in request_state.tiers if tier.provider is None for each in tier.models]
    ready = any(machine.tables.registry.where_ready(model) for model in models)
    return "model" if not ready and machine.tables.reconciler.expects(models) else "turn"
