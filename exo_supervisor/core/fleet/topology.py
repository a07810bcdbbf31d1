"""Who goes by which id, and which nodes share one state.

An id that answers at several addresses is one node with aliases, and one address stands for it.
Nodes that list each other's ids are tied (`kinship`), and those that are tied are a cluster under a
lasting key (`grouping`). Both tables of the registry are written here, and nowhere else as far as
`alias_of`, `listed`, `cluster` and `members` go.
"""

from collections.abc import Iterable
from itertools import islice
from math import inf

from msgspec import Struct

from exo_supervisor.core.fleet.components import Components
from exo_supervisor.core.fleet.grouping import Grouping, regroup
from exo_supervisor.core.fleet.kinship import bonds
from exo_supervisor.core.fleet.nodes import Cluster, Node, carry_over, join
from exo_supervisor.core.fleet.trust import Trust, outranks
from exo_supervisor.core.names import Address, ClusterKey, NodeId

EMPTY_LIST = 15.0
"""Seconds for which an empty list of nodes keeps the last grouping: clusters form slowly."""
MOST_ASKED = 4
"""Nodes that are asked at once whether they list one that lists them."""


class Regrouped(Struct, frozen=True):
    """Which clusters gave way to which; `nodes` were looked at, `moved` are trusted otherwise."""

    grouping: Grouping
    before: tuple[Cluster, ...]
    after: tuple[Cluster, ...]
    nodes: list[Node]
    moved: list[Node]


class Topology:
    """Owns ids, lists, one-sided ties and who waits for a mate's word, each by its node."""

    def __init__(
        self, nodes: dict[Address, Node], clusters: dict[ClusterKey, Cluster], trust: Trust
    ) -> None:
        self._nodes, self._clusters, self._trust = nodes, clusters, trust
        self._ids: dict[NodeId, Address] = {}
        self._components = Components()
        self._one_sided: dict[Address, float] = {}
        self._waits: dict[Address, list[Address]] = {}

    def address_of(self, node_id: NodeId) -> Address | None:
        """Find the node that goes by an id now."""
        return self._ids.get(node_id)

    def claim(self, node: Node) -> Address | None:
        """Let one address of a node stand for it; whoever stood for it until now is regrouped.

        That is the one on the best ground, then the one that has gone by the id the longest: who
        took an id while its owner was away gives it back when the owner answers again.
        """
        if node.node_id is None:
            return None
        holder = self._nodes[self._ids.setdefault(node.node_id, node.address)]
        if holder is node or not outranks(node, holder):
            node.alias_of = None if holder is node else holder.address
            node.twin = node.twin and node.alias_of is not None
            return None
        self._ids[node.node_id] = node.address
        node.alias_of, node.twin, holder.alias_of = None, False, node.address
        return holder.address

    def release(self, node: Node) -> None:
        """Let another address stand for an id; where none does, the next to answer takes it."""
        if node.node_id is not None and self._ids.get(node.node_id) == node.address:
            del self._ids[node.node_id]

    def note_list(self, node: Node, listed: tuple[NodeId, ...], now: float) -> bool:
        """Take a node's list in; True if it has to be grouped anew.

        An empty list keeps the last grouping for a while.
        """
        last = now if node.listed_at is None else node.listed_at
        if node.listed and not listed and now - last < EMPTY_LIST:
            return False
        changed = node.cluster is None or node.listed != listed or self._is_stale(node.cluster, now)
        self._components.lists(node.address, node.listed, listed)
        node.listed, node.listed_at = listed, now if listed else last
        return changed

    def drop_list(self, node: Node) -> None:
        """Forget what a node listed: it is another process now, or none."""
        self._components.lists(node.address, node.listed, ())
        node.listed, node.listed_at = (), None

    def leave(self, node: Node, cluster: Cluster) -> None:
        """Take a node out of its cluster; its mates stay together until one of them tells more."""
        cluster.members = tuple(m for m in cluster.members if m != node.address)
        node.cluster = None

    def group(self, changed: Iterable[Address], now: float) -> Regrouped:
        """Group anew the nodes that a change can concern, and carry their clusters over."""
        told = self._components.of(changed, self._nodes, self._clusters, self._ids)
        tied = bonds(told, self._components, self._trust, now)
        old = {node.address: node.cluster for node in told if node.cluster is not None}
        # Out of the table first, so that only the keys of clusters that stay count as taken beside.
        before = {key: self._clusters.pop(key) for key in dict.fromkeys(old.values())}
        grouping = regroup(tied.edges, old, self._clusters)
        after = carry_over(before, grouping, self._nodes)
        self._clusters |= after
        parents = dict(grouping.born)
        for cluster in after.values():
            for member in cluster.members:
                join(self._nodes[member], cluster.key, parents, now)
        moved = [node for node in told if node.trust != tied.grounds[node.address]]
        for node in told:  # trust comes from company, so it can change with it
            node.trust = tied.grounds[node.address]
            if node.address not in tied.edges:
                node.cluster = None
            self._one_sided.pop(node.address, None)
            self._waits.pop(node.address, None)
        self._one_sided |= tied.until
        self._waits |= tied.waits
        return Regrouped(grouping, (*before.values(),), (*after.values(),), told, moved)

    def awaited_by(self, node: Node) -> tuple[Address, ...]:
        """List whose word a node waits for that is in no cluster yet, as many as may be asked."""
        return tuple(self._waits.get(node.address, ())[:MOST_ASKED])

    def listed_elsewhere(self, node: Node, listed: Iterable[NodeId]) -> list[Address]:
        """Name the nodes of another cluster that a member lists, as many as may be asked.

        Whoever goes by no id is listed by nobody and joins nobody.
        """
        if node.node_id is None:
            return []
        found = (self._nodes[at] for each in listed if (at := self._ids.get(each)) is not None)
        others = (other for other in found if other.cluster not in (None, node.cluster))
        return [other.address for other in islice(others, MOST_ASKED)]

    def is_impostor(self, node: Node, former: NodeId | None) -> bool:
        """Say whether a stranger goes by an id, or went by one, that a trusted node lists."""
        ids = {node.node_id, former} - {None}
        listers = (self._nodes[at] for each in ids for at in self._components.listers(each))
        return node.trust == "found" and any(lister.trust != "found" for lister in listers)

    def forget(self, node: Node) -> None:
        """Drop every row of a node that is out of the table already."""
        self.release(node)
        self.drop_list(node)
        self._one_sided.pop(node.address, None)
        self._waits.pop(node.address, None)

    def _is_stale(self, key: ClusterKey, now: float) -> bool:
        """Say whether a cluster holds an alias, or one that was to be in it for a while only."""
        members = self._clusters[key].members
        if any(now >= self._one_sided.get(member, inf) for member in members):
            return True
        return any(self._nodes[member].alias_of is not None for member in members)
