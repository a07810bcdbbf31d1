"""How models stand on clusters, as we know it, and which nodes can answer for them now.

`stand`, `moved`, `regrouped` and `follow_id` are told of what changed; each judges the models that
it concerns (a cluster's state, its condition, and which hosts answer) and publishes who is ready.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from exo_supervisor.core.fleet.condition import judge
from exo_supervisor.core.fleet.hosts import Hosts
from exo_supervisor.core.fleet.nodes import Cluster, Node, rung_of
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.fleet.trust import Trust
from exo_supervisor.core.names import Address, ClusterKey, ModelId, NodeId


class ModelIndex:
    """Owns who holds and who is ready for which model; the registry tells it of changes.

    Every method leaves the indexes, and the rungs of the nodes concerned, true. `version` grows
    with every change of who is ready for what, `shape` with every change of how a node, its cluster
    or the copies of a model stand: what is made from those is made anew then.
    """

    def __init__(
        self,
        nodes: Mapping[Address, Node],
        clusters: Mapping[ClusterKey, Cluster],
        trust: Trust,
    ) -> None:
        self._nodes, self._clusters, self._trust = nodes, clusters, trust
        self._hosts = Hosts()
        self._holders: dict[ModelId, dict[ClusterKey, list[Address]]] = {}
        self._ready: dict[ModelId, list[Address]] = {}
        self._was_ready: dict[ModelId, bool] = {}
        self.version = self.shape = 0

    def ready(self) -> Iterator[ModelId]:
        """List the models that some node can answer for now."""
        return iter(self._ready)

    def where_ready(self, model: ModelId) -> list[Address]:
        """List the nodes that can answer for a model now."""
        return self._ready.get(model, [])

    def changes(self) -> list[tuple[ModelId, bool]]:
        """List the models that became ready or ceased to be since the last call, with which."""
        if not self._was_ready:
            return []
        found = [
            (model, model in self._ready)
            for model, was in sorted(self._was_ready.items())
            if was != (model in self._ready)
        ]
        self._was_ready.clear()
        return found

    def where(self, model: ModelId) -> Iterator[tuple[Cluster, Placed]]:
        """List the clusters in which a model stands, ready or not."""
        for key in tuple(self._holders.get(model, ())):
            cluster = self._clusters.get(key)
            if cluster is not None and (placed := cluster.models.get(model)) is not None:
                yield cluster, placed

    def is_placed(self, model: ModelId) -> bool:
        """Say whether a model stands anywhere, ready or not."""
        return next(self.where(model), None) is not None

    def placed(self) -> Iterator[ModelId]:
        """List the models that stand somewhere."""
        return (model for model in tuple(self._holders) if self.is_placed(model))

    def stand(self, cluster: Cluster, told: Mapping[ModelId, Placed], now: float) -> None:
        """Take in how a cluster's models stand, as its state has it, and which members lag."""
        lags, told = self._note_lags(cluster), dict(told)
        if told != cluster.told:
            self._hosts.stand(cluster.key, cluster.told, told)
            cluster.told = told
            self.shape += 1
        old = cluster.models
        cluster.models = {model: self._judge(cluster, placed) for model, placed in told.items()}
        cluster.condition.wait(cluster.models, now)
        self._hold(cluster, cluster.models.keys() - old.keys())
        if lags or old != cluster.models:
            self._reindex(cluster, old.keys() | cluster.models.keys(), now)
        self._judge_on(lags, now)  # another cluster may still name a host that left it

    def _note_lags(self, cluster: Cluster) -> list[NodeId]:
        """Note which members lag, and list those of which that changed."""
        nodes = [self._nodes[member] for member in cluster.members]
        known = [(node, node.node_id) for node in nodes if node.node_id is not None]
        return [name for node, name in known if self._hosts.note_lag(name, lagging=node.lags)]

    def follow_id(self, node: Node, former: NodeId | None, now: float) -> None:
        """Judge anew what stands on an id that began or ceased to answer."""
        moved: list[NodeId] = []
        if former is not None and (former != node.node_id or not node.up):
            moved += [former] if self._hosts.left(former, node.address) else []
        if node.node_id is not None and node.up:
            moved += [node.node_id] if self._hosts.answered(node.node_id, node.address) else []
        self._judge_on(moved, now)

    def _judge_on(self, hosts: Iterable[NodeId], now: float) -> None:
        """Judge anew what stands on some hosts, in whichever cluster."""
        for key, model in [stand for host in hosts for stand in self._hosts.on(host)]:
            cluster = self._clusters[key]
            cluster.models[model] = self._judge(cluster, cluster.told[model])
            cluster.condition.wait(cluster.models, now)
            self._reindex(cluster, {model}, now)

    def drop_id(self, node: Node) -> None:
        """Take in that a node is forgotten, and its id answers there no more."""
        if node.node_id is not None:
            self._hosts.left(node.node_id, node.address)

    def ignore_id(self, node: Node, former: NodeId | None) -> None:
        """Take no word of a node on who answers by an id."""
        for node_id in (node.node_id, former):
            if node_id is not None:
                self._hosts.forget(node_id, node.address)

    def regrouped(self, before: Collection[Cluster], after: Collection[Cluster]) -> None:
        """Take in that some clusters gave way to others; rungs are left to `climb`."""
        models: set[ModelId] = set()
        for cluster in before:
            self._hosts.stand(cluster.key, cluster.told, {})
            models.update(cluster.models)
        for cluster in after:
            self._hosts.stand(cluster.key, {}, cluster.told)
            self._hold(cluster, cluster.models)
            models.update(cluster.models)
        self.shape += 1
        serving = {cluster.key: self._serving(cluster) for cluster in after}
        for model in models:
            self._rebuild(model, serving)

    def moved(self, cluster: Cluster, now: float) -> None:
        """Take in that members of a cluster rose, fell, came or went."""
        self._reindex(cluster, cluster.models.keys(), now)

    def climb(self, node: Node, now: float) -> None:
        """Put a node on its rung."""
        cluster = None if node.cluster is None else self._clusters[node.cluster]
        rung = rung_of(node, cluster)
        if rung != node.rung:
            node.rung, node.since = rung, now

    def _judge(self, cluster: Cluster, told: Placed) -> Placed:
        return judge(told, cluster.condition, self._hosts.ails)

    def _reindex(self, cluster: Cluster, models: Iterable[ModelId], now: float) -> None:
        self.shape += 1
        serving = self._serving(cluster)
        for model in models:
            self._set(cluster, model, serving)
        for member in cluster.members:
            self.climb(self._nodes[member], now)

    def _hold(self, cluster: Cluster, models: Iterable[ModelId]) -> None:
        for model in models:
            self._holders.setdefault(model, {}).setdefault(cluster.key, [])

    def _set(self, cluster: Cluster, model: ModelId, serving: list[Address]) -> None:
        """Set who of a cluster is ready for a model; most often that is who was so before.

        A state names up to hundreds of models and a change concerns one of them. So the members are
        looked at once for all of them, and the others end here.
        """
        held, placed = self._holders.setdefault(model, {}), cluster.models.get(model)
        if placed is None:
            held.pop(cluster.key, None)
        else:
            here = serving if placed.ready else []
            if held.get(cluster.key) == here:
                return
            held[cluster.key] = here
        self._publish(model, held)

    def _rebuild(self, model: ModelId, serving: Mapping[ClusterKey, list[Address]]) -> None:
        """Set who is ready for a model, and let go of the clusters that hold it no more.

        `serving` are the members of the clusters that are new.
        """
        before = self._holders.get(model, {})
        held: dict[ClusterKey, list[Address]] = {}
        for cluster, placed in self.where(model):
            here = serving.get(cluster.key) if placed.ready else []
            held[cluster.key] = before[cluster.key] if here is None else here
        self._publish(model, held)

    def _publish(self, model: ModelId, held: dict[ClusterKey, list[Address]]) -> None:
        if held:
            self._holders[model] = held
        else:
            self._holders.pop(model, None)
        nodes = [node for nodes in held.values() for node in nodes]
        if nodes == self.where_ready(model):
            return
        self.version += 1
        self._was_ready.setdefault(model, model in self._ready)
        if nodes:
            self._ready[model] = nodes
        else:
            del self._ready[model]

    def _serving(self, cluster: Cluster) -> list[Address]:
        return [member for member in cluster.members if self._may_serve(self._nodes[member])]

    def _may_serve(self, node: Node) -> bool:
        """Say whether a node may be sent prompts at all."""
        wanted = node.trust != "found" or not self._trust.strict
        return node.up and node.alias_of is None and not node.lags and wanted
