"""Where a request for a model would go now, and why nowhere else: a look that changes nothing."""

from msgspec import Struct

from exo_supervisor.core.choice import Choice
from exo_supervisor.core.effects import Refuse
from exo_supervisor.core.events import RequestArrived
from exo_supervisor.core.names import RequestId, Side
from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.core.requests.candidate import Candidate
from exo_supervisor.core.requests.candidates import Block, block, pick, why_none
from exo_supervisor.core.requests.catalog import Route, Tier
from exo_supervisor.core.requests.intake import take_in
from exo_supervisor.core.requests.passed_over import why_nowhere, why_there
from exo_supervisor.core.requests.refusals import fail
from exo_supervisor.core.requests.request import RequestState, candidates_of
from exo_supervisor.core.tables import Tables

LATER = "later"
"""Why a target is passed over that could be asked: another one comes before it."""


class Forecast(Struct, frozen=True):
    """Who would be asked, or what the client would be told; it might wait before either."""

    candidate: Candidate | None
    side: Side | None
    choice: Choice
    refusal: Refusal | None


def forecast(route: Route, tables: Tables, now: float) -> Forecast:
    """Say where a plain request would go that comes now."""
    event = RequestArrived(request=RequestId(""), model=route.name, deadline=now + 1.0, draw=0.0)
    state = take_in(event, route, now)
    if isinstance(state, Refuse):
        return Forecast(None, None, state.choice or Choice(), state.refusal)
    found: tuple[list[Candidate], Side] | None = None
    for place, tier in enumerate(state.tiers):
        free = _look(state, place, tier, tables, now)
        if found is None and free:
            found = free, tier.side
        elif free:
            state.met |= {each.slot: (each, LATER) for each in free}
    if found is None:
        refusal = fail(state, tables, now)
        return Forecast(None, None, why_nowhere(state, tables, now), refusal)
    turn = tables.turn
    candidate, choice = pick(found[0], tables, event.draw, now)
    tables.turn = turn  # nobody had one
    return Forecast(candidate, found[1], why_there(state, candidate, choice, tables, now), None)


def _look(
    state: RequestState, place: int, tier: Tier, tables: Tables, now: float
) -> list[Candidate]:
    """List who of a tier could be asked, and note on the request why the others could not."""
    free, blocks = list[Candidate](), set[Block]()
    for candidate in candidates_of(state, tier, tables, every=True):
        reason = block(candidate, state.seen, tables, now)
        if reason is None:
            free.append(candidate)
        else:
            blocks.add(reason)
            state.met[candidate.slot] = candidate, reason.value
    if not free and not blocks:
        state.empty[place] = tier
    if not free:
        state.reasons += (why_none(blocks, tables),)
    return free
