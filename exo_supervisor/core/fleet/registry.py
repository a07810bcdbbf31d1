"""Who is there: nodes, and the clusters they form.

A family of four. `nodes` says what a node and a cluster are, and how each takes in what was told of
itself. `Topology` owns ids, lists and ties: which address stands for a node, which nodes share a
state. `ModelIndex` owns what stands where, and who is ready for it. The registry owns the tables of
nodes and clusters and is the only one that calls the others: what an event tells of a node first,
then these steps as far as it needs them, never one after a later one.

1. ids: `release`, `claim`, `drop_id`. Who goes by an id decides who is an alias.
2. groups: `note_list`, `drop_list`, `leave`, `group`. They say which nodes share a state. To group
   is an event within the event, and goes on to the next steps for its own clusters.
3. models: `regrouped`, `stand`, `moved`, `follow_id`, `ignore_id`. An id is followed last, since
   one that a stranger goes by is not, and company decides who is a stranger.
4. rungs: `climb`. They are read off all of it.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from exo_supervisor.core.events import (
    AddressesRead,
    NodeSighted,
    PlacementRead,
    ProbeAnswered,
    ProbeFailed,
)
from exo_supervisor.core.fleet.condition import Condition, Reading
from exo_supervisor.core.fleet.grouping import Grouping
from exo_supervisor.core.fleet.known import Known
from exo_supervisor.core.fleet.members import look
from exo_supervisor.core.fleet.model_index import ModelIndex
from exo_supervisor.core.fleet.nodes import (
    MISSES,
    Cluster,
    Node,
    begin,
    claim,
    note_answer,
    note_miss,
    take_verdict,
    take_view,
)
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.fleet.topology import Topology
from exo_supervisor.core.fleet.trust import Trust
from exo_supervisor.core.fleet.twins import compare
from exo_supervisor.core.fleet.unverified import Unverified
from exo_supervisor.core.names import Address, ClusterKey, Generation, ModelId, NodeId, Scope
from exo_supervisor.core.policy import ANY_PEER, PeerRules, Policy

MAX_NODES = 2048
"""Nodes that are remembered at once; further sightings are dropped."""


class Registry:
    """Owns nodes and clusters; every method leaves the index true."""

    def __init__(
        self, trust: Trust | None = None, peers: Mapping[Generation, PeerRules] = {}
    ) -> None:
        self.trust, self._peers = trust or Trust(), peers
        self.nodes: dict[Address, Node] = {}
        self.clusters: dict[ClusterKey, Cluster] = {}
        self.cards: dict[ModelId, tuple[str, ...]] = {}
        self.unverified = Unverified()
        self.topology = Topology(self.nodes, self.clusters, self.trust)
        self.models = ModelIndex(self.nodes, self.clusters, self.trust)
        self.known = Known(self.models.is_placed, self.models.placed)
        self.address_of = self.topology.address_of
        self.ready_models, self.where_placed = self.models.ready, self.models.where
        self.grouping_version = 0
        """Grows with every change of which clusters there are, with which members and session."""
        self._groupings: list[Grouping] = []

    def where_ready(self, model: ModelId, *, local_only: bool = False) -> list[Address]:
        """List the nodes that can answer for a model now, and may be sent such a prompt."""
        ready = self.models.where_ready(model)
        if not local_only:
            return ready
        return [each for each in ready if self.nodes[each].trust != "found"]

    def note_aborted(self, scope: Scope) -> None:
        """Count an answer that was cut, where the cluster's state keeps its prompt for that."""
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
            node = self.nodes[event.node] = begin(event, now)
            node.trust = self.trust.own(node)
            return True
        node.sources.add(event.source)
        if event.seeded and not node.seeded:
            node.seeded = True
            self.retrust(event.node, now)
        node.heard = max(node.heard, now)
        claim(node, event.claimed)
        return False

    def answered(self, event: ProbeAnswered, now: float) -> Literal["up", "restarted", "same"]:
        """Take a probe's answer in, and tell what it changed."""
        node = self.nodes[event.node]
        former, alias_of = node.node_id, node.alias_of
        restarted = former is not None and former != event.node_id
        if restarted:
            self.topology.release(node)
        if (node.generation, node.state_paths) != (event.generation, event.state_paths):
            self.models.shape += 1
        came_up = note_answer(node, event, now)
        node.peer = self._peers.get(event.generation, ANY_PEER)
        self._claim_id(node, now)
        if came_up:
            self.unverified.drop(event.node)
            node.looked = node.looked or node.alias_of is not None
        if restarted:
            self._forget_state(node)
        if came_up or node.alias_of != alias_of:
            self._move(node, now)
        if came_up or former != event.node_id or not node.up:
            self._follow_id(node, former, now)
        self.models.climb(node, now)
        if came_up:
            return "up"
        return "restarted" if restarted else "same"

    def missed(self, event: ProbeFailed, now: float) -> bool:
        """Take a failed probe in; True if the node went down by it."""
        node = self.nodes[event.node]
        fell = note_miss(node, event, now)
        if node.misses >= MISSES:  # another address of it may be well
            self.topology.release(node)
        if fell:
            self._move(node, now)
        self._follow_id(node, node.node_id, now)
        self.models.climb(node, now)
        return fell

    def read(self, event: PlacementRead, now: float) -> Reading:
        """Take what a member told of its cluster in, and say what it tells of the cluster."""
        node = self.nodes[event.node]
        node.looked, node.unread = True, None
        if node.alias_of is not None:
            holder = self.nodes.get(node.alias_of)  # forgotten, until the alias answers again
            return Reading(said=compare(node, holder, event, now) if holder else ())
        if not node.was_up:
            return Reading()
        if self.topology.note_list(node, event.listed, now):
            self._group((node.address,), now)
        if node.cluster is None:
            node.view = look(None, event, now)
            return Reading(ask=self.topology.awaited_by(node))
        # Members see one state at different times, and after an election not even the same one: so
        # each keeps a view of its own, and what the cluster is said to hold is weighed from all.
        cluster, before = self.clusters[node.cluster], node.view
        joins = self.topology.listed_elsewhere(node, event.listed)
        verdict = take_view(node, event, [self.nodes[m] for m in cluster.members], joins, now)
        said = take_verdict(cluster, event, before, verdict, now)
        self.grouping_version += verdict.elected
        self.known.remember(event.node, verdict.truth.models)
        self.models.stand(cluster, verdict.truth.models, now)
        return Reading(said, verdict.ask)

    def unplace(self, address: Address, model: ModelId, now: float) -> None:
        """Believe a node that says a model is not placed, until its state is read again."""
        node = self.nodes.get(address)
        cluster = None if node is None or node.cluster is None else self.clusters[node.cluster]
        if cluster is not None and model in cluster.models:
            told = Placed(model, ready=False, why="not_placed")
            self.models.stand(cluster, {**cluster.told, model: told}, now)

    def reader(self, cluster: Cluster) -> Address | None:
        """Pick the member to ask next; they take turns, so that a deaf one cannot hide a state."""
        up = [member for member in cluster.members if self.nodes[member].up]
        cluster.turn += 1
        return up[cluster.turn % len(up)] if up else None

    def forgettable(self, now: float, silence: float) -> list[Address]:
        """List the nodes that no person named and that have been silent for so many seconds."""
        silent = [each for each in self.nodes.values() if not each.up]
        found = [each for each in silent if not (each.seeded or self.trust.is_kept(each.address))]
        return [each.address for each in found if now - each.heard >= silence]

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
        if node.up:
            self._claim_id(node, now)
        self._group((address,), now)

    def follow(self, policy: Policy, now: float) -> None:
        """Judge every node by another policy; who is no longer named may still be found."""
        self.trust.follow(policy.trust, strict=policy.keeps_strangers_out(), owned=policy.owned)
        self._peers = policy.peers
        self.models.shape += 1
        named = {address for address, _ in policy.seeds}
        for address, node in self.nodes.items():
            node.seeded = node.seeded and address in named
            if node.generation:
                node.peer = self._peers.get(node.generation, ANY_PEER)
            self.retrust(address, now)

    def vouch(self, event: AddressesRead, now: float) -> None:
        """Take in where a trusted node's state has the members of its cluster."""
        node = self.nodes.get(event.node)
        if node is None or self.trust.own(node) == "found":
            return
        if self.trust.told(event.node, event.addresses):
            self._group((event.node,), now)

    def groupings(self) -> list[Grouping]:
        """List the groupings that were made since this was last asked."""
        made, self._groupings = self._groupings, []
        return made

    def forget(self, address: Address, now: float) -> None:
        """Drop a node, and group anew whom it was with."""
        node = self.nodes.pop(address)
        self.unverified.drop(address)
        self.trust.forget(address)
        self.models.drop_id(node)
        self.topology.forget(node)
        if node.cluster is None:
            return
        cluster = self.clusters[node.cluster]
        self.topology.leave(node, cluster)
        self._group(cluster.members, now)
        if not cluster.members:
            self.models.stand(cluster, {}, now)
            del self.clusters[cluster.key]

    def _claim_id(self, node: Node, now: float) -> None:
        left = self.topology.claim(node)
        if left is not None:
            self._group((left,), now)

    def _forget_state(self, node: Node) -> None:
        """Drop what a node told before it got a new id: its state is empty now."""
        self.topology.drop_list(node)
        node.view, node.trust = None, self.trust.own(node)
        if node.cluster is None:
            return
        self.grouping_version += 1
        cluster = self.clusters[node.cluster]
        if cluster.members == (node.address,):
            cluster.index, cluster.condition = None, Condition()
            self.models.stand(cluster, {}, node.heard)
        else:  # the others' state is not its own until it says so itself
            self.topology.leave(node, cluster)
            self.models.moved(cluster, node.heard)

    def _group(self, changed: Iterable[Address], now: float) -> None:
        """Group anew the nodes that a change can concern; their clusters' models follow."""
        self.grouping_version += 1
        made = self.topology.group(changed, now)
        self.models.regrouped(made.before, made.after)
        for cluster in made.after:
            self.models.stand(cluster, cluster.told, now)
        for node in made.moved:  # an id that was ignored while its owner was a stranger
            self._follow_id(node, node.node_id, now)
        for node in made.nodes:
            self.models.climb(node, now)
        self._groupings.append(made.grouping)

    def _move(self, node: Node, now: float) -> None:
        """Let its cluster's models follow a node that rose, fell or became an alias."""
        if node.cluster is not None:
            self.models.moved(self.clusters[node.cluster], now)

    def _follow_id(self, node: Node, former: NodeId | None, now: float) -> None:
        """Let what stands on an id follow it, unless a stranger goes by a trusted cluster's id."""
        if self.topology.is_impostor(node, former):
            self.models.ignore_id(node, former)
        else:
            self.models.follow_id(node, former, now)
