"""A request as it comes: which tiers are open to it or why none, and what is placed for it."""

from exo_supervisor.core.choice import Choice
from exo_supervisor.core.effects import Effect, Refuse
from exo_supervisor.core.events import RequestArrived
from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.core.policy import ClientRule
from exo_supervisor.core.requests.candidates import Block, Seen
from exo_supervisor.core.requests.catalog import Catalog, Route, Tier
from exo_supervisor.core.requests.clients import may_ask
from exo_supervisor.core.requests.passed_over import left_out
from exo_supervisor.core.requests.refusals import (
    EMBEDDINGS,
    MUST_STAY,
    advised,
    not_found,
    not_placed,
    short,
    unfit,
)
from exo_supervisor.core.requests.request import RequestState
from exo_supervisor.core.tables import Tables


def unknown(event: RequestArrived, catalog: Catalog, rule: ClientRule, *, card: bool) -> Refusal:
    """Say that nobody has a request's model, but that Exo could place it where it has a `card`."""
    name = event.model
    similar, placeable, ready = (
        [each for each in names if may_ask(rule, each)]
        for names in (*catalog.nearest(name), catalog.ready())
    )
    said = not_placed(name, ready) if card else not_found(name, similar, placeable, ready)
    return advised(said, event.demands)


def unnamed(event: RequestArrived, now: float) -> RequestState:
    """Begin a request for a model that nobody has had the time to name yet."""
    empty = Route(event.model, (), "exo", local_only=False)
    return RequestState(event, empty, (), now, Seen(event, event.demands, event.local_only))


def take_in(event: RequestArrived, route: Route, now: float) -> RequestState | Refuse:
    """Begin a request with the tiers that are open to it, or say why none is."""
    stays = event.local_only or route.local_only
    state = RequestState(event, route, route.tiers, now, Seen(event, event.demands, stays))
    if stays or event.route is not None or event.demands:
        refusal = _narrow(state, event, route)
        state.narrowed = tuple(left_out(state, route))
        if refusal is not None:
            choice = Choice(passed=state.narrowed)
            return Refuse(request=event.request, refusal=refusal, choice=choice)
    return state


def _narrow(state: RequestState, event: RequestArrived, route: Route) -> Refusal | None:
    tiers = route.tiers
    if state.seen.local_only:
        tiers = tuple(tier for tier in tiers if tier.side == "exo")
        if event.route == "cloud" or (route.tiers and not tiers):
            state.tiers = tiers
            return MUST_STAY
    if event.route is not None:
        tiers, state.forced = tuple(tier for tier in tiers if tier.side == event.route), True
    state.tiers, state.shift = _fit(tiers, event, route.name), state.shift_by_route()
    if tiers and not state.tiers:
        return unfit(state.seen, short(route.name))
    if tiers and state.tiers[0] != tiers[0]:
        state.shift = state.shift or Block.FIELD.value
    return None


def _fit(tiers: tuple[Tier, ...], event: RequestArrived, name: str) -> tuple[Tier, ...]:
    """Leave out whoever cannot serve such a request, however well it is."""
    if event.native_demands:  # no Exo honours one, so that none is placed for it
        tiers = tuple(tier for tier in tiers if tier.provider is not None)
    rows = [tier.row for tier in tiers]
    if rows and EMBEDDINGS in event.demands:  # vectors of another model mean something else
        row = name if name in rows else rows[0]
        tiers = tuple(tier for tier in tiers if tier.row == row)
    return tiers


def place_on_demand(state: RequestState, tables: Tables, now: float) -> list[Effect]:
    """Have a model placed that is to stand when somebody asks for it."""
    registry, route = tables.registry, state.route
    if not route.on_demand or not route.exo or state.event.route == "cloud":
        return []
    if state.event.native_demands:
        return []
    stays, own = state.seen.local_only, state.tiers_of(route.name)
    models = (model for tier in own if tier.provider is None for model in tier.models)
    if any(registry.where_ready(model, local_only=stays) for model in models):
        return []
    return tables.reconciler.demand(route.exo, now)
