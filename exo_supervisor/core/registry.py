"""Who is there: nodes, and the clusters they form.

The registry owns these tables and empties them; it answers `where is this model ready` from an
index that is kept up to date as things change, so that a question costs the same in a large house.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from exo_supervisor.core.clusters import Grouping, regroup
from exo_supervisor.core.condition import Condition, Reading, Told, tell_lag
from exo_supervisor.core.events import NodeSighted, Placed, PlacementRead, ProbeAnswered, Why
from exo_supervisor.core.kin import Kin
from exo_supervisor.core.known import remember
from exo_supervisor.core.members import look, weigh
from exo_supervisor.core.names import Address, ClusterKey, ModelId, NodeId, Scope
from exo_supervisor.core.nodes import Cluster, Node, carry_over, claim, join, mates, views_of
from exo_supervisor.core.standing import Standing
from exo_supervisor.core.unproven import Unproven

MAX_NODES = 2048
"""Nodes that are remembered at once; further sightings are dropped."""
MISSES = 3
"""Failed probes in a row that take a node down."""
RETURNS = 2
"""Answered probes in a row that bring a node back; a new one needs a single answer."""
EMPTY_LIST = 15.0
"""Seconds for which an empty list of nodes keeps the last grouping: clusters form slowly."""
FORGET = 600.0
"""Seconds after which a silent node that no person named is forgotten."""


class Registry:
    """Owns nodes and clusters; every method leaves the index true."""

    def __init__(self) -> None:
        self.nodes: dict[Address, Node] = {}
        self.clusters: dict[ClusterKey, Cluster] = {}
        self.known: dict[ModelId, None] = {}
        self.cards: dict[ModelId, None] = {}
        self.unproven = Unproven()
        self._ids: dict[NodeId, Address] = {}
        self._kin = Kin()
        self._standing = Standing(self.nodes, self.clusters)

    def where_ready(self, model: ModelId) -> list[Address]:
        """List the nodes that can answer for a model now."""
        return self._standing.ready.nodes(model)

    def ready_models(self) -> Iterator[ModelId]:
        """List the models that some node can answer for now."""
        return iter(self._standing.ready)

    @property
    def version(self) -> int:
        """A number that grows with every change of who is ready for what."""
        return self._standing.ready.version

    def ready_changes(self) -> list[tuple[ModelId, bool]]:
        """List the models that became ready, or ceased to be, since this was last asked."""
        return self._standing.ready.changes()

    def where_placed(self, model: ModelId) -> Iterator[tuple[Cluster, Placed]]:
        """List the clusters in which a model stands, ready or not."""
        return self._standing.where(model)

    def note_aborted(self, scope: Scope) -> None:
        """Count an answer that was closed before its end, where a cluster's state keeps its prompt.

        It does in Exo B and C: the message that would delete the cancelled task is never sent.
        """
        cluster = self.clusters.get(ClusterKey(scope))
        if cluster is not None and cluster.generation != "A":
            cluster.condition.aborted += 1

    def any_up(self) -> bool:
        """Say whether any node answers."""
        return any(node.up for node in self.nodes.values())

    def has_room(self, event: NodeSighted) -> bool:
        """Say whether a sighting can be taken in."""
        if event.node in self.nodes:
            return True
        return len(self.nodes) < MAX_NODES and (event.seeded or not self.unproven.is_full)

    def sight(self, event: NodeSighted, now: float) -> bool:
        """Take a sighting in; True if the node is new and is to be watched."""
        node = self.nodes.get(event.node)
        if node is None:
            if not self.has_room(event):
                return False
            if not event.seeded:
                self.unproven.add(event.node, now)
            node = Node(event.node, event.url, now, event.seeded, {event.source}, heard=now)
            node.claims = None if event.claimed is None else {event.claimed: None}
            self.nodes[event.node] = node
            return True
        node.sources.add(event.source)
        node.seeded = node.seeded or event.seeded
        if event.seeded:
            self.unproven.drop(event.node)
        node.heard = max(node.heard, now)
        claim(node, event.claimed)
        return False

    def belied(self, event: ProbeAnswered) -> bool:
        """Say whether somebody answers whom none of a node's sources announced there.

        IPFS and others announce themselves as Exo 1.0 does, and a Docker bridge's address leads
        from each host to another node. One that proved to be whom a source announced may restart.
        """
        claims = self.nodes[event.node].claims
        return claims is not None and event.node_id not in claims

    def answered(self, event: ProbeAnswered, now: float) -> Literal["up", "restarted", "same"]:
        """Take a probe's answer in, and tell what it changed."""
        node = self.nodes[event.node]
        node.claims = None
        former = node.node_id
        restarted = former is not None and former != event.node_id
        if restarted:
            self._release_id(node)
            node.restarted_at = now
        node.generation, node.version = event.generation, event.version
        node.node_id, node.state_paths = event.node_id, event.state_paths
        node.latency, node.heard = event.latency, now
        node.why, node.detail, node.misses = None, "", 0
        node.returns += 1
        alias_of = node.alias_of
        self._claim_id(node)
        came_up = not node.up and (not node.was_up or restarted or node.returns >= RETURNS)
        if came_up:
            node.up = node.was_up = True
            node.fell_from = None
            self.unproven.drop(event.node)
            node.looked = node.looked or node.alias_of is not None
        if restarted:
            self._forget_state(node)
        self._settle(node, now, moved=came_up or node.alias_of != alias_of)
        self._standing.follow_id(node, former, now)
        if came_up:
            return "up"
        return "restarted" if restarted else "same"

    def missed(self, address: Address, why: Why, detail: str, now: float) -> bool:
        """Take a failed probe in; True if the node went down by it."""
        node = self.nodes[address]
        node.misses, node.returns = node.misses + 1, 0
        node.why, node.detail, node.looked = why, detail, True
        fell = node.up and node.misses >= MISSES
        if fell:
            node.up, node.fell_from = False, node.rung
        if node.misses >= MISSES:  # another address of it may be well
            self._release_id(node)
        self._settle(node, now, moved=fell)
        self._standing.follow_id(node, node.node_id, now)
        return fell

    def read(self, event: PlacementRead, now: float) -> Reading:
        """Take what a member told of its cluster in, and say what it tells of the cluster."""
        node = self.nodes[event.node]
        node.looked, node.unread = True, None
        if node.alias_of is not None or node.generation is None:
            return Reading()
        grouping = self._list(node, event.listed, now)
        if node.cluster is None:
            return Reading(grouping)
        cluster, before = self.clusters[node.cluster], node.view
        node.view = look(before, event, now)
        verdict = weigh(views_of(cluster, self.nodes, node), node.address, before, now)
        for member in cluster.members:
            mate = self.nodes[member]
            mate.view = verdict.views.get(member, None if verdict.elected else mate.view)
        was = Told(cluster.key, cluster.index, cluster.told, first=cluster.read_at < 0)
        said = [*cluster.condition.take(was, event, verdict, now)]
        if node.view is not None and len(verdict.views) > 1:
            said += tell_lag(node.address, cluster.key, before, node.view, now)
        cluster.index, cluster.read_at = verdict.truth.index, verdict.truth.read_at
        remember(self.known, verdict.truth.models)
        lags_changed = self._standing.note_lags(cluster)
        self._standing.stand(cluster, dict(verdict.truth.models), now)
        if lags_changed:
            self._standing.moved(cluster, now)
        return Reading(grouping, tuple(said), verdict.ask)

    def unplace(self, address: Address, model: ModelId, now: float) -> None:
        """Believe a node that says a model is not placed, until its state is read again."""
        node = self.nodes.get(address)
        if node is None or node.cluster is None:
            return
        cluster = self.clusters[node.cluster]
        if model in cluster.models:
            told = Placed(model, ready=False, why="not_placed")
            self._standing.stand(cluster, {**cluster.told, model: told}, now)

    def reader(self, cluster: Cluster) -> Address | None:
        """Pick the member to ask next; they take turns, so that a deaf one cannot hide a state."""
        up = [member for member in cluster.members if self.nodes[member].up]
        cluster.turn += 1
        return up[cluster.turn % len(up)] if up else None

    def forgettable(self, now: float) -> list[Address]:
        """List the nodes that no person named and that have been silent for long."""
        return [
            node.address
            for node in self.nodes.values()
            if not node.seeded and not node.up and now - node.heard >= FORGET
        ]

    def forget(self, address: Address, now: float) -> Grouping | None:
        """Drop a node; the new grouping, where it belonged to one."""
        node = self.nodes.pop(address)
        self.unproven.drop(address)
        self._release_id(node)
        self._standing.drop_id(node)
        self._kin.lists(address, node.listed, ())
        if node.cluster is None:
            return None
        cluster = self.clusters[node.cluster]
        cluster.members = tuple(m for m in cluster.members if m != address)
        grouping = self._group(cluster.members, now)
        if not cluster.members:
            self._standing.stand(cluster, {}, now)
            del self.clusters[cluster.key]
        return grouping

    def address_of(self, node_id: NodeId) -> Address | None:
        """Find the node that goes by an id now."""
        return self._ids.get(node_id)

    def _claim_id(self, node: Node) -> None:
        """Let the first address of a node stand for it; its other addresses are aliases."""
        if node.node_id is None:
            return
        holder = self._ids.setdefault(node.node_id, node.address)
        node.alias_of = None if holder == node.address else holder

    def _release_id(self, node: Node) -> None:
        if node.node_id is not None and self._ids.get(node.node_id) == node.address:
            del self._ids[node.node_id]

    def _forget_state(self, node: Node) -> None:
        """Drop what a node told before it got a new id: its state is empty now."""
        self._kin.lists(node.address, node.listed, ())
        node.listed, node.listed_at, node.view = (), None, None
        if node.cluster is None:
            return
        cluster = self.clusters[node.cluster]
        if cluster.members == (node.address,):
            cluster.index, cluster.condition = None, Condition()
            self._standing.stand(cluster, {}, node.heard)
        else:  # the others' state is not its own until it says so itself
            cluster.members = tuple(m for m in cluster.members if m != node.address)
            node.cluster = None
            self._standing.moved(cluster, node.heard)

    def _list(self, node: Node, listed: tuple[NodeId, ...], now: float) -> Grouping | None:
        """Take a node's list in; an empty one keeps the last grouping for a while."""
        last = now if node.listed_at is None else node.listed_at
        if node.listed and not listed and now - last < EMPTY_LIST:
            return None
        changed = node.cluster is None or node.listed != listed or self._has_alias(node.cluster)
        self._kin.lists(node.address, node.listed, listed)
        node.listed, node.listed_at = listed, now if listed else last
        return self._group((node.address,), now) if changed else None

    def _has_alias(self, key: ClusterKey) -> bool:
        return any(self.nodes[m].alias_of is not None for m in self.clusters[key].members)

    def _group(self, changed: Iterable[Address], now: float) -> Grouping:
        """Group anew the nodes that a change can concern, and carry their clusters over."""
        told = self._kin.of(changed, self.nodes, self.clusters, self._ids)
        edges = {n.address: mates(n, told, self._ids) for n in told if n.alias_of is None}
        old = {n.address: n.cluster for n in told if n.cluster is not None}
        before = {key: self.clusters.pop(key) for key in dict.fromkeys(old.values())}
        grouping = regroup(edges, old, self.clusters)
        after = carry_over(before, grouping, self.nodes)
        self.clusters |= after
        parents = dict(grouping.born)
        for cluster in after.values():
            for member in cluster.members:
                join(self.nodes[member], cluster.key, parents, now)
        self._standing.regrouped(before.values(), after.values())
        for node in told:
            if node.alias_of is not None:
                node.cluster = None
            self._standing.climb(node, now)
        return grouping

    def _settle(self, node: Node, now: float, *, moved: bool) -> None:
        if moved and node.cluster is not None:
            self._standing.moved(self.clusters[node.cluster], now)
        self._standing.climb(node, now)
