"""Who shares a cluster with whom: two nodes of which each lists the other's id.

One side's word would let a stranger join a cluster, whose models it could then deny or whose
prompts it could take. And trusted and untrusted nodes never stand in one cluster: so nothing that
is read at, or ordered of, a cluster depends on which of its members was asked.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from exo_supervisor.core.names import Address, NodeId
from exo_supervisor.core.nodes import Ground, Node
from exo_supervisor.core.trust import Trust

FORMING = 15.0
"""Seconds for which one side's word joins two nodes that nobody trusts, while the other's list is
empty: lists come late while a cluster forms."""


class Bonds(Struct, frozen=True):
    """Which nodes are tied, on which ground each is trusted, and when a one-sided tie ends.

    Who is in no `edges` is in no cluster: an alias, and who `waits` for the word of those it lists.
    """

    edges: dict[Address, list[Address]]
    grounds: dict[Address, Ground]
    until: dict[Address, float]
    waits: dict[Address, list[Address]]


def bonds(told: Sequence[Node], trust: Trust, now: float) -> Bonds:
    """Tie nodes by what each of them tells; an address that is an alias is tied to nobody."""
    lists = _Lists([node for node in told if node.alias_of is None])
    own: dict[Address, Ground] = {node.address: trust.own(node) for node in told}
    grounds: dict[Address, Ground] = dict(own)
    for node in lists.nodes:
        if own[node.address] == "found" and _is_kin(node, lists, own, trust):
            grounds[node.address] = "cluster"
    found = Bonds({}, grounds, {}, {})
    for node in lists.nodes:
        _tie(node, lists, found, now)
    return found


def _tie(node: Node, lists: "_Lists", found: Bonds, now: float) -> None:
    """Tie one node to those it lists; or let a new one wait, where they were not asked since.

    What a node that joins shows on the way is an old state, and that of no cluster.
    """
    trusted, tied, unasked = (
        found.grounds[node.address] != "found",
        list[Address](),
        list[Address](),
    )
    for mate in lists.mates(node):
        alike = trusted == (found.grounds[mate.address] != "found")
        if alike and lists.mutual(node, mate):
            tied.append(mate.address)
        elif alike and not trusted and not mate.listed and now < mate.met + FORMING:
            tied.append(mate.address)
            found.until[mate.address] = mate.met + FORMING
        elif (alike or not trusted) and _is_unasked(mate, node.met):
            unasked.append(mate.address)
    if node.cluster is None and unasked and not tied and now < node.met + FORMING:
        found.waits[node.address] = unasked
    else:
        found.edges[node.address] = tied


def _is_unasked(node: Node, since: float) -> bool:
    """Say whether a node that answers has told no list since an instant."""
    return node.up and (node.listed_at is None or node.listed_at <= since)


def _is_kin(node: Node, lists: "_Lists", own: dict[Address, Ground], trust: Trust) -> bool:
    """Say whether a node that is trusted by itself has this one in its cluster, at this address."""
    return any(
        own[mate.address] != "found"
        and lists.mutual(node, mate)
        and trust.vouched(node, mate.address)
        for mate in lists.mates(node)
    )


class _Lists:
    """Nodes, none of them an alias, and whom each lists."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self._listed = {node.address: frozenset(node.listed) for node in nodes}
        self._by_id: dict[NodeId, list[Node]] = {}
        for node in nodes:
            if node.node_id is not None:
                self._by_id.setdefault(node.node_id, []).append(node)

    def mates(self, node: Node) -> Iterator[Node]:
        """List the nodes that a node lists; of A, which hides its own id, those that list alike."""
        if node.generation == "A":
            seen = self._listed[node.address]
            alike = (n for n in self.nodes if n.generation == "A")
            return (n for n in alike if n is not node and seen & self._listed[n.address])
        others = (node_id for node_id in node.listed if node_id != node.node_id)
        return (mate for node_id in others for mate in self._by_id.get(node_id, ()))

    def mutual(self, node: Node, mate: Node) -> bool:
        """Say whether one that a node lists lists it, too."""
        return node.generation == "A" or node.node_id in self._listed[mate.address]
