"""Which clusters a model may be placed on now: those that answer and have settled.

Two clusters that merge keep one state of two, and a model that was placed meanwhile may come late
or twice. So nothing is placed while any grouping changes, nor while a member still shows the state
of the cluster that it came from.
"""

from collections.abc import Iterator
from math import inf

from exo_supervisor.core.fleet.nodes import Cluster, Node
from exo_supervisor.core.fleet.registry import Registry
from exo_supervisor.core.names import Address, ClusterKey
from exo_supervisor.core.policy import WAITS, Waits

RESTLESS = 60.0
"""Seconds of changes after which those of other clusters are not waited for any more."""
GONE = 30.0
"""Seconds of silence after which what stood on a cluster is lost with it."""


class Eligibility:
    """Watches clusters settle; what it remembers leaves with them."""

    def __init__(self, registry: Registry, waits: Waits = WAITS) -> None:
        self._registry, self._waits = registry, waits
        self._settled_at: dict[ClusterKey, float] = {}
        self._elected: dict[ClusterKey, float | None] = {}
        self._members: dict[ClusterKey, tuple[Address, ...]] = {}
        self._grouping_version, self._began = -1, inf
        self._stirred = (-inf, -inf)

    def changed(self, now: float) -> bool:
        """Say whether any cluster is new, was re-elected or has other members."""
        if self._registry.grouping_version == self._grouping_version:
            return False
        self._grouping_version = self._registry.grouping_version
        clusters, changed = self._registry.clusters, False
        self._began = min(self._began, now)
        for key, cluster in clusters.items():
            elected_at = cluster.condition.elected_at
            stirred = self._members.get(key) != cluster.members
            if stirred or self._elected[key] != elected_at:
                self._settled_at[key] = now + self._waits.settle
                changed = True
            self._elected[key] = elected_at
        for key in [key for key in self._settled_at if key not in clusters]:
            del self._settled_at[key], self._elected[key]
        members = {key: cluster.members for key, cluster in clusters.items()}
        if members != self._members:
            first, last = self._stirred
            self._stirred = (now if now >= last + self._waits.settle else first, now)
            self._members, changed = members, True
        return changed

    def candidates(self) -> Iterator[tuple[Cluster, Node]]:
        """List the clusters that take placements, each with who is to be asked.

        That is no laggard where another answers. Who has no state takes no placement, and strangers
        take none where a trusted cluster does.
        """
        clusters = self._registry.clusters.values()
        trusted = any(self._is_trusted(each) and self._answers(each) for each in clusters)
        for cluster in clusters:
            if trusted and not self._is_trusted(cluster):
                continue
            up = [node for m in cluster.members if (node := self._registry.nodes[m]).up]
            node = min(up, key=lambda node: node.lags, default=None)
            if node is not None and cluster.peer.has_state:
                yield cluster, node

    def counts(self, cluster: Cluster, now: float) -> bool:
        """Say whether what stands on a cluster stands: on a stranger's, if none is trusted."""
        if self._is_trusted(cluster):
            return True
        clusters = self._registry.clusters.values()
        return not any(
            self._is_trusted(each) and each.peer.has_state and self.alive(each, now)
            for each in clusters
        )

    def _is_trusted(self, cluster: Cluster) -> bool:
        """Say whether a cluster's members are trusted: all of them are, or none."""
        return any(self._registry.nodes[member].trust != "found" for member in cluster.members)

    def _answers(self, cluster: Cluster) -> bool:
        up = any(self._registry.nodes[member].up for member in cluster.members)
        return up and cluster.peer.has_state

    def settled(self, cluster: Cluster, now: float) -> bool:
        """Say whether a cluster has settled, so that what it says of a model will last."""
        views = (self._registry.nodes[member].view for member in cluster.members)
        moves = any(view is not None and (view.foreign or view.fell_at) for view in views)
        if cluster.condition.frozen or moves:
            return False
        calm = now >= max(
            self._calm_at(), self._settled_at.get(cluster.key, now + self._waits.settle)
        )
        return calm and self.alive(cluster, now)

    def stood(self, cluster: Cluster, since: float, now: float) -> bool:
        """Say whether a cluster answers and was in one session and alone from an instant on."""
        elected_at = cluster.condition.elected_at
        stirred_at = self._settled_at.get(cluster.key, inf) - self._waits.settle
        changed_at = max(elected_at or -inf, stirred_at)
        return changed_at < since and self.alive(cluster, now)

    def settled_at(self, now: float) -> float | None:
        """Tell when the next cluster will have settled."""
        instants = (max(at, self._calm_at()) for at in self._settled_at.values())
        return min((at for at in instants if at > now), default=None)

    def _calm_at(self) -> float:
        """Tell when all groupings have stood for long enough, or were waited for long enough."""
        first, last = self._stirred
        calm_at = min(last + self._waits.settle, first + RESTLESS)
        return max(self._began + self._waits.restarted, calm_at)

    def alive(self, cluster: Cluster, now: float) -> bool:
        """Say whether any member answers, or did a moment ago."""
        nodes = [self._registry.nodes[member] for member in cluster.members]
        return any(node.up or now - node.heard < GONE for node in nodes)
