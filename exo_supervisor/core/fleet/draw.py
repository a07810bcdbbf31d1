"""What the nodes draw that stand behind a target."""

from msgspec import Struct

from exo_supervisor.core.fleet.registry import Registry
from exo_supervisor.core.names import Address, ClusterKey, NodeId

_MOST = 100_000
"""Watts: a machine that reads more is mistaken."""


class Watts(Struct, frozen=True):
    """Milliwatts of a node at work that does not read its own, and what each draws anyway."""

    working: int = 0
    idle: int = 0


def draw_of(
    registry: Registry, target: Address, watts: Watts
) -> tuple[ClusterKey | Address, int | None]:
    """Return which cluster answers at a target, and the milliwatts of its nodes that run models.

    What a node read itself when it was asked last goes before what is said of all; None where
    neither is known of one of them. Where nobody tells who runs what, all members do.
    """
    node = registry.nodes.get(target)
    cluster = None if node is None or node.cluster is None else registry.clusters[node.cluster]
    if cluster is None:
        return target, _above_idle([None], watts)
    models = cluster.models.values()
    hosts = {host for placed in models for each in placed.instances for host in each.hosts}
    found = [_of_host(registry, host) for host in hosts]
    return cluster.key, _above_idle(
        found or [_read(registry, each) for each in cluster.members], watts
    )


def _of_host(registry: Registry, host: NodeId) -> int | None:
    address = registry.address_of(host)
    return None if address is None else _read(registry, address)


def _read(registry: Registry, address: Address) -> int | None:
    capacity = registry.nodes[address].capacity
    power = None if capacity is None else capacity.power
    return int(power * 1000) if power is not None and 0 < power <= _MOST else None


def _above_idle(found: list[int | None], watts: Watts) -> int | None:
    """Sum up what is drawn for the sake of work."""
    drawn = [watts.working if each is None else each for each in found]
    return sum(max(0, each - watts.idle) for each in drawn) if all(drawn) else None
