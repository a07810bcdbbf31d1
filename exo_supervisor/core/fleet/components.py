"""The connected component of a node in the "lists" graph.

In a house of fifty clusters, what one node tells must not cost a look at all the others.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from exo_supervisor.core.fleet.nodes import Cluster, Node
from exo_supervisor.core.names import Address, ClusterKey, NodeId

_NOBODY: AbstractSet[Address] = frozenset()


class Components:
    """Owns who lists whom; the registry tells it of every list."""

    def __init__(self) -> None:
        self._listers: dict[NodeId, set[Address]] = {}

    def lists(self, address: Address, before: Iterable[NodeId], now: Iterable[NodeId]) -> None:
        """Note that a node lists other ids than before."""
        for node_id in before:
            listers = self._listers.get(node_id, set())
            listers.discard(address)
            if not listers:
                self._listers.pop(node_id, None)
        for node_id in now:
            self._listers.setdefault(node_id, set()).add(address)

    def listers(self, node_id: NodeId | None) -> AbstractSet[Address]:
        """Tell who lists an id now."""
        return _NOBODY if node_id is None else self._listers.get(node_id, _NOBODY)

    def listers_of_any(self, node_ids: Iterable[NodeId]) -> set[Address]:
        """Tell who lists any of these ids now."""
        return set[Address]().union(*map(self.listers, node_ids))

    def of(
        self,
        begin: Iterable[Address],
        nodes: Mapping[Address, Node],
        clusters: Mapping[ClusterKey, Cluster],
        ids: Mapping[NodeId, Address],
    ) -> list[Node]:
        """List the nodes that are tied to some, by a list or by the cluster that they were in.

        Each list is gone through once, however many nodes list alike: a stranger may make many.
        """
        found: list[Node] = []
        todo = list(dict.fromkeys(begin))
        known, seen, spread = set(todo), set[NodeId](), set[ClusterKey]()
        while todo:
            node = nodes.get(todo.pop())
            if node is None or (node.listed_at is None and node.cluster is None):
                continue
            found.append(node)
            ties = set(self.listers(node.node_id))
            if node.cluster is not None and node.cluster not in spread:
                spread.add(node.cluster)
                ties.update(clusters[node.cluster].members)
            if not node.peer.knows_itself:  # its own id among them cannot be told from the others
                fresh = set(node.listed) - seen
                seen |= fresh
                ties |= self.listers_of_any(fresh)
            else:
                ties.update(filter(None, map(ids.get, node.listed)))
            ties -= known
            known |= ties
            todo += ties
        return sorted(found, key=lambda node: node.address)
