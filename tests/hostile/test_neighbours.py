"""Strangers that all list each other cost no more than going through their lists a few times."""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import pytest

from exo_supervisor.core.events import NodeSighted, PlacementRead, ProbeAnswered
from exo_supervisor.core.fleet.components import Components
from exo_supervisor.core.fleet.kinship import Bonds, bonds
from exo_supervisor.core.fleet.nodes import Node
from exo_supervisor.core.fleet.trust import Trust
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address, NodeId
from exo_supervisor.core.policy import Policy
from exo_supervisor.wire.bounds import MAX_MEMBERS
from tests.hostile.weight import weigh

NEIGHBOURS = 1_000
MOST_PER_ENTRY = 6
"""Look-ups of an id for each entry of a list."""

Generation = Literal["A", "C"]


class Counted(str):
    """An id that counts how often any is looked up, inside of what runs in C, too."""

    __slots__ = ()
    looked_up = 0

    def __hash__(self) -> int:
        Counted.looked_up += 1
        return super().__hash__()

    __eq__ = str.__eq__


def neighbours(
    generation: Generation, many: int = NEIGHBOURS, name: Callable[[str], str] = str
) -> Iterator[Node]:
    """Make nodes in a ring, each of which lists those around it, as many as a list may name."""
    ids = [NodeId(name(f"id{n}")) for n in range(many)]
    for n, node_id in enumerate(ids):
        around = tuple(
            ids[(n + k - MAX_MEMBERS // 2) % many] for k in range(min(many, MAX_MEMBERS))
        )
        yield Node(Address(f"10.0.{n // 250}.{n % 250}:52415"), "", 0.0, generation=generation,
                   node_id=node_id, up=True, listed=around, listed_at=1.0)  # fmt: skip


def grouping(nodes: Iterable[Node]) -> Callable[[], Bonds]:
    """Make what a change of the first of them leads to."""
    kin, at = Components(), {node.address: node for node in nodes}
    ids = {node.node_id: node.address for node in at.values() if node.node_id}
    for node in at.values():
        kin.lists(node.address, (), node.listed)
    return lambda: bonds(kin.of([next(iter(at))], at, {}, ids), kin, Trust(), 9.0)


@pytest.mark.parametrize("generation", ["A", "C"])
def test_a_thousand_neighbours_that_list_each_other_are_light_work(generation: Generation) -> None:
    weight = weigh(grouping(neighbours(generation)))
    assert weight.light, weight
    group = grouping(neighbours(generation, name=Counted))
    Counted.looked_up = 0
    edges = group().edges
    assert Counted.looked_up <= MOST_PER_ENTRY * NEIGHBOURS * MAX_MEMBERS
    assert sorted(map(len, edges.values()))[-2:] == [0, NEIGHBOURS - 1]


@pytest.mark.parametrize("generation", ["A", "C"])
def test_neighbours_that_list_each_other_are_one_cluster(generation: Generation) -> None:
    machine = Machine(Policy(), 0.0)
    for node in neighbours(generation, 40):
        machine.handle(NodeSighted(node=node.address, url="http://x", source="x"), 0.0)
        told = ProbeAnswered(node=node.address, generation=generation, node_id=node.node_id,
                             latency=0.1, state_paths=False)  # fmt: skip
        machine.handle(told, 1.0)
        machine.handle(PlacementRead(node=node.address, listed=node.listed, models=()), 2.0)
    [cluster] = machine.tables.registry.clusters.values()
    assert len(cluster.members) == 40
