"""Each request is told why it goes where it goes, and whom it passed over for what reason."""

from collections.abc import Callable

import pytest
from msgspec import structs

from exo_supervisor.core.choice import HOME, ONLY, Choice, Passed
from exo_supervisor.core.effects import Effect, Refuse, StartAttempt
from exo_supervisor.core.events import PolicyChanged, ProviderListed
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import ModelRule, Policy
from exo_supervisor.core.requests.forecast import LATER, forecast
from exo_supervisor.core.requests.passed_over import MOST_PASSED
from tests.core.story import BOTH, CLOUDS, LOCAL, M, P, Story, X


def chosen(effects: list[Effect]) -> Choice:
    [choice] = [e.choice for e in effects if isinstance(e, StartAttempt | Refuse)]
    assert choice is not None
    return choice


def passed(effects: list[Effect]) -> list[tuple[str, str, str]]:
    return [(each.target, each.reason, each.detail) for each in chosen(effects).passed]


def test_where_there_is_nothing_to_choose_nothing_is_made() -> None:
    story = Story(BOTH, "a:1")
    assert chosen(story.ask("r")) is ONLY


def test_the_fastest_is_told_with_what_was_expected_of_each() -> None:
    story = Story(LOCAL, "a:1", "b:1")
    first = chosen(story.ask("r"))
    assert first.why == "fastest"
    story.succeed("r", ttft=0.4)
    choice = chosen(story.ask("s"))
    assert choice == Choice("fastest", compared=(("a:1", 0.4), ("b:1", 0.0)))
    in_turn = Story(structs.replace(LOCAL, balance="round_robin"), "a:1", "b:1")
    assert chosen(in_turn.ask("r")) == Choice("in_turn", compared=(("a:1", None), ("b:1", None)))


def test_a_conversation_stays_at_its_place_or_is_told_to_have_moved() -> None:
    story = Story(LOCAL, "a:1", "b:1")
    story.ask("r", session=7, draw=0.0)
    story.succeed("r")
    assert chosen(story.ask("s", session=7)) == HOME
    story.succeed("s")
    story.down("a:1")
    assert chosen(story.ask("t", session=7)) == Choice(
        passed=(Passed("a:1", None, "exo_down", "refused"),), moved=True
    )


def test_a_node_that_is_down_is_told_of_until_it_is_back() -> None:
    story = Story(LOCAL, "a:1", "b:1")
    story.down("b:1")
    for request in "rs":
        assert passed(story.ask(request)) == [("b:1", "exo_down", "refused")]
        story.succeed(request)
    story.up("b:1")
    story.up("b:1")
    story.read("b:1", M)
    assert passed(story.ask("t")) == []


def test_every_node_that_is_not_ready_is_told_with_why() -> None:
    policy = structs.replace(BOTH, trust="private")
    story = Story(policy, "a:1", "b:1")
    story.down("a:1", why="timeout")
    story.tells("b:1", Placed(M, ready=False, why="loading", progress="3 of 9 layers loaded"))
    story.up("c:1")
    story.read("c:1")
    story.up("d:1")
    assert passed(story.ask("r")) == [
        ("a:1", "exo_down", "timeout"),
        ("b:1", "model_not_ready", "3 of 9 layers loaded"),
        ("c:1", "model_not_ready", "not placed there"),
        ("d:1", "model_not_ready", "not placed there"),
    ]
    empty = Story(BOTH)
    assert passed(empty.ask("r")) == [("exo", "exo_down", "no node is known")]


def test_of_a_large_house_a_few_are_told() -> None:
    nodes = [f"n{number}:1" for number in range(MOST_PASSED + 5)]
    story = Story(BOTH, *nodes)
    for node in nodes:
        story.read(node)
    assert len(passed(story.ask("r"))) == MOST_PASSED


def test_an_open_breaker_is_told_with_its_last_failure_and_its_rest() -> None:
    story = Story(BOTH, "a:1")
    for request in "xyz":
        story.ask(request)
        story.fail(request, Fault.CONNECT, status=0)
        story.succeed(request)
    choice = chosen(story.ask("r"))
    assert choice.passed == (Passed("a:1", M, "breaker_open", "last connect", 10.0),)
    [opened] = [each.facts for each in story.said if each.name == "breaker_opened"]
    assert (opened["request_id"], opened["rest"]) == ("z", 10.0)
    assert opened["evidence"] == [
        {"fault": "connect", "status": None, "ago": 0.0, "request_id": name} for name in "xyz"
    ]
    story.force("a:1", "open")
    assert passed(story.ask("s")) == [("a:1", "breaker_open", "held open by the operator")]


def test_a_probe_under_way_is_why_others_go_elsewhere() -> None:
    story = Story(LOCAL, "a:1")
    for request in "xyz":
        story.ask(request)
        story.fail(request, Fault.CONNECT)
    story.wait(11.0)
    assert chosen(story.ask("probe")) is ONLY
    assert passed(story.ask("r")) == [("a:1", "breaker_open", "its probe is under way")]


def test_where_all_rest_the_first_to_end_is_probed() -> None:
    story = Story(LOCAL, "a:1")
    for request in "xyz":
        story.ask(request)
        story.fail(request, Fault.CONNECT)
    assert chosen(story.ask("r")) == Choice("panic")


def test_the_least_busy_is_asked_where_all_asked_to_be_left_alone() -> None:
    story = Story(LOCAL, "a:1")
    story.ask("x")
    story.fail("x", Fault.BUSY, retry_after=3000.0)
    assert chosen(story.ask("r")).passed == (
        Passed("a:1", M, "busy", "it asked to be left alone", 3000.0),
    )
    story.wait(61.0)
    assert chosen(story.ask("s")) == Choice("least_busy")


def test_who_waits_is_told_for_what() -> None:
    story = Story(LOCAL, "a:1", generation="A")
    story.ask("r")
    assert story.ask("s") == []
    assert chosen(story.succeed("r")).waited == "turn"
    kept = structs.replace(LOCAL, models=(ModelRule("chat", exo=(M,), keep=True),))
    house = Story(kept)
    house.up("a:1")
    house.read("a:1")
    house.tick(20.0)
    assert not [e for e in house.ask("r") if isinstance(e, StartAttempt)]
    assert chosen(house.read("a:1", M, index=9)).waited == "model"
    early = Story(BOTH)
    early.machine.dispatch.looked = False
    assert early.ask("r") == []
    assert chosen(early.tell(ProviderListed(provider=P, models=(X,)))).waited == "first_look"


def test_who_was_busy_and_is_free_again_is_not_passed_over() -> None:
    story = Story(LOCAL, "a:1", "b:1")
    story.ask("x")
    for _ in range(2):
        story.fail("x", Fault.BUSY, retry_after=4.0)
    assert story.ask("s") == []
    story.leave("x")
    choice = chosen(story.wait(9.0))
    assert (choice.why, choice.passed) == ("fastest", ())


def test_no_free_seat_is_why_a_request_goes_to_the_cloud() -> None:
    story = Story(structs.replace(BOTH, patience=0.0), "a:1", generation="A")
    story.ask("r")
    assert passed(story.ask("s")) == [("a:1", "busy", "no seat is free")]


def test_a_second_try_at_the_same_target_says_so() -> None:
    story = Story(LOCAL, "a:1")
    story.ask("r")
    story.fail("r", Fault.SERVER_ERROR, status=500)
    again = chosen(story.wait(1.0))
    assert (again.why, again.waited, again.passed) == ("again", "pause", ())


def test_what_is_asked_anew_says_so() -> None:
    story = Story(Policy(clouds=CLOUDS, models=(ModelRule("chat", cloud=((P, X),)),)))
    story.ask("r")
    assert chosen(story.fail("r", Fault.FIELD_REFUSED, status=400, field="seed")).why == "anew"


def test_tiers_that_are_not_open_to_a_request_are_told() -> None:
    story = Story(BOTH, "a:1")
    assert passed(story.ask("r", local_only=True))[:2] == [
        ("p", "local_only", ""), ("q", "local_only", ""),
    ]  # fmt: skip
    assert passed(story.ask("s", route="cloud")) == [("exo", "route", "")]
    assert passed(story.ask("t", native=("thinking",), dialect="anthropic"))[0] == (
        "exo", "unsupported_field", "thinking",
    )  # fmt: skip
    only = Story(Policy(clouds=CLOUDS, models=(ModelRule("chat", cloud=((P, X),)),)))
    assert passed(only.ask("r", local_only=True)) == [("p", "local_only", "")]


def test_a_node_that_is_only_found_gets_nothing_private() -> None:
    story = Story(BOTH, "a:1")
    effects = story.ask("r", local_only=True)
    assert ("a:1", "not_trusted", "") in passed(effects)


def _retired(story: Story) -> None:
    story.ask("x", route="cloud")
    story.fail("x", Fault.NOT_PLACED, status=404)
    story.succeed("x")


def _bad_key(story: Story) -> None:
    story.ask("x", route="cloud")
    story.fail("x", Fault.BAD_KEY, status=401)
    story.succeed("x")


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (_retired, ("p", "model_not_ready", "it has no such model, or none of its own")),
        (_bad_key, ("p", "cloud_down", "bad_key")),
    ],
)
def test_a_provider_is_told_with_what_is_wrong(
    trouble: Callable[[Story], None], said: tuple[str, str, str]
) -> None:
    story = Story(BOTH)
    trouble(story)
    assert passed(story.ask("r", route="cloud"))[1:] == [said]


def test_a_provider_that_is_off_is_told_so() -> None:
    without = (structs.replace(CLOUDS[0], keys=0, why_off="no key"), CLOUDS[1])
    story = Story(structs.replace(BOTH, clouds=without))
    assert passed(story.ask("r", route="cloud"))[1:] == [("p", "cloud_down", "off")]


def test_a_provider_that_left_while_a_request_was_elsewhere_is_told_so() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    story.tell(PolicyChanged(policy=LOCAL))
    gone = [(each, "cloud_down", "not configured") for each in "pq"]
    assert passed(story.fail("r", Fault.CONNECT)) == gone


def test_who_shares_what_failed_is_told_so() -> None:
    story = Story(LOCAL, "a:1")
    story.up("b:1")
    story.read("b:1", M, mates="a:1")
    story.read("a:1", M, mates="b:1")
    story.ask("r")
    refused = story.fail("r", Fault.ERROR_EVENT)
    [said] = passed(refused)
    assert said[1:] == (
        "attempt_failed",
        "it shares what failed, or what the request did not fit into",
    )


def test_a_move_of_traffic_tells_what_led_to_it() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    story.fail("r", Fault.CONNECT)
    story.begin("r")
    [moved] = [each.facts for each in story.said if each.name == "traffic_shifted"]
    assert moved["request_id"] == "r"
    assert moved["evidence"] == [{"target": "a:1", "reason": "attempt_failed", "detail": "connect"}]
    for request in "yz":
        story.ask(request)
        story.fail(request, Fault.CONNECT)
        story.succeed(request)
    story.wait(70.0)
    story.force("a:1", "closed")
    story.ask("home")
    story.succeed("home")
    story.force("a:1", None)
    story.force("a:1", "open")
    story.wait(70.0)
    story.ask("s")
    story.begin("s")
    moved = [each.facts for each in story.said if each.name == "traffic_shifted"][-1]
    [row] = moved["evidence"]  # type: ignore[misc] - a list of rows
    assert row["reason"] == "breaker_open"
    assert "ends" not in row, "an operator says no time"


def test_a_forecast_changes_nothing_and_names_who_comes_later() -> None:
    story = Story(structs.replace(BOTH, balance="round_robin"), "a:1", "b:1")
    tables, route = story.machine.tables, story.machine.catalog.lookup("chat")
    assert not isinstance(route, str)
    for _ in range(3):
        seen = forecast(route, tables, story.now)
        assert seen.candidate is not None
        assert (seen.candidate.target, seen.side, seen.refusal) == ("b:1", "exo", None)
        assert [(each.target, each.reason) for each in seen.choice.passed] == [
            ("p", LATER), ("q", LATER),
        ]  # fmt: skip
    assert not story.machine.dispatch.requests
    story.down("a:1")
    story.down("b:1")
    seen = forecast(route, tables, story.now)
    assert seen.candidate is not None
    assert seen.candidate.target == "p"
    story.force("p", "open")
    story.force("q", "open")
    seen = forecast(route, tables, story.now)
    assert seen.refusal is not None
    assert (seen.candidate, seen.refusal.code) == (None, "no_target")
    assert {each.reason for each in seen.choice.passed} == {"exo_down", "breaker_open"}


def test_a_forecast_for_what_must_stay_says_so() -> None:
    rule = ModelRule("chat", cloud=((P, X),), local_only=True)
    story = Story(Policy(clouds=CLOUDS, models=(rule,)))
    route = story.machine.catalog.lookup("chat")
    assert not isinstance(route, str)
    seen = forecast(route, story.machine.tables, story.now)
    assert seen.refusal is not None
    assert (seen.refusal.code, seen.side) == ("privacy", None)
    assert [each.reason for each in seen.choice.passed] == ["local_only"]
