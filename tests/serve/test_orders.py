"""What is shown of a model that is to stand on Exo, and what a person is told who must help."""

import pytest

from exo_supervisor.core.events import Event
from exo_supervisor.core.names import ModelId
from exo_supervisor.core.outcomes import BadRequestError
from exo_supervisor.core.policy import WAITS, Policy
from exo_supervisor.serve.control.orders import Orders
from exo_supervisor.views.advice import advise
from exo_supervisor.views.placement import ON_THE_HUB, PlacementSeen, placement_of
from tests.core.placement.test_reconciler import KEPT, House, give_up, placed_at
from tests.core.story import CHAT, LOCAL, Story

M, N = ModelId("m"), ModelId("n")


def wall(instant: float) -> str:
    return f"t{instant:g}"


def seen(house: Story) -> PlacementSeen | None:
    return placement_of(house.machine, (N, M), wall)


def test_each_stage_of_a_placement_is_shown() -> None:
    house = House(KEPT, "a:1")
    assert seen(house) == PlacementSeen("resting")
    order = placed_at(house)
    assert seen(house) == PlacementSeen("asked", "a:1", since="t20")
    house.settle(order, "accepted")
    assert seen(house) == PlacementSeen("awaited", "a:1", since="t20")
    house.read("a:1", loading="m", index=110)
    assert seen(house) == PlacementSeen("loading", "a:1", "", since="t20")
    house.read("a:1", "m", index=111)
    assert seen(house) is None
    house.order("remove")
    assert seen(house) == PlacementSeen("removing", "a:1")


def test_of_a_model_without_a_card_is_said_that_exo_looks_it_up() -> None:
    house = House(KEPT, "a:1")
    house.cards("a:1", "org/another")
    placed_at(house)
    assert seen(house) == PlacementSeen("asked", "a:1", ON_THE_HUB, since="t20")
    house.cards("a:1", "m", "org/another")
    assert seen(house) == PlacementSeen("asked", "a:1", since="t20")


def test_a_failure_says_why_and_when_it_is_tried_again() -> None:
    house = House(KEPT, "a:1")
    house.fails(placed_at(house), "no room")
    assert seen(house) == PlacementSeen("resting", None, "no room", None, "t50", 1)


def test_what_was_given_up_is_for_a_person() -> None:
    house = House(KEPT, "a:1")
    give_up(house)
    shown = seen(house)
    assert shown is not None
    assert (shown.state, shown.why, shown.failures) == ("given_up", "no", 6)
    wanted = "m could not be placed (no): exo-supervisor models place m"
    assert wanted in advise(house.machine, house.now)


def test_of_a_model_that_nobody_wants_nothing_is_shown() -> None:
    assert seen(Story(LOCAL, "a:1")) is None


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("nobody", 404, "model_not_found"), ("chat", 503, "no_target")],
)
def test_an_order_that_nobody_can_carry_out(name: str, status: int, code: str) -> None:
    story = Story(Policy(models=(CHAT,)), "a:1", generation="A")
    orders = Orders(story.machine, lambda _: None)
    with pytest.raises(BadRequestError) as refused:
        orders.give(name, "place")
    assert (refused.value.refusal.status, refused.value.refusal.code) == (status, code)


def test_a_mere_card_may_be_ordered() -> None:
    house = House(Policy(), "a:1")
    house.cards("a:1", "org/card")
    house.wait(WAITS.restarted)

    def ask(event: Event) -> None:
        house.tell(event)

    Orders(house.machine, ask).give("org/card", "place")
    row = house.machine.tables.reconciler.desired.row_of(ModelId("org/card"))
    assert row is not None
    assert row.wanted
