"""Who is there: nodes, and the clusters they form.

The registry owns these tables and empties them; it answers `where is this model ready` from an
index that is kept up to date as things change, so that a question costs the same in a large house.

It is long because it is the one place that knows in which order the tables follow a change: ids
first, since who goes by an id decides who is an alias; then the groups, since they say which nodes
share a state; then what stands where, and the rungs last, since they are read off all of it.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from math import inf
from typing import Literal

from exo_supervisor.core.events import (
    AddressesRead,
    NodeSighted,
    Placed,
    PlacementRead,
    ProbeAnswered,
    ProbeFailed,
)
from exo_supervisor.core.fleet.components import Components
from exo_supervisor.core.fleet.condition import Condition, Reading, Told, tell_lag
from exo_supervisor.core.fleet.kinship import bonds
from exo_supervisor.core.fleet.known import Known
from exo_supervisor.core.fleet.members import look, weigh
from exo_supervisor.core.fleet.model_index import ModelIndex
from exo_supervisor.core.fleet.nodes import (
    Cluster,
    Node,
    carry_over,
    claim,
    join,
    note_miss,
    views_of,
)
from exo_supervisor.core.fleet.topology import Grouping, regroup
from exo_supervisor.core.fleet.trust import Trust, outranks
from exo_supervisor.core.fleet.twins import compare, tell_twin
from exo_supervisor.core.fleet.unverified import Unverified
from exo_supervisor.core.names import Address, ClusterKey, Generation, ModelId, NodeId, Scope
from exo_supervisor.core.policy import ANY_PEER, PeerRules, Policy

MAX_NODES = 2048
"""Nodes that are remembered at once; further sightings are dropped."""
MISSES = 3
"""Failed probes in a row that take a node down."""
RETURNS = 2
"""Answered probes in a row that bring a node back; a new one needs a single answer."""
EMPTY_LIST = 15.0
"""Seconds for which an empty list of nodes keeps the last grouping: clusters form slowly."""
MOST_ASKED = 4
"""Nodes that are asked at once whether they list one that lists them."""


class Registry:
    """Owns nodes and clusters; every method leaves the index true."""

    def __init__(
        self, trust: Trust | None = None, peers: Mapping[Generation, PeerRules] | None = None
    ) -> None:
        self.trust, self._peers = trust or Trust(), peers or {}
        self.nodes: dict[Address, Node] = {}
        self.clusters: dict[ClusterKey, Cluster] = {}
        self.cards: dict[ModelId, None] = {}
        self.unverified = Unverified()
        self._ids: dict[NodeId, Address] = {}
        self._components = Components()
        self._one_sided: dict[Address, float] = {}
        self._waits: dict[Address, list[Address]] = {}
        self._groupings: list[Grouping] = []
        self._model_index = ModelIndex(self.nodes, self.clusters, self.trust)
        self.ready = self._model_index.ready
        self.known = Known(self._model_index.is_placed, self._model_index.placed)

    def where_ready(self, model: ModelId, *, local_only: bool = False) -> list[Address]:
        """List the nodes that can answer for a model now, and may be sent such a prompt."""
        ready = self.ready.nodes(model)
        return (
            [each for each in ready if self.nodes[each].trust != "found"] if local_only else ready
        )

    def ready_models(self) -> Iterator[ModelId]:
        """List the models that some node can answer for now."""
        return iter(self.ready)

    @property
    def version(self) -> int:
        """A number that grows with every change of who is ready for what."""
        return self.ready.version

    def ready_changes(self) -> list[tuple[ModelId, bool]]:
        """List the models that became ready, or ceased to be, since this was last asked."""
        return self.ready.changes()

    def where_placed(self, model: ModelId) -> Iterator[tuple[Cluster, Placed]]:
        """List the clusters in which a model stands, ready or not."""
        return self._model_index.where(model)

    def note_aborted(self, scope: Scope) -> None:
        """Count an answer that was closed before its end, where a cluster's state keeps its prompt.

        The message that would delete the cancelled task is never sent there.
        """
        cluster = self.clusters.get(ClusterKey(scope))
        if cluster is not None and cluster.peer.has_state:
            cluster.condition.aborted += 1

    def any_up(self) -> bool:
        """Say whether any node answers."""
        return any(node.up for node in self.nodes.values())

    def has_room(self, event: NodeSighted) -> bool:
        """Say whether a sighting can be taken in."""
        if event.node in self.nodes:
            return True
        wanted = event.seeded or self.trust.is_kept(event.node)
        return len(self.nodes) < MAX_NODES and (wanted or not self.unverified.is_full)

    def sight(self, event: NodeSighted, now: float) -> bool:
        """Take a sighting in; True if the node is new and is to be watched."""
        node = self.nodes.get(event.node)
        if node is None:
            if not self.has_room(event):
                return False
            if not (event.seeded or self.trust.is_kept(event.node)):
                self.unverified.add(event.node, now)
            node = Node(event.node, event.url, now, event.seeded, {event.source}, heard=now)
            node.claims = None if event.claimed is None else {event.claimed: None}
            node.trust = self.trust.own(node)
            self.nodes[event.node] = node
            return True
        node.sources.add(event.source)
        if event.seeded and not node.seeded:
            node.seeded = True
            self.retrust(event.node, now)
        node.heard = max(node.heard, now)
        claim(node, event.claimed)
        return False

    def identity_mismatch(self, event: ProbeAnswered) -> bool:
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
        if former != event.node_id:
            node.met = now
        if (node.generation, node.state_paths) != (event.generation, event.state_paths):
            self.ready.shape += 1
        node.generation, node.version = event.generation, event.version
        node.peer = self._peers.get(event.generation, ANY_PEER)
        node.node_id, node.state_paths = event.node_id, event.state_paths
        node.latency, node.heard = event.latency, now
        node.why, node.detail, node.misses, node.missing_since = None, "", 0, None
        node.returns += 1
        alias_of = node.alias_of
        # One that was up before has to answer twice: a host that swaps answers now and then. A new
        # id is a new process, which owes nothing to what the old one did.
        came_up = not node.up and (not node.was_up or restarted or node.returns >= RETURNS)
        node.up = node.up or came_up
        self._claim_id(node, now)
        if came_up:
            node.was_up, node.fell_from = True, None
            self.unverified.drop(event.node)
            node.looked = node.looked or node.alias_of is not None
        if restarted:
            self._forget_state(node)
        self._settle(node, now, moved=came_up or node.alias_of != alias_of)
        if came_up or former != event.node_id or not node.up:
            self._follow_id(node, former, now)
        if came_up:
            return "up"
        return "restarted" if restarted else "same"

    def missed(self, event: ProbeFailed, now: float) -> bool:
        """Take a failed probe in; True if the node went down by it."""
        node = self.nodes[event.node]
        note_miss(node, event, now)
        fell = node.up and node.misses >= MISSES
        if fell:
            node.up, node.fell_from = False, node.rung
        if node.misses >= MISSES:  # another address of it may be well
            self._release_id(node)
        self._settle(node, now, moved=fell)
        self._follow_id(node, node.node_id, now)
        return fell

    def read(self, event: PlacementRead, now: float) -> Reading:
        """Take what a member told of its cluster in, and say what it tells of the cluster."""
        node = self.nodes[event.node]
        node.looked, node.unread = True, None
        if node.alias_of is not None and compare(node, self.nodes[node.alias_of], event, now):
            return Reading(said=(tell_twin(node),))
        if node.alias_of is not None or not node.was_up:
            return Reading()
        grouping = self._list(node, event.listed, now)
        if node.cluster is None:
            node.view = look(None, event, now)
            return Reading(grouping, ask=tuple(self._waits.get(node.address, ())[:MOST_ASKED]))
        # Members see one state at different times, and after an election not even the same one: so
        # each keeps a view of its own, and what the cluster is said to hold is weighed from all.
        cluster, before = self.clusters[node.cluster], node.view
        node.view = look(before, event, now)
        verdict = weigh(
            views_of(cluster, self.nodes, node), node.address, before, now, self._joins(node, event)
        )
        for member in cluster.members:
            mate = self.nodes[member]
            mate.view = verdict.views.get(member, None if verdict.elected else mate.view)
        was = Told(cluster.key, cluster.index, cluster.told, first=cluster.read_at < 0)
        said = [*cluster.condition.take(was, event, verdict, now)]
        view = verdict.views.get(node.address)
        if view is not None and len(verdict.views) > 1:
            said += tell_lag(node.address, cluster.key, before, view, now)
        cluster.index, cluster.read_at = verdict.truth.index, verdict.truth.read_at
        if event.downloaded is not None:
            cluster.downloaded = frozenset(event.downloaded)
        self.known.remember(event.node, verdict.truth.models)
        self._stand(cluster, verdict.truth.models, now)
        return Reading(grouping, tuple(said), verdict.ask)

    def _joins(self, node: Node, event: PlacementRead) -> list[Address]:
        """Name the nodes of another cluster that a member lists, as many as may be asked.

        Whoever goes by no id is listed by nobody and joins nobody.
        """
        if node.node_id is None:
            return []
        found = (self.nodes[at] for each in event.listed if (at := self._ids.get(each)) is not None)
        others = (other for other in found if other.cluster not in (None, node.cluster))
        return [other.address for other in islice(others, MOST_ASKED)]

    def _stand(self, cluster: Cluster, told: Mapping[ModelId, Placed], now: float) -> None:
        lags_changed = self._model_index.note_lags(cluster)
        self._model_index.stand(cluster, dict(told), now)
        if lags_changed:
            self._model_index.moved(cluster, now)

    def unplace(self, address: Address, model: ModelId, now: float) -> None:
        """Believe a node that says a model is not placed, until its state is read again."""
        node = self.nodes.get(address)
        if node is None or node.cluster is None:
            return
        cluster = self.clusters[node.cluster]
        if model in cluster.models:
            told = Placed(model, ready=False, why="not_placed")
            self._model_index.stand(cluster, {**cluster.told, model: told}, now)

    def reader(self, cluster: Cluster) -> Address | None:
        """Pick the member to ask next; they take turns, so that a deaf one cannot hide a state."""
        up = [member for member in cluster.members if self.nodes[member].up]
        cluster.turn += 1
        return up[cluster.turn % len(up)] if up else None

    def forgettable(self, now: float, silence: float) -> list[Address]:
        """List the nodes that no person named and that have been silent for so many seconds."""
        return [
            node.address
            for node in self.nodes.values()
            if not (node.seeded or self.trust.is_kept(node.address))
            if not node.up and now - node.heard >= silence
        ]

    def retrust(self, address: Address, now: float) -> None:
        """Look anew at whether a node is trusted, and whom it is in one cluster with."""
        node = self.nodes.get(address)
        if node is None:
            return
        node.trust = self.trust.own(node)
        if node.trust == "found":
            self.trust.forget(address)
        else:
            self.unverified.drop(address)
        if node.up and node.node_id is not None:
            self._claim_id(node, now)
        self._groupings.append(self._group((address,), now))

    def follow(self, policy: Policy, now: float) -> None:
        """Judge every node by another policy; who is no longer named may still be found."""
        self.trust.follow(policy.trust, strict=policy.keeps_strangers_out(), owned=policy.owned)
        self._peers = policy.peers
        self.ready.shape += 1
        named = {address for address, _ in policy.seeds}
        for address, node in self.nodes.items():
            node.seeded = node.seeded and address in named
            if node.generation is not None:
                node.peer = self._peers.get(node.generation, ANY_PEER)
            self.retrust(address, now)

    def vouch(self, event: AddressesRead, now: float) -> None:
        """Take in where a trusted node's state has the members of its cluster."""
        node = self.nodes.get(event.node)
        if node is None or self.trust.own(node) == "found":
            return
        if self.trust.told(event.node, event.addresses):
            self._groupings.append(self._group((event.node,), now))

    def groupings(self) -> list[Grouping]:
        """List the groupings that were made since this was last asked, beside those returned."""
        made, self._groupings = self._groupings, []
        return made

    def forget(self, address: Address, now: float) -> Grouping | None:
        """Drop a node; the new grouping, where it belonged to one."""
        node = self.nodes.pop(address)
        self.unverified.drop(address)
        self.trust.forget(address)
        self._one_sided.pop(address, None)
        self._waits.pop(address, None)
        self._release_id(node)
        self._model_index.drop_id(node)
        self._components.lists(address, node.listed, ())
        if node.cluster is None:
            return None
        cluster = self.clusters[node.cluster]
        cluster.members = tuple(m for m in cluster.members if m != address)
        grouping = self._group(cluster.members, now)
        if not cluster.members:
            self._model_index.stand(cluster, {}, now)
            del self.clusters[cluster.key]
        return grouping

    def _follow_id(self, node: Node, former: NodeId | None, now: float) -> None:
        """Let what stands on an id follow it, unless a stranger goes by a trusted cluster's id."""
        ids = {node.node_id, former} - {None}
        listers = (self.nodes[at] for each in ids if each for at in self._components.listers(each))
        if node.trust == "found" and any(lister.trust != "found" for lister in listers):
            self._model_index.ignore_id(node, former)
        else:
            self._model_index.follow_id(node, former, now)

    def address_of(self, node_id: NodeId) -> Address | None:
        """Find the node that goes by an id now."""
        return self._ids.get(node_id)

    def _claim_id(self, node: Node, now: float) -> None:
        """Let one address of a node stand for it; its other addresses are aliases.

        That is the one on the best ground, then the one that has gone by the id the longest: who
        took an id while its owner was away gives it back when the owner answers again.
        """
        if node.node_id is None:
            return
        holder = self.nodes[self._ids.setdefault(node.node_id, node.address)]
        if holder is node or not outranks(node, holder):
            node.alias_of = None if holder is node else holder.address
            node.twin = node.twin and node.alias_of is not None
            return
        self._ids[node.node_id] = node.address
        node.alias_of, node.twin, holder.alias_of = None, False, node.address
        self._groupings.append(self._group((holder.address,), now))

    def _release_id(self, node: Node) -> None:
        if node.node_id is not None and self._ids.get(node.node_id) == node.address:
            del self._ids[node.node_id]

    def _forget_state(self, node: Node) -> None:
        """Drop what a node told before it got a new id: its state is empty now."""
        self._components.lists(node.address, node.listed, ())
        node.listed, node.listed_at, node.view = (), None, None
        node.trust = self.trust.own(node)
        if node.cluster is None:
            return
        cluster = self.clusters[node.cluster]
        if cluster.members == (node.address,):
            cluster.index, cluster.condition = None, Condition()
            self._model_index.stand(cluster, {}, node.heard)
        else:  # the others' state is not its own until it says so itself
            cluster.members = tuple(m for m in cluster.members if m != node.address)
            node.cluster = None
            self._model_index.moved(cluster, node.heard)

    def _list(self, node: Node, listed: tuple[NodeId, ...], now: float) -> Grouping | None:
        """Take a node's list in; an empty one keeps the last grouping for a while."""
        last = now if node.listed_at is None else node.listed_at
        if node.listed and not listed and now - last < EMPTY_LIST:
            return None
        changed = node.cluster is None or node.listed != listed or self._is_stale(node.cluster, now)
        self._components.lists(node.address, node.listed, listed)
        node.listed, node.listed_at = listed, now if listed else last
        return self._group((node.address,), now) if changed else None

    def _is_stale(self, key: ClusterKey, now: float) -> bool:
        """Say whether a cluster holds an alias, or one that was to be in it for a while only."""
        members = self.clusters[key].members
        if any(now >= self._one_sided.get(member, inf) for member in members):
            return True
        return any(self.nodes[member].alias_of is not None for member in members)

    def _group(self, changed: Iterable[Address], now: float) -> Grouping:
        """Group anew the nodes that a change can concern, and carry their clusters over."""
        told = self._components.of(changed, self.nodes, self.clusters, self._ids)
        tied = bonds(told, self._components, self.trust, now)
        old = {n.address: n.cluster for n in told if n.cluster is not None}
        # Out of the table first, so that only the keys of clusters that stay count as taken beside.
        before = {key: self.clusters.pop(key) for key in dict.fromkeys(old.values())}
        grouping = regroup(tied.edges, old, self.clusters)
        after = carry_over(before, grouping, self.nodes)
        self.clusters |= after
        parents = dict(grouping.born)
        for cluster in after.values():
            for member in cluster.members:
                join(self.nodes[member], cluster.key, parents, now)
        # Trust comes from company, so it can change with it; an id that was ignored while its owner
        # was a stranger is followed at the end, when the clusters stand again.
        moved = [node for node in told if node.trust != tied.grounds[node.address]]
        for node in told:
            node.trust = tied.grounds[node.address]
            self._one_sided.pop(node.address, None)
        self._one_sided |= tied.until
        self._model_index.regrouped(before.values(), after.values())
        for node in told:
            self._waits.pop(node.address, None)
            if node.address not in tied.edges:
                node.cluster = None
            self._model_index.climb(node, now)
        self._waits |= tied.waits
        for cluster in after.values():
            self._stand(cluster, cluster.told, now)
        for node in moved:
            self._follow_id(node, node.node_id, now)
        return grouping

    def _settle(self, node: Node, now: float, *, moved: bool) -> None:
        if moved and node.cluster is not None:
            self._model_index.moved(self.clusters[node.cluster], now)
        self._model_index.climb(node, now)
