"""The nodes as they stand now, a row each."""

from collections.abc import Iterable
from ipaddress import IPv4Address

from msgspec import Struct
from msgspec.structs import asdict

from exo_supervisor.core.fleet.capacity import Capacity
from exo_supervisor.core.fleet.nodes import Node
from exo_supervisor.core.fleet.trust import is_loopback
from exo_supervisor.core.machine import Machine
from exo_supervisor.views.breakers import breaker_row
from exo_supervisor.views.explain import advise_on, explain
from exo_supervisor.views.placement import Wall


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


class CapacitySeen(Capacity, frozen=True, kw_only=True):
    """What a node's machine has and bears, and when it said so."""

    read_at: str


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
    was: str | None
    """The rung on which it stood that was up and is down."""
    sources: list[str]
    latency: float | None
    capacity: CapacitySeen | None
    trust: str
    """On which ground it is trusted, or `found`."""


def nodes(machine: Machine, now: float, wall: Wall) -> list[NodeSeen]:
    """List all nodes that are no other address of one in the list, by their addresses."""
    found = machine.tables.registry.nodes.values()
    mine = sorted(
        (node for node in found if _is_shown(node, machine)), key=lambda n: _order_of(n.address)
    )
    return [_node(machine, node, now, wall) for node in mine]


def _is_shown(node: Node, machine: Machine) -> bool:
    """Say whether a node has a row: one that goes by the id of a trusted one may be a stranger."""
    if node.alias_of is None or node.twin:
        return True
    registry = machine.tables.registry
    holder = registry.nodes[node.alias_of]
    same = registry.trust.vouched(node, holder.address) or is_loopback(holder.address)
    return node.up and node.trust == "found" and holder.trust != "found" and not same


def _order_of(address: str) -> tuple[bytes, str, int]:
    """Order addresses as people do: by the numbers of an IPv4 address, then names, then ports."""
    host, _, port = address.rpartition(":")
    try:
        return IPv4Address(host).packed, "", int(port)
    except ValueError:
        return b"\xff" * 5, host, int(port) if port.isdecimal() else 0


def _node(machine: Machine, node: Node, now: float, wall: Wall) -> NodeSeen:
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
        why=explain(node, registry, now) if node.rung != "ready" else None,
        advice=advise_on(node, registry),
        models=[ModelSeen(model, place.ready and not node.lags) for model, place in placed],
        breaker=BreakerSeen(row.state, row.reason, row.since, row.until),
        was=node.fell_from,
        sources=sorted(node.sources),
        latency=round(node.latency, 6) if node.up else None,
        capacity=_capacity(node, wall),
        trust=node.trust,
    )


def _capacity(node: Node, wall: Wall) -> CapacitySeen | None:
    known = node.capacity
    if known is None or not node.up:  # what a node had when it fell is not free now
        return None
    return CapacitySeen(**asdict(known), read_at=wall(node.capacity_at))


def to_trust(nodes: Iterable[Node]) -> str | None:
    """Say by which one command a person trusts those nodes that are only found."""
    found = [node.address for node in nodes if only_found(node)]
    if not found:
        return None
    return f"exo-supervisor nodes trust {found[0] if len(found) == 1 else '--all'}"


def only_found(node: Node) -> bool:
    """Say whether a node answers and is not trusted; an alias goes by its other address."""
    return node.up and node.trust == "found" and node.alias_of is None
