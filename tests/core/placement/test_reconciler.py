"""Models that are to stand on Exo stand there: placed once, watched, restored, given up loudly."""

from typing import Literal

from exo_supervisor.core.effects import Effect, PlaceModel, ReadPlacement, RemoveModel, StartAttempt
from exo_supervisor.core.events import (
    ModelOrdered,
    ModelRemoved,
    NodeSighted,
    PlacementRead,
    PlacementSettled,
    ProbeFailed,
)
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.names import Address, ClusterKey, ModelId, NodeId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.placement.eligibility import GONE
from exo_supervisor.core.placement.state import ANSWERS, FIRST_PAUSE, GIVES_UP, GivenUp
from exo_supervisor.core.policy import WAITS, ModelRule, Policy
from tests.core.story import CLOUDS, P, Story, X, refusal, told

M, N = ModelId("m"), ModelId("n")
KEPT = Policy(models=(ModelRule("chat", exo=(M, N), keep=True),))
KEPT_OR_CLOUD = Policy(
    clouds=CLOUDS, models=(ModelRule("chat", exo=(M,), cloud=((P, X),), keep=True),)
)
ASKED_FOR = Policy(models=(ModelRule("chat", exo=(M,), on_demand=True),))
ASKED_FOR_OR_CLOUD = Policy(
    clouds=CLOUDS, models=(ModelRule("chat", exo=(M,), cloud=((P, X),), on_demand=True),)
)


def orders(effects: list[Effect]) -> list[PlaceModel]:
    return [effect for effect in effects if isinstance(effect, PlaceModel)]


class House(Story):
    """A story with nodes that run nothing, and a word for what becomes of a placement."""

    def __init__(
        self,
        policy: Policy,
        *nodes: str,
        generation: Literal["A", "B", "C"] = "C",
    ) -> None:
        super().__init__(policy)
        self.effects: list[Effect] = []
        for node in nodes:
            self.up(node, generation=generation)
            self.read(node, index=100)

    def settle(
        self,
        order: PlaceModel,
        told: Literal["accepted", "stands", "lost", "unfit", "failed"],
        detail: str = "",
    ) -> list[Effect]:
        return self.tell(
            PlacementSettled(key=order.key, ticket=order.ticket, told=told, detail=detail)
        )

    def order(self, order: Literal["place", "remove"], *models: ModelId) -> list[Effect]:
        return self.tell(ModelOrdered(models=models or (M,), order=order))

    def fails(self, order: PlaceModel, detail: str = "no") -> None:
        assert not orders(self.settle(order, "failed", detail))


def placed_at(house: House, node: str = "a:1") -> PlaceModel:
    """Wait for the one order that a house gives, and check where it goes."""
    (order,) = orders(house.wait(WAITS.restarted))
    assert order.node == node
    return order


def give_up(house: House) -> None:
    """Let every placement fail, each as soon as it is tried."""
    house.fails(placed_at(house))
    for failures in range(GIVES_UP - 1):
        (order,) = orders(house.wait(FIRST_PAUSE * 2.0**failures))
        house.fails(order)


def test_a_kept_model_is_placed_when_its_cluster_has_settled() -> None:
    house = House(KEPT, "a:1")
    assert not orders(house.wait(WAITS.restarted - 0.1))
    (order,) = orders(house.wait(0.1))
    assert (order.key, order.models, order.url) == (M, (M, N), "http://a:1")
    [started] = [said for said in house.said if said.name == "placement_started"]
    assert started.facts == {"model": M, "cluster": "a:1", "node": "a:1"}
    house.said.clear()
    effects = house.settle(order, "accepted")
    assert [effect for effect in effects if isinstance(effect, ReadPlacement)]
    house.read("a:1", loading="m", index=101)
    house.read("a:1", "m", index=102)
    assert house.names() == ["placement_accepted", "model_loading", "model_ready", "placement_done"]
    assert not orders(house.wait(900.0))


def test_one_that_stands_under_another_of_its_ids_is_not_placed() -> None:
    house = House(KEPT)
    house.up("a:1")
    house.read("a:1", "n")
    assert not orders(house.wait(60.0))


def test_one_that_loads_already_is_not_placed_either() -> None:
    house = House(KEPT)
    house.up("a:1")
    house.read("a:1", loading="m")
    assert not orders(house.wait(60.0))
    house.read("a:1", "m")
    assert house.names()[-2:] == ["model_ready", "placement_done"]


def test_generation_a_knows_no_placement() -> None:
    house = House(KEPT, "a:1", generation="A")
    assert not orders(house.wait(60.0))


def test_never_two_at_once() -> None:
    house = House(KEPT, "a:1", "b:1")
    order = placed_at(house)
    for _ in range(5):
        assert not orders(house.read("b:1", index=101) + house.wait(5.0))
    assert not orders(house.settle(order, "lost"))
    assert not orders(house.wait(5.0))


def test_a_lost_answer_is_waited_for_in_the_state() -> None:
    house = House(KEPT, "a:1")
    house.settle(placed_at(house), "lost")
    house.names()
    house.read("a:1", loading="m", index=110)
    assert house.names() == ["model_loading"]


def test_an_order_that_nobody_answered_counts_as_lost() -> None:
    house = House(KEPT, "a:1")
    order = placed_at(house)
    assert not orders(house.wait(60.0))
    assert not orders(house.settle(order, "accepted")), "it came too late to mean anything"
    house.now += WAITS.appears
    house.read("a:1", index=200)
    assert house.names()[-1] == "placement_failed"


def test_what_was_accepted_and_never_appears_is_tried_again_later() -> None:
    house = House(KEPT, "a:1")
    house.settle(placed_at(house), "accepted")
    house.now += WAITS.appears
    assert not orders(house.read("a:1", index=120))
    assert house.names()[-1] == "placement_failed"
    assert not orders(house.wait(FIRST_PAUSE - 0.1))
    assert len(orders(house.wait(0.1))) == 1


def test_it_looks_every_two_seconds_while_something_must_show() -> None:
    house = House(KEPT, "a:1")
    house.settle(placed_at(house), "accepted")
    looks = [effect for effect in house.wait(6.1) if isinstance(effect, ReadPlacement)]
    assert len(looks) >= 3


def test_where_it_does_not_fit_another_cluster_is_asked() -> None:
    house = House(KEPT, "a:1", "b:1")
    (second,) = orders(house.settle(placed_at(house), "unfit", "no room"))
    assert second.node == "b:1"
    assert not orders(house.settle(second, "unfit", "no room"))
    assert house.names()[-3:] == ["placement_started", "placement_unfit", "placement_failed"]
    row = house.machine.tables.reconciler.desired.row_of(M)
    assert row is not None
    assert getattr(row.placing, "why", "") == "no room"
    (again,) = orders(house.wait(FIRST_PAUSE))
    assert again.node == "a:1"


def test_it_gives_up_loudly_and_hopes_anew_when_the_house_changes() -> None:
    house = House(KEPT, "a:1")
    house.fails(placed_at(house))
    for failures in range(GIVES_UP - 1):
        assert "placement_given_up" not in house.names()
        (order,) = orders(house.wait(FIRST_PAUSE * 2.0**failures))
        house.fails(order)
    (given_up,) = [said for said in house.said if said.name == "placement_given_up"]
    assert (given_up.level, given_up.facts["failures"]) == ("error", GIVES_UP)
    assert not orders(house.wait(3600.0))
    house.read("a:1", index=200)
    assert house.names().count("placement_given_up") == 1
    house.up("b:1")
    house.read("b:1", index=1)
    (order,) = orders(house.wait(WAITS.settle))
    assert (order.node, order.ticket) == ("a:1", GIVES_UP + 1)


def test_a_person_may_order_what_was_given_up() -> None:
    house = House(KEPT, "a:1")
    give_up(house)
    (order,) = orders(house.order("place"))
    assert order.ticket == GIVES_UP + 1


def test_an_election_is_waited_out_and_then_the_model_comes_back() -> None:
    house = House(KEPT_OR_CLOUD)
    house.up("a:1")
    house.read("a:1", "m", index=1000)
    house.wait(WAITS.restarted)
    assert told(house.ask("r")) == ["start a:1 m"]
    house.succeed("r")
    house.names()
    house.read("a:1", index=3)
    assert told(house.ask("s")) == ["start p x /model_not_ready"]
    house.succeed("s")
    (order,) = orders(house.wait(WAITS.restarted))
    house.settle(order, "accepted")
    house.read("a:1", "m", index=20)
    assert told(house.ask("t")) == ["start a:1 m"]
    house.succeed("t")
    assert [name for name in house.names() if not name.startswith("cluster_")] == [
        "model_lost",
        "traffic_shifted",
        "placement_started",
        "placement_accepted",
        "model_ready",
        "placement_done",
        "traffic_shifted",
    ]


def test_what_an_election_takes_while_it_loads_is_no_failure() -> None:
    house = House(KEPT, "a:1")
    house.settle(placed_at(house), "accepted")
    house.read("a:1", loading="m", index=110)
    house.names()
    house.read("a:1", index=2)
    assert "placement_failed" not in house.names()
    assert not orders(house.wait(WAITS.appears - 0.1)), "it may still appear, in the next session"
    (order,) = orders(house.wait(0.1))
    assert order.ticket == 2


def test_what_vanishes_while_it_loads_is_one() -> None:
    house = House(KEPT, "a:1")
    house.settle(placed_at(house), "accepted")
    house.read("a:1", loading="m", index=110)
    house.read("a:1", index=120)
    assert house.names()[-1] == "placement_failed"


def test_a_cluster_that_died_takes_its_models_with_it_only_after_a_while() -> None:
    house = House(KEPT, "b:1")
    house.up("a:1")
    house.read("a:1", "m", index=10)
    house.wait(WAITS.restarted)
    assert not orders(house.down("a:1"))
    assert not orders(house.wait(GONE - WAITS.restarted - 1.0))
    house.up("b:1")
    assert not orders(house.read("b:1", index=101))
    house.now += 2.0
    (order,) = orders(house.read("b:1", index=102))
    assert order.node == "b:1"


def test_a_load_on_a_cluster_that_died_is_no_failure() -> None:
    house = House(KEPT, "a:1")
    house.settle(placed_at(house), "accepted")
    house.read("a:1", loading="m", index=110)
    house.down("a:1")
    house.wait(GONE)
    house.names()
    house.tell(PlacementSettled(key=N, ticket=99, told="lost"))
    house.down("a:1")
    house.wait(1800.0)
    assert "placement_failed" not in house.names()


def test_a_request_waits_for_a_model_that_is_coming_where_nothing_else_may_serve() -> None:
    house = House(KEPT, "a:1")
    assert house.ask("r") == []
    order = placed_at(house)
    house.settle(order, "accepted")
    house.read("a:1", loading="m", index=110)
    assert house.waits("r")
    assert told(house.read("a:1", "m", index=111)) == ["start a:1 m"]
    state = house.machine.dispatch.requests[next(iter(house.machine.dispatch.requests))]
    assert state.shift is None


def test_it_waits_no_longer_than_its_limit() -> None:
    house = House(KEPT, "a:1")
    house.ask("r")
    house.settle(placed_at(house), "accepted")
    house.read("a:1", loading="m", index=110)
    answer = refusal(house.wait(300.0))
    assert (answer.status, answer.code) == (503, "no_target")


def test_it_is_told_at_once_when_the_placement_fails() -> None:
    house = House(KEPT, "a:1")
    house.ask("r")
    answer = refusal(house.settle(placed_at(house), "failed", "no"))
    assert (answer.status, answer.code) == (503, "no_target")


def test_it_is_told_at_once_when_the_last_cluster_falls_that_could_take_its_model() -> None:
    house = House(KEPT, "a:1")
    assert house.ask("r") == []
    answer = refusal(house.down("a:1"))
    assert (answer.status, answer.code) == (503, "no_target")


def test_a_stranger_who_is_silent_has_nobody_look_at_what_is_placed() -> None:
    house = House(KEPT, "a:1")
    house.tell(NodeSighted(node=Address("b:1"), url="http://b:1", source="mdns"))
    house.now += WAITS.restarted  # the order is due, and waits for its own alarm
    assert house.tell(ProbeFailed(node=Address("b:1"), why="timeout")) == []
    assert "node_silent" in house.names()


def test_without_any_cluster_nothing_is_coming() -> None:
    house = House(KEPT)
    assert refusal(house.ask("r")).code == "no_target"


def test_the_first_request_places_a_model_on_demand() -> None:
    house = House(ASKED_FOR, "a:1")
    assert not orders(house.wait(60.0))
    (order,) = orders(house.ask("r"))
    assert house.waits("r")
    house.settle(order, "accepted")
    effects = house.read("a:1", "m", index=200)
    assert [effect for effect in effects if isinstance(effect, StartAttempt)]
    house.succeed("r")
    house.read("a:1", index=210)
    assert not orders(house.wait(60.0)), "nobody asked since"


def test_meanwhile_the_cloud_serves_if_it_may() -> None:
    house = House(ASKED_FOR_OR_CLOUD, "a:1")
    house.wait(WAITS.restarted)
    effects = house.ask("r")
    assert len(orders(effects)) == 1
    assert "start p x /model_not_ready" in told(effects)
    assert told(house.ask("s", route="cloud")) == ["start p x /route"]
    house.succeed("r")


def test_a_request_for_the_cloud_alone_places_nothing() -> None:
    house = House(ASKED_FOR_OR_CLOUD, "a:1")
    house.wait(WAITS.restarted)
    assert not orders(house.ask("r", route="cloud"))


def test_a_failed_demand_rests_and_its_requests_do_not_wait() -> None:
    house = House(ASKED_FOR, "a:1")
    house.wait(WAITS.restarted)
    (order,) = orders(house.ask("r"))
    house.fails(order)
    assert refusal(house.ask("s")).status == 503
    assert not orders(house.wait(FIRST_PAUSE - 1.0))
    assert not orders(house.wait(60.0)), "only a request asks again"
    assert len(orders(house.ask("t"))) == 1


def test_a_person_places_any_model_once() -> None:
    house = House(Policy(), "a:1")
    house.wait(WAITS.restarted)
    (order,) = orders(house.order("place", M))
    house.settle(order, "accepted")
    house.read("a:1", "m", index=200)
    house.read("a:1", index=210)
    assert not orders(house.wait(600.0))


def test_a_person_who_removes_a_kept_model_is_obeyed_until_it_is_ordered_again() -> None:
    house = House(KEPT)
    house.up("a:1")
    house.read("a:1", "m", "n", index=10)
    house.wait(WAITS.restarted)
    (remove,) = house.order("remove")
    assert isinstance(remove, RemoveModel)
    assert (remove.model, remove.cluster, remove.models) == (M, "a:1", (M, N))
    row = house.machine.tables.reconciler.desired.row_of(M)
    assert row is not None
    assert set(row.removing) == {"a:1"}
    house.names()
    removed = ModelRemoved(model=M, cluster=ClusterKey("a:1"), count=2)
    assert told(house.tell(removed)) == ["ReadPlacement a:1"]
    assert not row.removing
    house.read("a:1", index=20)
    assert house.names() == ["model_removed", "model_lost", "model_lost"]
    assert not orders(house.wait(600.0))
    assert len(orders(house.order("place"))) == 1


def test_a_flood_of_removals_is_one_until_it_is_answered_or_lost() -> None:
    house = House(Policy(), "a:1")
    house.read("a:1", "m", index=110)
    assert len(house.order("remove")) == 1
    assert not [each for _ in range(1000) for each in house.order("remove")]
    house.wait(ANSWERS)
    assert len(house.order("remove")) == 1
    house.tell(ModelRemoved(model=M, cluster=ClusterKey("a:1"), count=0, why="it is deaf"))
    assert len(house.order("remove")) == 1


def test_a_model_ordered_while_it_is_being_removed_is_placed_anew() -> None:
    house = House(Policy(), "a:1")
    house.wait(WAITS.restarted)
    house.read("a:1", "m", index=110)
    (remove,) = house.order("remove")
    assert isinstance(remove, RemoveModel)
    assert not orders(house.order("place"))
    house.read("a:1", "m", index=111)
    house.tell(ModelRemoved(model=M, cluster=ClusterKey("a:1"), count=1))
    assert len(orders(house.read("a:1", index=120))) == 1


def test_a_removal_that_nobody_answers_for_is_over_after_a_minute() -> None:
    house = House(Policy(), "a:1")
    house.read("a:1", "m", index=110)
    house.order("remove")
    row = house.machine.tables.reconciler.desired.row_of(M)
    assert row is not None
    house.now += ANSWERS - 0.1
    house.read("a:1", "m", index=170)
    assert row.removing
    house.now += 0.1
    house.read("a:1", "m", index=171)
    assert not row.removing


def test_what_cannot_be_removed_is_said() -> None:
    house = House(Policy(), "a:1")
    house.tell(ModelRemoved(model=M, cluster=ClusterKey("z:1"), count=0, why="it is deaf"))
    assert (house.said[-1].level, house.said[-1].facts["why"]) == ("warning", "it is deaf")


def test_nothing_is_removed_where_nothing_stands() -> None:
    house = House(KEPT, "a:1")
    assert house.order("remove") == []
    house.down("a:1")
    assert house.order("remove") == []


def test_a_removal_in_the_middle_of_a_placement_lets_that_come_to_its_end() -> None:
    house = House(KEPT, "a:1")
    order = placed_at(house)
    house.order("remove")
    house.settle(order, "accepted")
    house.read("a:1", "m", index=120)
    assert not orders(house.wait(60.0))


def test_the_table_of_models_is_bounded_and_spares_those_of_the_file() -> None:
    house = House(KEPT, "a:1")
    for number in range(600):
        house.order("remove", ModelId(f"x{number}"))
    wants = house.machine.tables.reconciler.desired
    assert len(list(wants)) <= 256
    assert wants.row_of(M) is not None
    assert wants.row_of(ModelId("x599")) is not None


def test_rules_that_share_an_id_share_a_row() -> None:
    rules = (ModelRule("one", exo=(M, N), keep=True), ModelRule("two", exo=(N,), on_demand=True))
    wants = House(Policy(models=rules)).machine.tables.reconciler.desired
    assert wants.row_of(M) is wants.row_of(N)
    assert len(list(wants)) == 1


def test_a_node_that_says_it_is_not_placed_is_asked_before_it_is_placed_again() -> None:
    house = House(KEPT)
    house.up("a:1")
    house.read("a:1", "m", index=10)
    house.wait(WAITS.restarted)
    house.machine.tables.registry.unplace(Address("a:1"), M, house.now)
    assert not orders(house.tell(ModelOrdered(models=(M,), order="place")))
    assert len(orders(house.read("a:1", index=11))) == 1


def test_what_ails_is_neither_placed_again_nor_waited_for_and_comes_back_once_it_is_gone() -> None:
    house = House(KEPT)
    house.up("a:1")
    house.read("a:1", "m", index=10)
    house.wait(WAITS.restarted)
    listed, ill = (NodeId("a:1#0"),), Placed(M, ready=False, why="host_silent")
    told_ill = PlacementRead(node=Address("a:1"), listed=listed, models=(ill,), index=11)
    assert not orders(house.tell(told_ill) + house.wait(60.0))
    assert refusal(house.ask("r")).code == "no_target"
    assert "model_loading" not in house.names()
    (order,) = orders(house.read("a:1", index=80))
    assert order.models == (M, N)


def test_ordering_what_is_under_way_begins_nothing() -> None:
    house = House(KEPT, "a:1")
    order = placed_at(house)
    assert not orders(house.order("place"))
    house.settle(order, "accepted")
    assert not orders(house.order("place"))


def test_a_stuck_load_is_given_up_and_not_placed_again() -> None:
    house = House(KEPT, "a:1")
    house.settle(placed_at(house), "accepted")
    house.read("a:1", loading="m", index=110)
    house.wait(1801.0)
    house.read("a:1", loading="m", index=111)
    row = house.machine.tables.reconciler.desired.row_of(M)
    assert row is not None
    assert isinstance(row.placing, GivenUp)
    assert not orders(house.wait(3600.0))
    placed = Placed(M, ready=True)
    assert placed.ready
    house.read("a:1", "m", index=112)
    assert house.names()[-1] == "model_ready"


def test_a_route_header_is_told_of_however_long_the_wait_was() -> None:
    house = House(KEPT_OR_CLOUD, "a:1")
    assert house.ask("r", route="exo") == []
    house.settle(placed_at(house), "accepted")
    assert told(house.read("a:1", "m", index=111)) == ["start a:1 m"]


def test_a_model_that_is_there_and_fails_is_not_waited_for() -> None:
    house = House(KEPT, "a:1")
    house.settle(placed_at(house), "accepted")
    house.read("a:1", loading="m", index=110)
    row = house.machine.tables.reconciler.desired.row_of(M)
    assert row is not None
    house.read("a:1", "n", index=111)
    house.ask("r", "n")
    row.coming = True
    assert refusal(house.fail("r", Fault.CONNECT)).code == "attempts_failed"


def test_a_request_for_what_is_ready_on_demand_orders_nothing() -> None:
    house = House(ASKED_FOR)
    house.up("a:1")
    house.read("a:1", "m")
    assert told(house.ask("r")) == ["start a:1 m"]


def test_a_demand_for_what_no_rule_names_is_nothing() -> None:
    assert House(ASKED_FOR).machine.tables.reconciler.demand((N,), 0.0) == []
