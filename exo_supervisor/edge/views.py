"""What the house shows of itself: nodes, models, breakers and their sum, as they stand now."""

from collections import Counter
from collections.abc import Callable, Iterator

from msgspec import Struct

from exo_supervisor.core.breakers import Cell, Key
from exo_supervisor.core.events import Placed
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address, ModelId, ProviderName
from exo_supervisor.core.nodes import Node
from exo_supervisor.edge.advice import advise, advise_on, explain, sum_up
from exo_supervisor.edge.orders import PlacementSeen, placement_of

Wall = Callable[[float], str]
"""Turns one of our instants into RFC 3339, UTC."""

_LOADING = ("connecting", "connected", "loading", "loaded", "warming_up")
"""Why a model is not ready although its runners are on their way to be."""


class ModelSeen(Struct):
    """A model on a node."""

    id: str
    ready: bool


class BreakerSeen(Struct):
    """A breaker in a node's row."""

    state: str
    reason: str
    since: str | None
    until: str | None


class NodeSeen(Struct):
    """One row of `/supervisor/nodes`."""

    id: str
    url: str
    generation: str | None
    version: str | None
    cluster: str | None
    rung: str
    since: str
    why: str | None
    advice: str | None
    models: list[ModelSeen]
    breaker: BreakerSeen
    sources: list[str]
    latency: float | None


class BreakerRow(Struct):
    """One row of `/supervisor/breakers`."""

    target: str
    model: str | None
    state: str
    forced: bool
    reason: str
    since: str | None
    until: str | None
    failures: int
    last: str | None


class Where(Struct):
    """One place in which a model stands."""

    target: str
    model: str
    ready: bool
    why: str
    progress: str | None


class ModelRow(Struct):
    """One row of `/supervisor/models`."""

    id: str
    state: str
    where: list[Where]
    placement: PlacementSeen | None = None


class ProviderSeen(Struct):
    """A provider in the status."""

    name: str
    state: str
    why: str | None


class Status(Struct):
    """The body of `/supervisor/status`."""

    version: str
    uptime: float
    ready: bool
    summary: str
    config: str | None
    advice: list[str]
    looked: list[str]
    nodes: dict[str, int]
    providers: list[ProviderSeen]
    requests: dict[str, int]
    not_yet: list[str]
    """What is on and not built; nothing at present."""


def nodes(machine: Machine, wall: Wall) -> list[NodeSeen]:
    """List all nodes that are no other address of one in the list."""
    found = machine.tables.registry.nodes.values()
    return [_node(machine, node, wall) for node in found if node.alias_of is None]


def models(machine: Machine, now: float, wall: Wall) -> list[ModelRow]:
    """List every known name, with each place in which it stands."""
    return [model(machine, name, now, wall) for name in machine.catalog.names()]


def breakers(machine: Machine, wall: Wall) -> list[BreakerRow]:
    """List every breaker: those of all targets, and of models the ones that have a past."""
    tables = machine.tables
    rows = {key: breaker_row(key, cell, wall) for key, cell in tables.breakers}
    targets = [*tables.registry.nodes, *tables.clouds.providers]
    for target in targets:
        node = tables.registry.nodes.get(Address(target))
        if node is None or node.alias_of is None:
            rows.setdefault((target, None), breaker_row((target, None), None, wall))
    return sorted(rows.values(), key=lambda row: (row.target, row.model or ""))


def breaker_row(key: Key, cell: Cell | None, wall: Wall) -> BreakerRow:
    """Show one breaker; a missing cell is one that never failed."""
    target, model = key
    if cell is None:
        return BreakerRow(
            target=target, model=model, state="closed", forced=False, reason="none",
            since=None, until=None, failures=0, last=None,
        )  # fmt: skip
    ends = cell.rest_ends()
    return BreakerRow(
        target=target,
        model=model,
        state=cell.state(),
        forced=cell.forced is not None,
        reason=cell.reason.value,
        since=wall(cell.since),
        until=None if ends is None else wall(ends),
        failures=getattr(cell.breaker, "failures", 0),
        last=cell.last or None,
    )


def status(
    machine: Machine,
    now: float,
    *,
    version: str,
    config: str | None,
    quiet: list[str],
) -> Status:
    """Sum the house up."""
    registry, clouds = machine.tables.registry, machine.tables.clouds
    counts = machine.dispatch.counts
    ready = machine.looked() and machine.can_serve(now)
    rungs = Counter(node.rung for node in registry.nodes.values() if node.alias_of is None)
    rows = ("seen", "reachable", "identified", "clustered", "placed", "ready")
    return Status(
        version=version,
        uptime=round(now - machine.started, 3),
        ready=ready,
        summary=sum_up(machine, now),
        config=config,
        advice=advise(machine, now),
        looked=[
            *(f"{n.address} {explain(n)}" for n in registry.nodes.values() if not n.up),
            *quiet,
        ],
        nodes={rung: rungs[rung] for rung in rows},
        providers=[
            ProviderSeen(name, p.state(now), (p.cloud.why_off or p.why) or None)
            for name, p in clouds.providers.items()
        ],
        requests={
            "in_flight": len(machine.dispatch.flights),
            **{name: counts[name] for name in ("total", "exo", "cloud", "failed", "abandoned")},
        },
        not_yet=[],
    )


def _node(machine: Machine, node: Node, wall: Wall) -> NodeSeen:
    registry = machine.tables.registry
    cluster = None if node.cluster is None else registry.clusters[node.cluster]
    placed = [] if cluster is None or not node.up else sorted(cluster.models.items())
    row = breaker_row((node.address, None), machine.tables.breakers.get((node.address, None)), wall)
    return NodeSeen(
        id=node.address,
        url=node.url,
        generation=node.generation,
        version=node.version,
        cluster=node.cluster,
        rung=node.rung,
        since=wall(node.since),
        why=explain(node) if node.rung != "ready" else None,
        advice=advise_on(node),
        models=[ModelSeen(model, place.ready) for model, place in placed],
        breaker=BreakerSeen(row.state, row.reason, row.since, row.until),
        sources=sorted(node.sources),
        latency=round(node.latency, 6) if node.up else None,
    )


def model(machine: Machine, name: str, now: float, wall: Wall) -> ModelRow:
    """Show one model: where it stands, and what is done so that it does."""
    route = machine.catalog.lookup(name)
    if isinstance(route, str):
        placement = placement_of(machine, (ModelId(name),), wall)
        return ModelRow(name, "loading" if placement else "down", [], placement)
    where = [
        place for tier in route.tiers for place in _places(machine, tier.models, tier.provider, now)
    ]
    placement = placement_of(machine, route.exo_models(), wall)
    under_way = placement is not None and placement.state in ("asked", "awaited", "loading")
    at_exo = [place for place in where if not _is_cloud(machine, place.target)]
    if any(place.ready for place in at_exo):
        state = "ready"
    elif under_way or any(place.progress or place.why in _LOADING for place in at_exo):
        state = "loading"
    elif at_exo:
        state = "placed"
    else:
        state = "cloud" if any(place.ready for place in where) else "down"
    return ModelRow(name, state, where, placement)


def _is_cloud(machine: Machine, target: str) -> bool:
    return machine.tables.clouds.get(target) is not None


def _places(
    machine: Machine, ids: tuple[ModelId, ...], provider: ProviderName | None, now: float
) -> Iterator[Where]:
    if provider is not None:
        cloud = machine.tables.clouds.providers[provider]
        usable = cloud.usable(now)
        for model in ids:
            yield Where(provider, model, usable, "" if usable else cloud.state(now), None)
        return
    for model in ids:
        for cluster, placed in machine.tables.registry.where_placed(model):
            yield from _members(machine, cluster.members, placed)


def _members(machine: Machine, members: tuple[Address, ...], placed: Placed) -> Iterator[Where]:
    for member in members:
        node = machine.tables.registry.nodes[member]
        if node.up:
            why = "" if placed.ready else placed.why
            yield Where(member, placed.model, placed.ready, why, placed.progress)
