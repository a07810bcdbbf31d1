"""Which nodes a change of one node's list can concern: all that are tied to it, and nobody else.

In a house of fifty clusters, what one node tells must not cost a look at all the others.
"""

from collections.abc import Iterable, Mapping

from exo_supervisor.core.names import Address, ClusterKey, NodeId
from exo_supervisor.core.nodes import Cluster, Node


class Kin:
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

    def listers(self, node_id: NodeId) -> set[Address]:
        """Tell who lists an id now."""
        return self._listers.get(node_id, set())

    def of(
        self,
        begin: Iterable[Address],
        nodes: Mapping[Address, Node],
        clusters: Mapping[ClusterKey, Cluster],
        ids: Mapping[NodeId, Address],
    ) -> list[Node]:
        """List the nodes that are tied to some, by a list or by the cluster that they were in."""
        found: dict[Address, Node] = {}
        todo = list(begin)
        while todo:
            address = todo.pop()
            node = nodes.get(address)
            if node is None or address in found:
                continue
            if node.listed_at is None and node.cluster is None:
                continue
            found[address] = node
            todo += self._ties(node, clusters, ids)
        return list(found.values())

    def _ties(
        self,
        node: Node,
        clusters: Mapping[ClusterKey, Cluster],
        ids: Mapping[NodeId, Address],
    ) -> set[Address]:
        ties: set[Address] = set()
        if node.cluster is not None:
            ties.update(clusters[node.cluster].members)
        if node.node_id is not None:
            ties |= self._listers.get(node.node_id, set())
        for node_id in node.listed:
            if node.generation == "A":  # its own id among them cannot be told from the others
                ties |= self._listers.get(node_id, set())
            elif node_id in ids:
                ties.add(ids[node_id])
        return ties
