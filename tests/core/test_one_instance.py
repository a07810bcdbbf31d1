"""A kept model stands once: whatever joins, merges, is elected, or is carried out late."""

import pytest
from msgspec import structs

from exo_supervisor.core.effects import Effect, PlaceModel, RemoveModel
from exo_supervisor.core.events import ModelOrdered, ModelRemoved, Placed, PlacementSettled
from exo_supervisor.core.names import ClusterKey, InstanceId, ModelId
from exo_supervisor.core.placement.desired import MAX_OWN, Row
from exo_supervisor.core.placement.state import ANSWERS, Awaited, Loading, Resting
from exo_supervisor.core.policy import WAITS, ModelRule, Policy
from tests.core.story import Story, stand

M = ModelId("m")
KEPT = Policy(models=(ModelRule("chat", exo=(M,), keep=True),))


def placed(effects: list[Effect]) -> list[str]:
    return [effect.node for effect in effects if isinstance(effect, PlaceModel)]


def thinned(effects: list[Effect]) -> list[tuple[str, ...]]:
    return [effect.only for effect in effects if isinstance(effect, RemoveModel)]


def at_work(placed: Placed) -> Placed:
    busy = tuple(structs.replace(one, running=True) for one in placed.instances)
    return structs.replace(placed, instances=busy)


class House(Story):
    """A house in which a model is kept, and one word for Exo's yes."""

    def __init__(self, *nodes: str) -> None:
        super().__init__(KEPT)
        for node in nodes:
            self.up(node)
            self.read(node, index=100)

    @property
    def row(self) -> Row:
        row = self.machine.tables.keeper.wants.row_of(M)
        assert row is not None
        return row

    def accepts(self, instance: str = "i5") -> list[Effect]:
        """Let the order under way be said yes to."""
        yes = PlacementSettled(
            key=M, ticket=self.row.ticket, told="accepted", instance=InstanceId(instance)
        )
        return self.tell(yes)

    def ordered(self, instance: str = "i5") -> None:
        """Let a model be placed for the first time."""
        assert placed(self.wait(WAITS.restarted)) == ["a:1"]
        self.accepts(instance)
        self.said.clear()


def test_an_order_in_flight_is_not_given_again_when_its_cluster_ends_in_a_merge() -> None:
    house = House("a:1", "b:1", "c:1")
    house.ordered()
    for node in ("b:1", "c:1"):
        house.read(node, mates="a:1 b:1 c:1", index=120)
    house.read("a:1", mates="b:1 c:1", index=3)
    assert placed(house.wait(14.0)) == []
    house.tells("b:1", stand("m", "i5@b:1"), mates="a:1 c:1", index=150)
    assert placed(house.wait(600.0)) == []
    assert house.names().count("placement_done") == 1


def test_what_was_ordered_of_a_cluster_is_looked_for_at_its_heir() -> None:
    house = House("a:1")
    here, heir = ClusterKey("a:1"), ClusterKey("z:1")
    wants = house.machine.tables.keeper.wants
    wants.follow(here, heir)
    assert house.row.placing == Resting(), "nothing was ordered of it"
    house.ordered()
    wants.follow(ClusterKey("other"), heir)
    assert (house.row.placing, house.row.home) == (Awaited(0, here, house.now), here)
    wants.follow(here, heir)
    assert (house.row.placing, house.row.home) == (Awaited(0, heir, house.now), heir)


def test_a_merge_makes_the_heir_known() -> None:
    house = House("b:1")
    assert placed(house.wait(WAITS.restarted)) == ["b:1"]
    house.accepts()
    house.up("a:1")
    house.read("a:1", index=900)
    house.up("c:1")
    house.read("c:1", mates="a:1", index=900)
    house.read("a:1", mates="b:1 c:1", index=901)
    house.read("b:1", mates="a:1 c:1", index=3)
    assert house.row.home == "a:1"


def test_what_an_election_took_comes_back_only_when_it_can_come_late_no_more() -> None:
    house = House("a:1")
    house.ordered()
    house.tells("a:1", stand("m", "i5@a:1", why="loading"), index=130)
    house.read("a:1", index=-1)
    assert "placement_done" not in house.names(), "it was lost"
    yes = house.now
    assert placed(house.wait(WAITS.appears - 0.1)) == []
    assert placed(house.tick(yes + WAITS.appears)) == ["a:1"]


def test_what_never_appears_after_an_election_is_no_failure() -> None:
    house = House("a:1")
    house.ordered()
    house.wait(5.0)
    house.read("a:1", index=-1)
    assert placed(house.wait(WAITS.appears)) == ["a:1"]
    assert "placement_failed" not in house.names()


def test_nothing_is_placed_for_ten_seconds_after_any_change_of_the_grouping() -> None:
    house = House("a:1")
    house.wait(WAITS.restarted - 1.0)
    house.up("b:1")
    house.read("b:1", index=7)
    assert placed(house.wait(WAITS.settle - 0.1)) == []
    assert placed(house.wait(0.1)) == ["a:1"]


def test_of_two_that_were_placed_the_one_with_the_higher_id_goes_if_it_is_ours() -> None:
    house = House("a:1")
    house.ordered("i5")
    two = stand("m", "i3@a:1", "i5@a:1")
    assert thinned(house.tells("a:1", two, index=130)) == [("i5",)]
    assert thinned(house.tells("a:1", two, index=131)) == [], "it was ordered"
    gone = ModelRemoved(model=M, cluster=ClusterKey("a:1"), count=1, surplus=True)
    house.said.clear()
    house.tell(gone)
    assert house.names() == ["surplus_instance_removed"]
    assert thinned(house.tells("a:1", stand("m", "i3@a:1"), index=140)) == []
    assert placed(house.wait(600.0)) == []


def test_what_is_one_too_many_is_asked_for_again_if_nobody_answers() -> None:
    house = House("a:1")
    house.ordered("i5")
    two = stand("m", "i3@a:1", "i5@a:1")
    assert thinned(house.tells("a:1", two, index=130)) == [("i5",)]
    house.now += ANSWERS
    assert thinned(house.tells("a:1", two, index=230)) == [("i5",)]


@pytest.mark.parametrize(
    "two",
    [
        pytest.param(stand("m", "i6@a:1", "i5@a:1"), id="ours has the lower id"),
        pytest.param(stand("m", "i3@a:1", "i4@a:1"), id="neither is ours"),
        pytest.param(at_work(stand("m", "i3@a:1", "i5@a:1")), id="a request is at work on it"),
        pytest.param(stand("m", "i3@a:1", "i5@a:1", why="runner_failed"), id="the other failed"),
        pytest.param(stand("m", "i5@a:1"), id="it is the only one"),
    ],
)
def test_what_is_not_taken_away(two: Placed) -> None:
    house = House("a:1")
    house.ordered("i5")
    assert thinned(house.tells("a:1", two, index=130)) == []


def test_an_instance_is_our_own_even_if_the_yes_came_too_late() -> None:
    house = House("a:1")
    assert placed(house.wait(WAITS.restarted)) == ["a:1"]
    house.wait(ANSWERS)
    assert not isinstance(house.row.placing, Loading)
    house.accepts("i5")
    assert list(house.row.own) == ["i5"]


def test_the_instances_that_are_our_own_are_bounded() -> None:
    row = Row((M,))
    for number in range(MAX_OWN + 1):
        row.note_own(InstanceId(f"i{number}"))
    assert len(row.own) == MAX_OWN
    assert InstanceId("i0") not in row.own


def test_a_person_who_removed_what_stood_need_not_wait_to_place_it_again() -> None:
    house = House("a:1")
    house.ordered()
    house.tells("a:1", stand("m", "i5@a:1"), index=130)
    house.tell(ModelOrdered(models=(M,), order="remove"))
    house.read("a:1", index=140)
    assert placed(house.tell(ModelOrdered(models=(M,), order="place"))) == ["a:1"]
