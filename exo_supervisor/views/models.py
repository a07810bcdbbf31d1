"""Where each model stands, as it is shown: at which targets, ready or not, and why."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from exo_supervisor.core.fleet.model_facts import ModelFacts
from exo_supervisor.core.fleet.nodes import Cluster
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import ModelId, ProviderName
from exo_supervisor.core.requests.catalog import Route
from exo_supervisor.views.explain import RECENT, lag_of, span, stuck_for
from exo_supervisor.views.placement import PlacementSeen, Wall, placement_of

_LOADING = ("downloading", "connecting", "connected", "loading", "loaded", "warming_up")
"""Why a model is not ready although its runners are on their way to be."""


FAILED = ("runner_failed", "download_failed")
"""Why a model is not ready and will not be by itself."""
_WHY_NOT = {"off": "it has no key", "bad_key": "it refused its key", "unknown": "not reached yet"}


class Where(Struct):
    """One place in which a model stands."""

    target: str
    model: str
    ready: bool
    why: str
    progress: str | None
    detail: str | None = None
    """Why it failed, in Exo's words."""


class ModelRow(Struct):
    """One row of `/supervisor/models`."""

    id: str
    state: str
    where: list[Where]
    placement: PlacementSeen | None = None
    why: str | None = None
    """Why it stands at no Exo, where that is known."""
    instances: int = 0
    """How many instances stand at Exo; the supervisor asks for one."""
    alias_of: str | None = None
    """The configured row that stands for the same places."""


def facts_of(machine: Machine, name: str) -> ModelFacts:
    """Return what holds of a name at each of its places that told anything."""
    route, tables = machine.catalog.lookup(name), machine.tables
    places = [
        (tier.provider, model)
        for tier in (() if isinstance(route, str) else route.tiers)
        for model in tier.models
    ]
    context = min(filter(None, (tables.context(*place) for place in places)), default=0)
    first, *others = [*filter(None, (tables.capabilities(*place) for place in places))] or [()]
    return ModelFacts(context, tuple(word for word in first if all(word in o for o in others)))


def models(machine: Machine, now: float, wall: Wall) -> list[ModelRow]:
    """List every known name, with each place in which it stands."""
    rows = {name: model(machine, name, now, wall) for name in machine.catalog.names()}
    for name, row in rows.items():
        first = rows.get(machine.catalog.row_of(ModelId(name)) or name)
        if first is not None and first is not row and _covers(first, row):
            row.alias_of = first.id
    return list(rows.values())


def _covers(first: ModelRow, row: ModelRow) -> bool:
    """Say whether whatever serves one row serves the other, too."""
    places = {(place.target, place.model) for place in first.where}
    return all((place.target, place.model) in places for place in row.where)


def model(machine: Machine, name: str, now: float, wall: Wall) -> ModelRow:
    """Show one model: where it stands, and what is done so that it does."""
    route = machine.catalog.lookup(name)
    if isinstance(route, str):
        placement = placement_of(machine, (ModelId(name),), wall)
        why = placement.why if placement is not None and placement.state == "asked" else None
        return ModelRow(name, "loading" if placement else "down", [], placement, why)
    where = [
        place for tier in route.tiers for place in _places(machine, tier.models, tier.provider, now)
    ]
    placement = placement_of(machine, route.exo, wall)
    under_way = placement is not None and placement.state in ("asked", "awaited", "loading")
    at_exo = [place for place in where if not _is_cloud(machine, place.target)]
    if any(place.ready for place in at_exo):
        state = "ready"
    elif at_exo and all(place.why.split(",")[0] in FAILED for place in at_exo):
        state = "failed"
    elif under_way or any(map(_is_loading, at_exo)):
        state = "loading"
    elif at_exo:
        state = "placed"
    elif any(place.ready for place in where):
        state = "cloud"
    else:
        state = "downloaded" if _on_disk(machine, route.exo) else "down"
    missing = None if at_exo else _missing(machine, route, placement, now)
    count = instances(machine, route.exo)
    return ModelRow(name, state, where, placement, missing, count)


def instances(machine: Machine, ids: Iterable[ModelId]) -> int:
    """Count the instances of a model that stand at Exo, by all of its ids."""
    stand = (placed for model in ids for _, placed in machine.tables.registry.where_placed(model))
    return sum(len(placed.instances) for placed in stand)


def _on_disk(machine: Machine, ids: Iterable[ModelId]) -> bool:
    clusters = machine.tables.registry.clusters.values()
    return any(not cluster.downloaded.isdisjoint(ids) for cluster in clusters)


def _is_loading(place: Where) -> bool:
    return place.progress is not None or place.why.split(",")[0] in _LOADING


def _missing(
    machine: Machine, route: Route, placement: PlacementSeen | None, now: float
) -> str | None:
    """Say why a model stands at no Exo, where that is known."""
    if placement is not None and placement.state == "asked" and placement.why:
        return placement.why
    return _lost(machine, [model for tier in route.tiers for model in tier.models], now)


def _lost(machine: Machine, ids: list[ModelId], now: float) -> str | None:
    """Say that an election took a model away, where nothing has brought it back."""
    for cluster in machine.tables.registry.clusters.values():
        at = cluster.condition.elected_at
        if at is not None and now - at < RECENT and not cluster.condition.lost.isdisjoint(ids):
            return f"{cluster.key} re-elected {span(now - at)} ago and lost it"
    return None


def _is_cloud(machine: Machine, target: str) -> bool:
    provider = machine.tables.clouds.get(target)
    return provider is not None and not provider.cloud.local


def _places(
    machine: Machine, ids: tuple[ModelId, ...], provider: ProviderName | None, now: float
) -> Iterator[Where]:
    if provider is not None:
        clouds = machine.tables.clouds
        cloud = clouds.providers[provider]
        state = cloud.state(now)
        why = "" if cloud.stands_by(now) else _WHY_NOT.get(state, state)
        if machine.tables.breakers.held_open((provider, None)):
            why = "held open by the operator"
        for model in ids:
            reason = why or clouds.unlisted(provider, model)
            if not cloud.serves(model):
                reason = reason or "it hands this model on, which leaves the house"
            yield Where(provider, model, not reason, reason, None)
        return
    for model in ids:
        for cluster, placed in machine.tables.registry.where_placed(model):
            yield from _members(machine, cluster, placed, now)


def _members(machine: Machine, cluster: Cluster, placed: Placed, now: float) -> Iterator[Where]:
    why = "" if placed.ready else placed.why
    lasting = stuck_for(cluster.condition, placed.model, now)
    if lasting is not None:
        why = f"{why or 'not ready'}, stuck for {span(lasting)}"
    for member in cluster.members:
        node = machine.tables.registry.nodes[member]
        if node.up:
            lag = lag_of(node) if placed.ready else None
            ready = placed.ready and lag is None
            detail = placed.detail or None
            yield Where(member, placed.model, ready, lag or why, placed.progress, detail)
