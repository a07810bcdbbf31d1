"""Which clusters a model may be placed on now: those that answer and have settled."""

from collections.abc import Iterator

from exo_supervisor.core.names import Address, ClusterKey
from exo_supervisor.core.nodes import Cluster, Node
from exo_supervisor.core.registry import Registry

HOLD = 5.0
"""Seconds that a cluster gets to settle, after it was found and after each election."""
GONE = 30.0
"""Seconds of silence after which what stood on a cluster is lost with it."""


class Grounds:
    """Watches clusters settle; what it remembers leaves with them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._firm_at: dict[ClusterKey, float] = {}
        self._elected: dict[ClusterKey, float | None] = {}
        self._members: dict[ClusterKey, tuple[Address, ...]] = {}

    def changed(self, now: float) -> bool:
        """Look at all clusters; say whether any is new, was re-elected or has other members."""
        clusters, changed = self._registry.clusters, False
        for key, cluster in clusters.items():
            elected_at = cluster.condition.elected_at
            if key not in self._firm_at or self._elected[key] != elected_at:
                self._firm_at[key] = now + HOLD
                changed = True
            self._elected[key] = elected_at
        for key in [key for key in self._firm_at if key not in clusters]:
            del self._firm_at[key], self._elected[key]
        members = {key: cluster.members for key, cluster in clusters.items()}
        changed = changed or members != self._members
        self._members = members
        return changed

    def open(self) -> Iterator[tuple[Cluster, Node]]:
        """List the clusters that take placements, each with who is to be asked.

        Generation A knows no placement.
        """
        for cluster in self._registry.clusters.values():
            up = (node for m in cluster.members if (node := self._registry.nodes[m]).up)
            node = next(up, None)
            if node is not None and cluster.generation != "A":
                yield cluster, node

    def firm(self, cluster: Cluster, now: float) -> bool:
        """Say whether a cluster has settled, so that what it says of a model will last."""
        return now >= self._firm_at.get(cluster.key, now + HOLD) and self.alive(cluster, now)

    def firm_at(self, now: float) -> float | None:
        """Tell when the next cluster will have settled."""
        return min((at for at in self._firm_at.values() if at > now), default=None)

    def alive(self, cluster: Cluster, now: float) -> bool:
        """Say whether any member answers, or did a moment ago."""
        nodes = [self._registry.nodes[member] for member in cluster.members]
        return any(node.up or now - node.heard < GONE for node in nodes)
