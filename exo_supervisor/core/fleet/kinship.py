"""Who shares a cluster with whom: two nodes of which each lists the other's id.

One side's word would let a stranger join a cluster, whose models it could then deny or whose
prompts it could take. And trusted and untrusted nodes never stand in one cluster: so nothing that
is read at, or ordered of, a cluster depends on which of its members was asked.

A stranger may make many nodes that list each other, so that nothing here goes through pairs: what
it costs grows with the lists that were told, and a list is taken in whole sets at a time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain

from msgspec import Struct

from exo_supervisor.core.fleet.components import Components
from exo_supervisor.core.fleet.nodes import Ground, Node
from exo_supervisor.core.fleet.trust import Trust
from exo_supervisor.core.names import Address, NodeId

FORMING = 15.0
"""Seconds for which one side's word joins two nodes that nobody trusts, while the other's list is
empty: lists come late while a cluster forms."""
MOST_AWAITED = 64
"""Ids of a list that a new node waits for: no real cluster is larger."""


class Bonds(Struct, frozen=True):
    """Which nodes are tied, on which ground each is trusted, and when a one-sided tie ends.

    `edges` tie the first of each group to the others of it. Who is in none is in no cluster: an
    alias, and who `waits` for the word of those it lists.
    """

    edges: dict[Address, list[Address]]
    grounds: dict[Address, Ground]
    until: dict[Address, float]
    waits: dict[Address, list[Address]]


def bonds(told: Sequence[Node], kin: Components, trust: Trust, now: float) -> Bonds:
    """Tie nodes by what each of them tells; an address that is an alias is tied to nobody."""
    grounds: dict[Address, Ground] = {node.address: trust.own(node) for node in told}
    nodes = [node for node in told if node.alias_of is None]
    own = _Own([node for node in nodes if grounds[node.address] != "found"], kin, trust)
    found = [node for node in nodes if grounds[node.address] == "found"]
    grounds |= {node.address: "cluster" for node in found if own.has(node)}
    sides = _Sides(nodes, grounds, kin, now)
    edges, waits = dict[Address, list[Address]](), dict[Address, list[Address]]()
    for first, *others in sides.groups():
        unasked = [] if others else sides.unasked(first)
        if unasked:
            waits[first] = unasked
        else:
            edges |= {first: others, **{other: [] for other in others}}
    return Bonds(edges, grounds, sides.until(), waits)


class _Own:
    """Nodes that are trusted by themselves, and whom each of them has in its cluster."""

    def __init__(self, nodes: list[Node], kin: Components, trust: Trust) -> None:
        self._kin, self._trust = kin, trust
        self._nodes = {node.address: node for node in nodes}

    def has(self, node: Node) -> bool:
        """Say whether one of them has a node in its cluster, and gives its address for its id.

        None has a legacy node, which goes by no id.
        """
        return any(self._trust.vouched(node, mate) for mate in self._mates(node))

    def _mates(self, node: Node) -> Iterable[Address]:
        listers = self._nodes.keys() & self._kin.listers(node.node_id)
        ids = {*node.listed} - {node.node_id}
        return [mate for mate in listers if self._nodes[mate].node_id in ids]


class _Sides:
    """Trusted and found nodes, whom nothing ties to each other, and so legacy and later ones.

    A legacy node hides its own id among those that it lists: tied are those that list one alike.
    """

    def __init__(
        self, nodes: Sequence[Node], grounds: Mapping[Address, Ground], kin: Components, now: float
    ) -> None:
        self._kin, self._now = kin, now
        self._nodes = {node.address: node for node in nodes}
        self._trusted = {node.address for node in nodes if grounds[node.address] != "found"}
        self._legacy = {node.address for node in nodes if not node.peer.knows_itself}
        self._by_id: dict[NodeId, list[Address]] = {}
        for node in nodes:
            if node.node_id is not None and node.peer.knows_itself:
                self._by_id.setdefault(node.node_id, []).append(node.address)
        self._forming = {
            node.address
            for node in nodes
            if not (node.listed or node.address in self._trusted or node.address in self._legacy)
            if now < node.met + FORMING
        }

    def groups(self) -> Iterator[list[Address]]:
        """Gather those that are tied, each group in order."""
        for side in (self._trusted, self._nodes.keys() - self._trusted):
            for left in (side - self._legacy, side & self._legacy):
                for first in sorted(left):
                    if first in left:
                        yield self._gather(first, left)

    def until(self) -> dict[Address, float]:
        """Tell until when a node that lists nobody yet is tied by the word of others."""
        others = self._nodes.keys() - self._trusted - self._legacy
        return {
            address: self._nodes[address].met + FORMING
            for address in self._forming
            if not others.isdisjoint(self._listers(self._nodes[address]))
        }

    def unasked(self, address: Address) -> list[Address]:
        """List those whom a new node lists and who answer, but were not asked since it came.

        A trusted node waits for the trusted ones alone.
        """
        node = self._nodes[address]
        if node.cluster is not None or self._now >= node.met + FORMING:
            return []
        mates = map(self._nodes.__getitem__, self._awaited(node))
        return [mate.address for mate in mates if _is_unasked(mate, node.met)]

    def _awaited(self, node: Node) -> list[Address]:
        if node.address in self._legacy:  # whoever is alike is tied to it
            alike = self._kin.listers_of_any(node.listed[:MOST_AWAITED])
            other = set[Address]() if node.address in self._trusted else self._trusted
            return sorted(alike & self._legacy & other)
        mates = chain.from_iterable(map(self._at, node.listed[:MOST_AWAITED]))
        wanted = self._trusted if node.address in self._trusted else self._nodes.keys()
        same = self._at(node.node_id)
        return [mate for mate in mates if mate in wanted and mate not in same]

    def _gather(self, first: Address, left: set[Address]) -> list[Address]:
        """Take one, and all that it is tied to, out of those that are left."""
        left.remove(first)
        group, todo, seen = [first], [first], set[NodeId]()
        while todo:
            node = self._nodes[todo.pop()]
            if node.address in self._legacy:
                fresh = set(node.listed) - seen
                seen |= fresh
                ties = self._kin.listers_of_any(fresh) & left
            else:
                ties = self._ties(node) & left
            left -= ties
            group += ties
            todo += ties
        return sorted(group)

    def _ties(self, node: Node) -> set[Address]:
        listers = self._listers(node)
        mates = {*chain.from_iterable(map(self._at, node.listed))} - {*self._at(node.node_id)}
        ties = (mates & listers) | (mates & self._forming)
        return ties | listers if node.address in self._forming else ties

    def _listers(self, node: Node) -> AbstractSet[Address]:
        """Tell who lists a node, but for those that go by its id."""
        return self._kin.listers(node.node_id) - {*self._at(node.node_id)}

    def _at(self, node_id: NodeId | None) -> Sequence[Address]:
        return () if node_id is None else self._by_id.get(node_id, ())


def _is_unasked(node: Node, since: float) -> bool:
    """Say whether a node that answers has told no list since an instant."""
    return node.up and (node.listed_at is None or node.listed_at <= since)
