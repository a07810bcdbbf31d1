"""The requests that are under way, as they are shown: who serves each, and how far it is."""

from collections.abc import Callable
from typing import Literal, Protocol

from msgspec import Struct

from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.requests.refusals import short
from exo_supervisor.core.requests.request import Flight
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
    flights = sorted(machine.dispatch.flights.values(), key=lambda flight: flight.arrived)
    return [_seen(machine, each, reading_of, wall) for each in flights[:MOST]]


def _seen(
    machine: Machine,
    flight: Flight,
    reading_of: Callable[[RequestId], Prefilling | None],
    wall: Wall,
) -> RequestSeen:
    attempt, request = flight.attempt, flight.event.request
    reading = None if attempt is None or attempt.content else reading_of(request)
    prefill = None
    if reading is not None and reading.prefill_total:
        prefill = PrefillSeen(reading.processed, reading.prefill_total)
    state = "waiting" if attempt is None else "answering" if attempt.content else "asked"
    return RequestSeen(
        id=request,
        model=short(flight.event.model),
        state=state,
        why=_awaited(machine, flight) if attempt is None else None,
        target=None if attempt is None else attempt.option.target,
        attempts=flight.attempts,
        since=wall(flight.arrived),
        prefill=prefill,
    )


def _awaited(machine: Machine, flight: Flight) -> Literal["first_look", "model", "turn"]:
    if flight.first_look:
        return "first_look"
    models = flight.route.exo_models()
    ready = any(machine.tables.registry.where_ready(model) for model in models)
    return "model" if not ready and machine.tables.keeper.expects(models) else "turn"
