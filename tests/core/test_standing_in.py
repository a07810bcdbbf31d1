"""Rows that are as good as another, and rows that stand in for one that cannot serve."""

from itertools import product

import pytest
from msgspec import structs

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.events import AttemptSettled, CardsRead, ProviderListed
from exo_supervisor.core.names import Address, ModelId, ProviderName, RequestId, Side
from exo_supervisor.core.outcomes import Failure, Fault
from exo_supervisor.core.policy import Cloud, ModelRule, Policy
from tests.core.story import BOTH, LOCAL, Story, refusal, told

M, K, X, Y = ModelId("m"), ModelId("k"), ModelId("x"), ModelId("y")
P, Q = ProviderName("p"), ProviderName("q")
BIG = ModelRule("big", exo=(M,), cloud=((P, X),), fallback=("small", "last"))
SMALL = ModelRule("small", exo=(K,))
LAST = ModelRule("last", cloud=((Q, Y),))


def house(*rules: ModelRule, policy: Policy = BOTH) -> Policy:
    return structs.replace(policy, models=rules)


def test_each_row_is_tried_in_order_and_the_refusal_tells_of_all() -> None:
    story = Story(house(BIG, SMALL, LAST), "a:1")
    story.read("a:1", M, K)
    heard = told(story.ask("r", "big"))
    for _ in range(4):
        heard += told(story.fail("r", Fault.CONTEXT_LENGTH, status=400, message="too long"))
    assert heard == [
        "start a:1 m",
        "start p x /attempt_failed",
        "start a:1 k /attempt_failed",
        "start q y /attempt_failed",
        "refuse 400 upstream_rejected",
    ]
    assert story.idle()


def test_the_same_node_serves_the_row_that_stands_in_where_the_model_died() -> None:
    story = Story(house(structs.replace(BIG, cloud=()), SMALL, LAST), "a:1")
    story.read("a:1", M, K)
    story.ask("r", "big")
    assert told(story.fail("r", Fault.ERROR_EVENT)) == ["start a:1 k /attempt_failed"]


def test_a_node_that_is_gone_is_asked_for_no_other_model_either() -> None:
    story = Story(house(structs.replace(BIG, cloud=()), SMALL, LAST), "a:1")
    story.read("a:1", M, K)
    story.ask("r", "big")
    assert told(story.fail("r", Fault.CONNECT)) == ["start q y /attempt_failed"]


def test_a_row_that_stands_in_serves_where_the_own_one_stands_nowhere() -> None:
    story = Story(house(structs.replace(BIG, cloud=()), SMALL, LAST), "a:1")
    story.read("a:1", K)
    assert told(story.ask("r", "big")) == ["start a:1 k /model_not_ready"]


def test_of_rows_that_are_as_good_the_warm_one_serves_as_the_first_choice() -> None:
    first = ModelRule("first", exo=(M,), any_of=("second",), cloud=((P, X),))
    second = ModelRule("second", exo=(K,), cloud=((P, Y), (Q, Y)))
    story = Story(house(first, second), "a:1")
    story.read("a:1", K)
    assert told(story.ask("r", "first")) == ["start a:1 k"]
    assert told(story.fail("r", Fault.ERROR_EVENT)) == ["start p x /attempt_failed"]
    story.fail("r", Fault.UNSUPPORTED)
    assert told(story.ask("s", "first", route="cloud"))[0] == "start p x /route"


@pytest.mark.parametrize("draw", [0.0, 0.9])
def test_who_loads_a_model_at_its_first_request_is_not_the_warm_one(draw: float) -> None:
    """Generation A calls ready what it has yet to load, and who was never measured seems fast."""
    first = ModelRule("first", exo=(M,), any_of=("second",))
    story = Story(house(first, ModelRule("second", exo=(K,)), policy=LOCAL))
    story.up("a:1", generation="A")
    story.read("a:1", M)
    assert told(story.ask("cold", "first", draw=draw)) == ["start a:1 m"], "none is warm"
    story.leave("cold")
    story.up("b:1")
    story.read("b:1", K)
    for request in ("r", "s"):
        assert told(story.ask(request, "first", draw=draw)) == ["start b:1 k"]
        story.succeed(request, ttft=5.0)
    story.ask("load", "m")
    story.succeed("load", ttft=0.1)
    assert told(story.ask("t", "first", draw=draw)) == ["start a:1 m"], "now it is warm, and faster"


def test_a_model_is_placed_at_a_request_only_while_none_as_good_is_warm() -> None:
    first = ModelRule("first", exo=(M,), any_of=("second",), on_demand=True)
    rules = house(first, ModelRule("second", exo=(K,)), policy=LOCAL)

    def placed(*ready: str) -> bool:
        story = Story(rules, "a:1")
        story.read("a:1", *ready)
        story.ask("r", "first")
        return story.machine.tables.reconciler.expects((M,))

    assert not placed(K)
    assert placed()


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [
        pytest.param(8000, 4000, "refuse 400 upstream_rejected", id="shorter"),
        pytest.param(8000, 8000, "refuse 400 upstream_rejected", id="no longer"),
        pytest.param(8000, 9000, "start q y /attempt_failed", id="longer"),
        pytest.param(8000, 0, "start q y /attempt_failed", id="unknown"),
        pytest.param(0, 4000, "start q y /attempt_failed", id="nothing to compare with"),
    ],
)
def test_what_is_too_long_goes_on_to_a_longer_context_only(
    own: int, other: int, expected: str
) -> None:
    big = ModelRule("big", exo=(M,), fallback=("last",), context=own)
    story = Story(house(big, structs.replace(LAST, context=other)), "a:1")
    story.ask("r", "big")
    assert told(story.fail("r", Fault.CONTEXT_LENGTH, status=400)) == [expected]


def test_the_row_says_it_before_its_provider_does_and_the_shortest_holds() -> None:
    rules = (
        ModelRule("one", cloud=((P, X), (P, Y)), context=100),
        ModelRule("two", cloud=((P, X),), exo=(M,), context=50),
        ModelRule("three", cloud=((P, X),)),
    )
    story = Story(house(*rules))
    listed = {X: 7, Y: 7, K: 7}
    story.tell(ProviderListed(provider=P, models=(X, Y, K), contexts=listed))
    asked = [(P, X), (P, Y), (P, K), (None, M), (None, K), (ProviderName("z"), X)]
    assert [story.machine.tables.context(*each) for each in asked] == [50, 100, 7, 50, 0, 0]


def test_what_a_model_can_is_what_its_own_place_tells() -> None:
    story = Story(house(BIG, SMALL, LAST), "a:1")
    story.tell(ProviderListed(provider=P, models=(X, Y), capabilities={X: ("vision",)}))
    story.tell(CardsRead(node=Address("a:1"), cards={M: ("tools",), X: ()}))
    asked = [(P, X), (P, Y), (None, M), (None, X), (None, Y), (ProviderName("z"), X)]
    assert [story.machine.tables.capabilities(*each) for each in asked] == [
        ("vision",), (), ("tools",), (), (), (),
    ]  # fmt: skip


def test_another_row_does_not_go_on_with_an_answer_that_broke_off() -> None:
    big = structs.replace(BIG, continues=True, fallback=("last",))

    def after_death(*rules: ModelRule) -> list[str]:
        story = Story(house(*rules), "a:1")
        story.ask("r", "big")
        story.begin("r")
        return told(
            story.tell(
                AttemptSettled(
                    request=RequestId("r"),
                    attempt=1,
                    failure=Failure(Fault.RESET),
                    draw=0.0,
                    committed=True,
                    resumable=True,
                )
            )
        )

    assert after_death(big, LAST) == ["start p x /attempt_failed"]
    assert after_death(structs.replace(big, cloud=()), LAST) == []


def test_the_row_that_goes_on_is_that_of_the_model_which_broke_off() -> None:
    """Though another row before it asks the same provider for another model."""
    big = ModelRule("big", cloud=((P, X),), fallback=("last",), continues=True)
    last = ModelRule("last", cloud=((P, Y), (Q, Y)), continues=True)
    story = Story(house(big, last))
    story.ask("r", "big")
    assert told(story.fail("r", Fault.CONTEXT_LENGTH, status=400))[:1] == [
        "start p y /attempt_failed"
    ]
    story.begin("r")
    broken = AttemptSettled(
        request=RequestId("r"), attempt=2, failure=Failure(Fault.RESET), draw=0.0,
        committed=True, resumable=True,
    )  # fmt: skip
    assert told(story.tell(broken)) == ["start q y /attempt_failed"]


def ways(*, kept_by: str) -> list[ModelRule]:
    """Make rows of which one, or none, keeps what passes through it in the house."""

    def row(name: str, **more: object) -> ModelRule:
        return ModelRule(name, local_only=kept_by == name, **more)  # pyright: ignore[reportArgumentType] - a table's columns

    return [
        row("asked", exo=(M,), cloud=((P, X),), aliases=("alias", "star-*"),
            any_of=("equal",), fallback=("next",)),
        row("equal", exo=(K,), cloud=((Q, X),)),
        row("next", exo=(K,), cloud=((P, Y),), fallback=("after",)),
        row("after", cloud=((Q, Y),)),
    ]  # fmt: skip


BY_ROW = ("asked", "equal", "next", "after")
FAULTS = (Fault.CONTEXT_LENGTH, Fault.ERROR_EVENT, Fault.CONNECT, Fault.BUSY, Fault.UNSUPPORTED)


@pytest.mark.parametrize("name", ["asked", "alias", "star-1"])
@pytest.mark.parametrize("kept_by", ["header", "house", *BY_ROW])
@pytest.mark.parametrize("order", [("exo", "cloud"), ("cloud", "exo")])
def test_no_way_through_the_rows_leads_out_of_the_house(
    name: str, kept_by: str, order: tuple[Side, Side]
) -> None:
    rules = ways(kept_by=kept_by)
    policy = house(*rules, policy=structs.replace(BOTH, order=order, trust="link"))
    policy = structs.replace(policy, local_only=kept_by == "house")
    for ready, fault in product([(), (M,), (K,), (M, K)], FAULTS):
        story = Story(policy, "a:1", "b:1")
        for node in ("a:1", "b:1"):
            story.read(node, *ready)
        effects = story.ask("r", name, local_only=kept_by == "header", deadline=60.0)
        for _ in range(12):
            if story.number("r"):
                effects += story.fail("r", fault)
            effects += story.wait(5.0)
        asked = {each.target for each in effects if isinstance(each, StartAttempt)}
        assert asked <= {"a:1", "b:1"}
        assert bool(asked) == bool(ready)
        assert story.idle()


@pytest.mark.parametrize("name", ["asked", "alias", "star-1"])
def test_the_same_ways_do_lead_out_where_nothing_keeps_them(name: str) -> None:
    story = Story(house(*ways(kept_by="nobody")))
    effects = story.ask("r", name)
    for _ in range(4):
        effects += story.fail("r", Fault.UNSUPPORTED)
    asked = [word for word in told(effects) if word.startswith("start")]
    assert [word[:9] for word in asked] == ["start p x", "start q x", "start p y", "start q y"]


def test_a_row_that_must_stay_and_has_only_clouds_to_go_to_is_refused() -> None:
    kept = ModelRule("kept", local_only=True, fallback=("last",))
    assert refusal(Story(house(kept, LAST)).ask("r", "kept")).code == "privacy"


def test_a_cloud_s_own_context_is_learnt_of_its_list() -> None:
    cloud = Cloud(P, "https://p.example")
    story = Story(Policy(clouds=(cloud,), models=(ModelRule("one", cloud=((P, X), (P, Y))),)))
    story.tell(ProviderListed(provider=P, models=(X, Y), contexts={X: 8, Y: 4}))
    story.ask("r", "one")
    assert told(story.fail("r", Fault.CONTEXT_LENGTH, status=400)) == [
        "refuse 400 upstream_rejected"
    ]
