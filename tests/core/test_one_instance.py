"""A kept model stands once: whatever joins, merges, is elected, or is carried out late."""

import pytest
from msgspec import structs

from exo_supervisor.core.effects import (
    Effect,
    KeepInstances,
    OwnInstances,
    PlaceModel,
    RemoveModel,
)
from exo_supervisor.core.events import ModelOrdered, ModelRemoved, PlacementChosen, PlacementSettled
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.names import ClusterKey, InstanceId, ModelId
from exo_supervisor.core.placement.desired import (
    FORGOTTEN,
    MAX_OWN,
    MOST,
    DesiredModel,
    DesiredModels,
)
from exo_supervisor.core.placement.removal import DELETED
from exo_supervisor.core.placement.state import ANSWERS, Awaited, Loading, Resting
from exo_supervisor.core.policy import WAITS, ModelRule, Policy
from tests.core.story import Story, stand

M = ModelId("m")
KEPT = Policy(models=(ModelRule("chat", exo=(M,), keep=True),))


def placed(effects: list[Effect]) -> list[str]:
    return [effect.node for effect in effects if isinstance(effect, PlaceModel)]


def thinned(effects: list[Effect]) -> list[tuple[str, ...]]:
    return [effect.only for effect in effects if isinstance(effect, RemoveModel)]


def own(model: str = "m", *, seen: str = "", ordered: str = "") -> OwnInstances:
    ids = tuple(map(InstanceId, seen.split())), tuple(map(InstanceId, ordered.split()))
    return OwnInstances(ModelId(model), *ids)


def kept(effects: list[Effect]) -> list[tuple[OwnInstances, ...]]:
    return [effect.own for effect in effects if isinstance(effect, KeepInstances)]


def at_work(placed: Placed) -> Placed:
    busy = tuple(structs.replace(one, running=True) for one in placed.instances)
    return structs.replace(placed, instances=busy)


class House(Story):
    """A house in which a model is kept, and one word for Exo's yes."""

    def __init__(self, *nodes: str, own: OwnInstances | None = None) -> None:
        super().__init__(KEPT if own is None else structs.replace(KEPT, own=(own,)))
        for node in nodes:
            self.up(node)
            self.read(node, index=100)

    @property
    def row(self) -> DesiredModel:
        row = self.machine.tables.reconciler.desired.row_of(M)
        assert row is not None
        return row

    def chooses(self, instance: str = "i5") -> list[Effect]:
        """Let it be known which instance will come of the order under way."""
        return self.tell(PlacementChosen(key=M, instance=InstanceId(instance)))

    def accepts(self) -> list[Effect]:
        """Let the order under way be said yes to."""
        return self.tell(PlacementSettled(key=M, ticket=self.row.ticket, told="accepted"))

    def ordered(self, instance: str = "i5") -> None:
        """Let a model be placed for the first time."""
        assert placed(self.wait(WAITS.restarted)) == ["a:1"]
        self.chooses(instance)
        self.accepts()
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
    desired = house.machine.tables.reconciler.desired
    desired.follow(here, heir)
    assert house.row.placing == Resting(), "nothing was ordered of it"
    house.ordered()
    desired.follow(ClusterKey("other"), heir)
    assert (house.row.placing, house.row.home) == (Awaited(0, here, house.now), here)
    desired.follow(here, heir)
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
    assert thinned(house.tells("a:1", two, index=132)) == [], "Exo takes its time"
    assert thinned(house.tells("a:1", stand("m", "i3@a:1"), index=140)) == []
    assert placed(house.wait(600.0)) == []


def test_what_stands_long_after_it_was_deleted_is_deleted_again() -> None:
    """A member that replays its log shows it again, and so does a command that was lost."""
    house = House("a:1")
    house.ordered("i5")
    two = stand("m", "i3@a:1", "i5@a:1")
    assert thinned(house.tells("a:1", two, index=130)) == [("i5",)]
    house.tell(ModelRemoved(model=M, cluster=ClusterKey("a:1"), count=1, surplus=True))
    house.now += DELETED
    assert thinned(house.tells("a:1", two, index=140)) == [("i5",)]


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


def test_an_instance_is_our_own_whatever_comes_of_its_order() -> None:
    house = House("a:1")
    assert placed(house.wait(WAITS.restarted)) == ["a:1"]
    house.chooses("i5")
    house.wait(ANSWERS)
    assert not isinstance(house.row.placing, Loading)
    two = stand("m", "i3@a:1", "i5@a:1")
    assert thinned(house.tells("a:1", two, index=130)) == [("i5",)]


def test_what_will_be_our_own_is_kept_before_it_is_ordered_and_when_it_was_seen() -> None:
    house = House("a:1", own=own("other", seen="i1"))
    assert placed(house.wait(WAITS.restarted)) == ["a:1"]
    [told] = kept(house.chooses("i5"))
    assert set(told) == {own(ordered="i5"), own("other", seen="i1")}
    assert kept(house.accepts()) == []
    [told] = kept(house.tells("a:1", stand("m", "i5@a:1", why="loading"), index=130))
    assert set(told) == {own(seen="i5"), own("other", seen="i1")}
    assert kept(house.tells("a:1", stand("m", "i5@a:1"), index=140)) == []


def test_what_is_chosen_for_a_model_that_nobody_wants_any_more_is_nothing_to_keep() -> None:
    house = House("a:1")
    assert house.tell(PlacementChosen(key=ModelId("other"), instance=InstanceId("i1"))) == []


def test_what_an_earlier_run_placed_is_our_own_still() -> None:
    """Its order was carried out when its process had ended, beside another supervisor's."""
    house = House("a:1", own=own(ordered="i5"))
    two = stand("m", "i3@a:1", "i5@a:1")
    assert thinned(house.tells("a:1", two, index=130)) == [("i5",)]


def test_what_an_earlier_run_ordered_is_waited_for_and_not_ordered_again() -> None:
    house = House("a:1", own=own(ordered="i5"))
    assert placed(house.tick(WAITS.appears - 0.1)) == []
    assert placed(house.tick(WAITS.appears)) == ["a:1"]


def test_what_an_earlier_run_saw_is_not_waited_for() -> None:
    house = House("a:1", own=own(seen="i5"))
    assert placed(house.wait(WAITS.restarted)) == ["a:1"]


def test_so_is_what_a_person_ordered_of_a_model_that_no_rule_names() -> None:
    house = House("a:1", own=own("other", ordered="i5"))
    two = stand("other", "i3@a:1", "i5@a:1")
    assert thinned(house.tells("a:1", two, index=130)) == [("i5",)]
    house.tells("a:1", index=140)
    [order] = [each for each in house.wait(600.0) if isinstance(each, PlaceModel)]
    assert order.key == M, "nobody desired the other one again"


def test_one_of_our_own_is_forgotten_when_it_was_not_seen_for_long() -> None:
    house = House("a:1", own=own(seen="i3 i5"))
    one = stand("m", "i3@a:1")
    for index in range(5):
        house.now = max(house.now, index * FORGOTTEN / 5)
        assert kept(house.tells("a:1", one, index=200 + index)) == []
    house.now = FORGOTTEN
    assert kept(house.tells("a:1", one, index=210)) == [(own(seen="i3"),)]
    house.now += 2 * FORGOTTEN
    assert kept(house.tells("a:1", one, index=220)) == [], "it stands"
    house.now += FORGOTTEN
    assert kept(house.tells("a:1", index=230)) == [()]
    assert kept(house.tells("a:1", index=240)) == []


def test_what_never_came_is_forgotten_too() -> None:
    house = House("a:1", own=own(seen="i3", ordered="i5"))
    house.now = FORGOTTEN
    assert kept(house.tells("a:1", stand("m", "i3@a:1"), index=210)) == [(own(seen="i3"),)]


def test_the_instances_that_are_our_own_are_bounded() -> None:
    row = DesiredModel((M,))
    for number in range(MAX_OWN):
        row.note_own(InstanceId(f"i{number}"), float(number))
    row.see_own({InstanceId("i0")}, 50.0)
    row.note_own(InstanceId("new"), 51.0)
    assert len(row.own) == MAX_OWN
    assert InstanceId("i0") in row.own, "it was seen a moment ago"
    assert InstanceId("i1") not in row.own
    assert len(row.ordered) == MAX_OWN - 1, "and what is forgotten is waited for no more"


def test_the_models_of_earlier_runs_are_bounded_and_take_no_room_from_a_rule() -> None:
    desired = DesiredModels(KEPT.models, [own(f"m{n}", ordered="i1") for n in range(MOST + 1)], 0.0)
    assert desired.row_of(M) is not None
    assert len(list(desired)) == len(desired.keep_own().own) + 1 == MOST


def test_a_person_who_removed_what_stood_need_not_wait_to_place_it_again() -> None:
    house = House("a:1")
    house.ordered()
    house.tells("a:1", stand("m", "i5@a:1"), index=130)
    house.tell(ModelOrdered(models=(M,), order="remove"))
    house.read("a:1", index=140)
    assert placed(house.tell(ModelOrdered(models=(M,), order="place"))) == ["a:1"]
