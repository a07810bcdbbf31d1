"""Where a request goes, where it goes next, and what the client is told of it."""

import pytest
from msgspec import structs

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.events import ProviderFailed
from exo_supervisor.core.names import Address, ModelId, ProviderName, RequestId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import Cloud, ModelRule, PeerRules, Policy
from tests.core.story import ANY, BOTH, CHAT, CLOUDS, LOCAL, M, P, Story, X, refusal, told

EXO_FIRST, CLOUD_FIRST = BOTH, structs.replace(BOTH, order=("cloud", "exo"))


def test_an_answer_from_the_first_choice_is_no_shift() -> None:
    story = Story(BOTH, "a:1")
    [start] = story.ask("r")
    assert start == StartAttempt(
        request=RequestId("r"), attempt=1, target=Address("a:1"), url="http://a:1",
        model=M, generation="C", timers=ANY, shift=None,
    )  # fmt: skip
    assert story.machine.tables.concurrency.at[Address("a:1")] == 1
    assert story.succeed("r") == []
    assert story.idle()
    assert story.machine.dispatch.last_failed is None


def test_a_late_event_finds_nothing() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    story.succeed("r")
    assert story.succeed("r") == []
    assert story.quiet("r", 10.0) == []
    assert story.leave("r") == []


def down(story: Story) -> None:
    story.down("a:1")


def loading(story: Story) -> None:
    story.read("a:1", loading="m")


def forced(story: Story) -> None:
    story.force("a:1", "open")


def busy(story: Story) -> None:
    story.ask("other")
    story.fail("other", Fault.BUSY, retry_after=60.0)
    story.succeed("other")


@pytest.mark.parametrize(
    ("trouble", "shift"),
    [(down, "exo_down"), (loading, "model_not_ready"), (forced, "breaker_open"), (busy, "busy")],
)
def test_the_shift_says_why_exo_did_not_answer(trouble: object, shift: str) -> None:
    story = Story(BOTH, "a:1")
    assert callable(trouble)
    trouble(story)
    assert told(story.ask("r")) == [f"start p x /{shift}"]


@pytest.mark.parametrize(
    ("fault", "shift"),
    [
        (Fault.CONNECT, "attempt_failed"),
        (Fault.BUSY, "busy"),
        (Fault.ERROR_EVENT, "attempt_failed"),
    ],
)
def test_an_attempt_that_ends_badly_goes_to_the_next_tier(fault: Fault, shift: str) -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    assert told(story.fail("r", fault, retry_after=60.0)) == [f"start p x /{shift}"]


def test_a_cloud_that_cannot_be_asked_is_a_reason_too() -> None:
    story = Story(CLOUD_FIRST, "a:1")
    story.ask("other")
    assert told(story.fail("other", Fault.BAD_KEY)) == ["start q x /attempt_failed"]
    assert told(story.fail("other", Fault.BAD_KEY)) == ["start a:1 m /attempt_failed"]
    assert told(story.ask("r")) == ["start a:1 m /cloud_down"]
    assert story.tell(ProviderFailed(provider=ProviderName("r"), why="dns")) == []


def test_a_route_that_is_not_the_first_choice_is_a_shift_but_no_move_of_traffic() -> None:
    story = Story(BOTH, "a:1")
    assert told(story.ask("r", route="cloud")) == ["start p x /route"]
    story.names()
    story.succeed("r")
    assert story.names() == []
    assert told(story.ask("s", route="exo")) == ["start a:1 m"]


def test_a_move_and_the_way_back_are_told_once_each() -> None:
    story = Story(BOTH, "a:1")
    for request in "rs":
        story.force("a:1", "open")
        story.ask(request)
        story.succeed(request)
    story.force("a:1", None)
    for request in "tu":
        story.ask(request)
        story.succeed(request)
    shifts = [a.facts["reason"] for a in story.said if a.name == "traffic_shifted"]
    assert shifts == ["breaker_open", "recovered"]


def test_failover_within_a_tier_is_free_once_and_then_costs() -> None:
    story = Story(structs.replace(LOCAL, budget=0.0, attempts=9), *[f"{n}:1" for n in "abcdefg"])
    story.ask("r")
    tried = [told(story.fail("r", Fault.CONNECT))[0].split()[0] for _ in range(5)]
    assert tried == ["start"] * 4 + ["refuse"], "one free and three that the floor allows"
    story.ask("s")
    tried = [told(story.fail("s", Fault.CONNECT))[0].split()[0] for _ in range(2)]
    assert tried == ["start", "refuse"], "the next request still has its free one"


def test_the_free_failover_goes_to_a_target_that_is_closed() -> None:
    """A rested breaker's probe is neither free nor a match for a healthy node."""
    story = Story(LOCAL, "b:1")
    for _ in range(3):
        story.ask("r")
        story.fail("r", Fault.CONNECT)
    for node in ("a:1", "c:1"):
        story.up(node)
        story.read(node, "m")
    story.wait(30.0)
    assert told(story.ask("s", draw=0.99)) == ["start c:1 m"]
    assert told(story.fail("s", Fault.CONNECT)) == ["start a:1 m /attempt_failed"]
    assert told(story.fail("s", Fault.CONNECT)) == ["start b:1 m /attempt_failed"]
    assert story.state("b:1") == "half_open"


@pytest.mark.parametrize("draw", [0.34, 0.4, 0.49, 0.6, 0.99])
def test_the_free_failover_probes_nobody_while_another_is_closed(draw: float) -> None:
    story = Story(LOCAL, "b:1")
    for _ in range(3):
        story.ask("r")
        story.fail("r", Fault.CONNECT)
    for node in ("a:1", "c:1"):
        story.up(node)
        story.read(node, "m")
    story.wait(30.0)
    story.ask("s", draw=draw)
    assert told(story.fail("s", Fault.CONNECT))[0] in (
        "start a:1 m /attempt_failed", "start c:1 m /attempt_failed",
    )  # fmt: skip


def test_the_first_choice_is_not_kept_from_the_probe_of_a_rested_breaker() -> None:
    """Or it would rest for as long as anybody else serves; others serve, too."""
    story = Story(LOCAL, "b:1")
    for _ in range(3):
        story.ask("r")
        story.fail("r", Fault.CONNECT)
    story.up("c:1")
    story.read("c:1", "m")
    story.wait(30.0)
    story.said.clear()
    found = {told(story.ask(f"s{draw}", draw=draw))[0] for draw in (0.0, 0.3, 0.6, 0.99)}
    assert found == {"start b:1 m", "start c:1 m"}
    assert "breaker_half_opened" in story.names()


def test_no_more_attempts_in_a_tier_than_allowed() -> None:
    story = Story(structs.replace(BOTH, attempts=2), "a:1", "b:1", "c:1")
    story.ask("r")
    story.fail("r", Fault.CONNECT)
    assert told(story.fail("r", Fault.CONNECT)) == ["start p x /attempt_failed"]


def test_when_everything_was_tried_the_client_is_told_what_failed() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    story.fail("r", Fault.CONNECT)
    story.fail("r", Fault.HEADERS_TIMEOUT)
    last = refusal(story.fail("r", Fault.TLS))
    assert (last.status, last.code) == (502, "attempts_failed")
    assert "a:1: connect, p: headers_timeout, q: tls" in last.message
    assert story.idle()


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.RESET_EARLY])
def test_a_fault_that_often_passes_is_tried_again_there_after_a_pause(fault: Fault) -> None:
    story = Story(BOTH, "a:1")
    story.ask("r", draw=0.5)
    assert story.fail("r", fault) == []
    assert story.waits("r")
    assert story.read("a:1", "m", index=3) == [], "news do not cut the pause short"
    assert story.tick(5.07) == []
    assert told(story.tick(5.08)) == ["start a:1 m"]
    assert told(story.fail("r", fault)) == ["start p x /attempt_failed"]


def test_it_is_tried_again_only_after_the_others_of_its_tier() -> None:
    story = Story(LOCAL, "a:1", "b:1")
    story.ask("r")
    assert told(story.fail("r", Fault.RESET_EARLY)) == ["start b:1 m /attempt_failed"]
    assert story.fail("r", Fault.CONNECT) == []
    assert told(story.wait(0.2)) == ["start a:1 m /attempt_failed"]


def test_it_is_tried_again_at_the_same_target_only_not_at_its_mates() -> None:
    """After a model's failure the other nodes of a cluster share the instance that failed."""
    story = Story(structs.replace(BOTH, balance="round_robin"))
    for node in ("a:1", "b:1"):
        story.up(node)
        story.read(node, "m", mates="a:1 b:1")
    assert told(story.ask("r")) == ["start b:1 m"]
    assert story.fail("r", Fault.SERVER_ERROR) == []
    assert told(story.wait(0.2)) == ["start b:1 m"]
    assert told(story.fail("r", Fault.SERVER_ERROR)) == ["start p x /attempt_failed"]


def test_it_is_not_tried_again_where_its_breaker_has_opened() -> None:
    story = Story(BOTH, "a:1")
    for request in "rst":
        story.ask(request)
    for request in "rs":
        story.fail(request, Fault.CONNECT)
    assert told(story.fail("t", Fault.RESET_EARLY)) == ["start p x /attempt_failed"]
    assert story.state("a:1") == "open"


def test_it_is_not_tried_again_when_the_budget_is_spent() -> None:
    story = Story(BOTH, "a:1")
    for n in range(3):
        story.ask(f"r{n}")
        story.fail(f"r{n}", Fault.SERVER_ERROR)
    story.ask("s")
    assert told(story.fail("s", Fault.SERVER_ERROR)) == ["start p x /attempt_failed"]


def test_where_a_target_has_several_of_the_models_the_first_named_is_meant() -> None:
    rule = ModelRule("chat", exo=(X, M), cloud=((P, M), (P, X)))
    story = Story(structs.replace(BOTH, models=(rule,)))
    story.up("a:1")
    story.read("a:1", "m", "x")
    assert told(story.ask("r")) == ["start a:1 x"]
    assert told(story.fail("r", Fault.CONNECT)) == ["start p m /attempt_failed"]


def test_a_large_house_is_searched_whole_before_it_is_left() -> None:
    nodes = [f"n{n:02}:1" for n in range(20)]
    story = Story(LOCAL, *nodes)
    for node in nodes[:-1]:
        story.force(node, "open")
    assert told(story.ask("r", draw=0.0)) == ["start n19:1 m"]


def test_in_turn() -> None:
    story = Story(structs.replace(BOTH, balance="round_robin"), "a:1", "b:1")
    targets = [told(story.ask(request))[0] for request in "rstu"]
    assert sorted(targets[:2]) == ["start a:1 m", "start b:1 m"]
    assert targets[:2] == targets[2:]


@pytest.mark.parametrize(
    ("policy", "name", "code"),
    [
        pytest.param(LOCAL, "chat", "refuse 503 no_target", id="known, but nobody is there"),
        pytest.param(LOCAL, "cat", "refuse 404 model_not_found", id="unknown"),
        pytest.param(LOCAL, "card", "refuse 404 model_not_placed", id="a mere card"),
        pytest.param(structs.replace(LOCAL, models=(ModelRule("chat"),)), "chat",
                     "refuse 503 no_target", id="stands for nothing"),
        pytest.param(structs.replace(LOCAL, local_only=True), "chat",
                     "refuse 503 local_only_unavailable", id="must stay"),
    ],
)  # fmt: skip
def test_who_cannot_be_served_is_told_so(policy: Policy, name: str, code: str) -> None:
    story = Story(policy)
    story.up("a:1")
    story.cards("a:1", "card")
    effects = story.ask("r", name)
    assert told(effects) == [code]
    answer = refusal(effects)
    assert (answer.retry_after is not None) == (answer.status == 503)
    assert story.idle()
    assert (answer.outcome, story.machine.dispatch.last_failed) == ("refused", None)


def test_an_unknown_name_names_what_is_near_and_a_card_what_is_ready() -> None:
    story = Story(LOCAL, "a:1")
    story.cards("a:1", "card")
    assert "similar: chat" in refusal(story.ask("r", "chta")).message
    assert "ready now: chat" in refusal(story.ask("r", "card")).message


def test_a_model_that_was_placed_once_stays_known() -> None:
    story = Story(LOCAL, "a:1")
    story.read("a:1")
    assert told(story.ask("r", "m")) == ["refuse 503 no_target"]


def test_a_provider_without_a_key_is_never_asked() -> None:
    off = (Cloud(P, "https://p.example", keys=0, why_off="no key"),)
    story = Story(structs.replace(BOTH, clouds=off))
    assert told(story.ask("r")) == ["refuse 503 no_target"]
    assert CHAT.cloud[0][0] == CLOUDS[0].name


def test_in_a_large_house_only_a_sample_is_compared() -> None:
    """The fastest of twenty is not looked for, as long as one of eight will do."""
    story = Story(LOCAL, *(f"n{place:02}:1" for place in range(20)))
    latency = story.machine.tables.latency
    for place in range(20):
        latency.observe(Address(f"n{place:02}:1"), M, 20.0 - place, story.now)
    assert told(story.ask("r", draw=0.0)) == ["start n07:1 m"]


def test_content_shows_that_a_provider_is_there_after_all() -> None:
    story = Story(BOTH)
    story.tell(ProviderFailed(provider=P, why="timeout"))
    provider = story.machine.tables.clouds.providers[P]
    story.ask("r")
    assert provider.reached is False
    story.begin("r")
    assert (provider.reached, provider.why) == (True, "")


def test_a_configured_model_that_its_only_provider_does_not_list_is_a_lasting_error() -> None:
    rule = ModelRule("gone", cloud=((P, ModelId("nosuchmodel")),))
    story = Story(structs.replace(BOTH, models=(rule,)))
    assert told(story.ask("r", "gone")) == ["start p nosuchmodel"], "a list need not be complete"
    answer = refusal(story.fail("r", Fault.NOT_PLACED))
    assert (answer.status, answer.code) == (404, "model_not_found")
    assert answer.message == "p does not list nosuchmodel"
    assert answer.retry_after is None
    assert (answer.outcome, story.machine.dispatch.last_failed) == ("refused", None)


def test_a_503_names_what_a_provider_does_not_list_where_exo_might_serve_again() -> None:
    rule = ModelRule("gone", exo=(M,), cloud=((P, ModelId("nosuchmodel")),))
    story = Story(structs.replace(BOTH, models=(rule,)))
    story.ask("r", "gone")
    answer = refusal(story.fail("r", Fault.NOT_PLACED))
    assert (answer.status, answer.code) == (503, "no_target")
    assert answer.message.endswith("; p does not list nosuchmodel")


@pytest.mark.parametrize("kind", ["field", "route", "local_only", "rejected"])
def test_one_special_request_is_no_shift_of_traffic(kind: str) -> None:
    peers = {"C": PeerRules(ignored=frozenset({"json"}))}
    story = Story(structs.replace(BOTH, peers=peers), "a:1")
    match kind:
        case "field":
            assert told(story.ask("r", demands=("json",))) == ["start p x /unsupported_field"]
        case "route":
            story.ask("r", route="cloud")
        case "rejected":
            story.ask("r")
            assert told(story.fail("r", Fault.CONTEXT_LENGTH)) == ["start p x /attempt_failed"]
        case _:
            story.ask("r", local_only=True)
    story.begin("r")
    assert "traffic_shifted" not in story.names()
