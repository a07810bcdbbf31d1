"""Two machines with one node id are told from one machine with two addresses."""

from exo_supervisor.core.effects import Effect, ReadPlacement
from exo_supervisor.core.events import NodeSighted, PlacementRead, ProbeAnswered
from exo_supervisor.core.fleet.nodes import Node
from exo_supervisor.core.machine import SWEEP
from exo_supervisor.core.names import Address, NodeId
from exo_supervisor.views import nodes
from exo_supervisor.views.advice import advise
from exo_supervisor.views.explain import explain
from tests.core.story import LOCAL, M, Story, stand

ID = NodeId("a:1#0")
A, B = Address("a:1"), Address("b:1")


class House(Story):
    """A node, and another address that goes by its id."""

    def __init__(self) -> None:
        super().__init__(LOCAL)
        self.up("a:1", generation="B")
        self.tell(NodeSighted(node=B, url="http://b:1", source="test"))
        self.tell(ProbeAnswered(node=B, generation="B", node_id=ID, latency=0.01))
        self.said.clear()

    @property
    def other(self) -> Node:
        return self.machine.tables.registry.nodes[B]

    def tells_own(self, node: Address, index: int | None) -> list[Effect]:
        self.wait(1.0)
        models = (stand("m", "i1@a:1"),)
        return self.tell(PlacementRead(node=node, listed=(ID,), models=models, index=index))


def test_an_alias_is_asked_once_a_minute() -> None:
    house = House()
    asked = [e.node for e in house.wait(SWEEP + 1.0) if isinstance(e, ReadPlacement)]
    assert asked.count(B) == 1


def test_one_machine_with_two_addresses_is_no_twin() -> None:
    house = House()
    for index in (100, 200, 300):
        house.tells_own(A, index)
        house.tells_own(B, index + 2)
    assert not house.other.twin
    assert house.names() == ["model_ready"]


def test_one_index_read_twice_is_no_proof() -> None:
    house = House()
    for _ in range(5):
        house.tells_own(A, 100)
        house.tells_own(B, 100)
    assert (house.other.twin, house.other.proofs) == (False, 0)


def test_an_election_makes_no_twin() -> None:
    house = House()
    house.tells_own(A, 5000)
    house.tells_own(B, 3)
    house.tells_own(A, 9)
    house.tells_own(B, 11)
    assert (house.other.twin, house.other.proofs) == (False, 0)


def test_a_machine_whose_state_is_another_is_a_twin_and_is_shown_with_advice() -> None:
    house = House()
    for mine, own in ((5000, 40), (5010, 50)):
        house.tells_own(A, mine)
        house.tells_own(B, own)
    assert house.other.twin
    assert house.names()[-1] == "twin_node_seen"
    registry = house.machine.tables.registry
    assert explain(house.other, registry, house.now) == (
        "another machine, a:1, goes by the same node id: it gets nothing"
    )
    shown = {row.id: row.advice for row in nodes.nodes(house.machine, house.now, str)}
    advice = "delete the copied node id (Exo's node_id.keypair) there, and restart Exo there"
    assert shown == {"a:1": None, "b:1": advice}
    assert f"b:1: {advice}" in advise(house.machine, house.now)
    assert registry.where_ready(M) == [A], "nothing is sent to it"
    house.tells_own(B, 60)
    assert "twin_node_seen" not in house.names(), "it is said once"


def test_a_twin_that_is_ahead_is_one_too() -> None:
    house = House()
    for mine, own in ((40, 5000), (50, 5010), (60, 5020)):
        house.tells_own(A, mine)
        house.tells_own(B, own)
    assert house.other.twin


def test_without_an_index_nothing_is_known() -> None:
    house = House()
    house.tells_own(B, 3)
    house.tells_own(A, None)
    house.tells_own(B, 3)
    assert house.other.proofs == 0


def test_a_twin_with_an_id_of_its_own_is_a_node_like_others() -> None:
    house = House()
    for mine, own in ((5000, 40), (5010, 50)):
        house.tells_own(A, mine)
        house.tells_own(B, own)
    house.tell(ProbeAnswered(node=B, generation="B", node_id=NodeId("b:1#0"), latency=0.01))
    assert (house.other.twin, house.other.alias_of) == (False, None)
