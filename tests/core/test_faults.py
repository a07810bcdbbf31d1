"""What each end of an attempt does to the breakers, and where the request goes from there."""

import pytest

from exo_supervisor.core.names import Generation
from exo_supervisor.core.outcomes import VERDICTS, Blame, Fault, Next, Outcome
from tests.core.story import BOTH, LOCAL, Story, refusal, stand, told

AT_TARGET = (
    Fault.CONNECT, Fault.CONNECT_TIMEOUT, Fault.TLS, Fault.RESET, Fault.RESET_EARLY,
    Fault.HEADERS_TIMEOUT, Fault.CONTENT_TYPE, Fault.BAD_STATUS, Fault.PAYLOAD, Fault.OVERSIZED,
)  # fmt: skip
AT_MODEL = (
    Fault.SERVER_ERROR, Fault.ERROR_EVENT, Fault.EMPTY, Fault.UNFINISHED,
    Fault.FIRST_CONTENT_TIMEOUT, Fault.STALL, Fault.WRONG_MODEL, Fault.STATE_LOST,
)  # fmt: skip
NO_FAILURE = (Fault.BUSY, Fault.NOT_PLACED, Fault.BAD_KEY, Fault.CONTEXT_LENGTH, Fault.REJECTED)


def test_every_fault_has_its_verdict() -> None:
    assert set(VERDICTS) == set(Fault)
    for fault, verdict in VERDICTS.items():
        assert (verdict.outcome is Outcome.FAILURE) == (verdict.blame is not Blame.NOBODY)
        assert (verdict.next is Next.SAME_ONCE) == (
            fault in (Fault.RESET_EARLY, Fault.SERVER_ERROR)
        )
        assert not verdict.in_band or verdict.blame is Blame.MODEL


@pytest.mark.parametrize("fault", AT_TARGET)
def test_a_target_is_blamed_at_once(fault: Fault) -> None:
    story = Story(LOCAL, "a:1")
    story.ask("r")
    story.fail("r", fault)
    assert (story.failures("a:1"), story.failures("a:1", "m")) == (1, 0)


@pytest.mark.parametrize("fault", AT_MODEL)
def test_a_model_is_blamed_when_another_target_answers(fault: Fault) -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    story.fail("r", fault)
    story.wait(0.2)
    if fault is Fault.SERVER_ERROR:
        story.fail("r", Fault.CONNECT)
    assert story.failures("a:1", "m") == 0
    story.begin("r")
    assert story.failures("a:1", "m") == 1
    story.fail("r", Fault.NONE, committed=True)
    assert (story.failures("a:1", "m"), story.idle()) == (1, True)


@pytest.mark.parametrize("fault", [f for f in AT_MODEL if not VERDICTS[f].in_band])
def test_a_model_is_not_blamed_when_nobody_answers(fault: Fault) -> None:
    story = Story(LOCAL, "a:1", "b:1")
    story.ask("r")
    story.fail("r", fault)
    assert told(story.fail("r", fault)) == ["refuse 502 attempts_failed"]
    assert story.failures("a:1", "m") == story.failures("b:1", "m") == 0


def test_a_model_that_fails_and_then_answers_itself_is_not_blamed() -> None:
    story = Story(LOCAL, "a:1")
    story.ask("r")
    story.fail("r", Fault.SERVER_ERROR)
    assert told(story.wait(0.2)) == ["start a:1 m"]
    story.begin("r")
    assert story.failures("a:1", "m") == 0
    story.fail("r", Fault.NONE, committed=True)
    assert story.idle()


@pytest.mark.parametrize("fault", AT_MODEL)
def test_a_model_is_blamed_at_once_after_the_commit(fault: Fault) -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    story.begin("r")
    assert story.fail("r", fault, committed=True) == []
    assert (story.failures("a:1", "m"), story.failures("a:1")) == (1, 0)
    assert story.machine.dispatch.last_failed is not None
    assert story.idle()


def test_what_fails_after_uncommitted_content_still_goes_elsewhere() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    story.begin("r")
    assert told(story.fail("r", Fault.STALL)) == ["start p x /attempt_failed"]
    assert story.failures("a:1", "m") == 1


@pytest.mark.parametrize("fault", NO_FAILURE)
def test_what_is_no_failure_counts_nowhere(fault: Fault) -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    story.fail("r", fault, retry_after=60.0)
    assert (story.failures("a:1"), story.failures("a:1", "m")) == (0, 0)


@pytest.mark.parametrize("second", [Fault.ERROR_EVENT, Fault.SERVER_ERROR])
def test_two_targets_that_fail_alike_in_band_say_that_the_request_kills(second: Fault) -> None:
    """A crash is a crash, whether it is told in a stream or by a 500."""
    story = Story(BOTH, "a:1")
    story.ask("r")
    story.fail("r", Fault.ERROR_EVENT)
    assert told(story.fail("r", second)) == ["refuse 502 poison_request"]
    assert (story.failures("a:1", "m"), story.failures("p", "x"), story.idle()) == (0, 0, True)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(Fault.ERROR_EVENT, Fault.EMPTY, id="not alike"),
        pytest.param(Fault.STALL, Fault.STALL, id="not in band"),
        pytest.param(Fault.CONNECT, Fault.ERROR_EVENT, id="only one"),
    ],
)
def test_other_pairs_are_no_poison(first: Fault, second: Fault) -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    story.fail("r", first)
    assert told(story.fail("r", second)) == ["start q x /attempt_failed"]


def test_the_same_model_twice_is_no_poison() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    story.fail("r", Fault.SERVER_ERROR)
    story.wait(0.2)
    assert told(story.fail("r", Fault.SERVER_ERROR)) == ["start p x /attempt_failed"]


@pytest.mark.parametrize(("status", "expected"), [(422, 422), (0, 400)])
def test_a_rejected_request_is_not_multiplied(status: int, expected: int) -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    answer = refusal(story.fail("r", Fault.REJECTED, status=status, message="bad tools"))
    assert (answer.status, answer.code, answer.message) == (
        expected, "upstream_rejected", "bad tools",
    )  # fmt: skip


def test_not_placed_marks_the_model_and_goes_on() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    assert told(story.fail("r", Fault.NOT_PLACED)) == [
        "ReadPlacement a:1", "start p x /attempt_failed",
    ]  # fmt: skip
    assert told(story.ask("s")) == ["start p x /model_not_ready"]
    story.read("a:1", "m")
    assert told(story.ask("t")) == ["start a:1 m"]


def test_a_refused_key_marks_the_provider_and_goes_on() -> None:
    story = Story(BOTH)
    story.ask("r")
    story.names()
    assert told(story.fail("r", Fault.BAD_KEY, status=401)) == ["start q x /exo_down"]
    assert story.names() == ["provider_key_refused", "attempt_failed"]
    assert told(story.ask("s")) == ["start q x /exo_down"]
    assert told(story.fail("s", Fault.BAD_KEY)) == ["refuse 503 no_target"]
    story.wait(300.0)
    assert told(story.ask("t")) == ["start p x /exo_down"]
    story.begin("t")
    assert story.machine.tables.clouds.providers[story.machine.tables.policy.clouds[0].name].usable(
        story.now
    )


def test_a_refused_key_at_a_node_marks_no_provider() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    assert told(story.fail("r", Fault.BAD_KEY)) == ["start p x /attempt_failed"]


def test_too_long_a_context_goes_to_another_model_never_to_its_mates() -> None:
    story = Story(BOTH)
    for node in ("a:1", "b:1"):
        story.up(node)
        story.read(node, "m", mates="a:1 b:1")
    story.ask("r")
    assert told(story.fail("r", Fault.CONTEXT_LENGTH, status=400, message="too long")) == [
        "start p x /attempt_failed"
    ]
    story.fail("r", Fault.CONNECT)
    answer = refusal(story.fail("r", Fault.CONNECT))
    assert (answer.status, answer.code, answer.message) == (400, "upstream_rejected", "too long")


def test_too_long_a_context_without_a_status_is_a_400() -> None:
    story = Story(LOCAL, "a:1")
    story.ask("r")
    assert refusal(story.fail("r", Fault.CONTEXT_LENGTH)).status == 400


@pytest.mark.parametrize("stage", ["waiting", "attempting", "streaming", "held"])
def test_a_client_may_leave_at_any_stage(stage: str) -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    if stage == "waiting":
        story.fail("r", Fault.BUSY, retry_after=3.0)
    if stage == "streaming":
        story.begin("r")
    if stage == "held":
        story.fail("r", Fault.ERROR_EVENT)
    assert story.leave("r") == []
    assert story.idle()
    assert (story.failures("a:1"), story.failures("a:1", "m")) == (0, 0)
    assert story.machine.dispatch.last_failed is None


@pytest.mark.parametrize("generation", ["A", "B", "C"])
def test_answers_closed_before_their_end_are_counted_until_the_next_session(
    generation: Generation,
) -> None:
    """Exo B and C keep their prompts as long; an answer that broke off by itself leaves none."""
    story = Story(BOTH, "a:1", generation=generation)
    story.tells("a:1", stand("m", "i1@a:1"), index=100)
    for request, fault in (("r", Fault.CLIENT_LEFT), ("s", Fault.DEADLINE), ("t", Fault.NONE)):
        story.ask(request)
        story.begin(request)
        story.fail(request, fault)
    (cluster,) = story.machine.tables.registry.clusters.values()
    assert cluster.condition.aborted == (0 if generation == "A" else 2)
    story.tells("a:1", stand("m", "i2@a:1"), index=3)
    assert cluster.condition.aborted == 0


def test_an_attempt_that_ends_because_its_client_left_is_answered_by_nobody() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    assert story.fail("r", Fault.CLIENT_LEFT) == []
    assert story.idle()
    assert story.machine.dispatch.last_failed is None


def test_a_target_that_dies_in_every_answer_trips() -> None:
    story = Story(LOCAL, "a:1")
    for request in ("r", "s", "t"):
        story.ask(request)
        story.begin(request)
        story.fail(request, Fault.PAYLOAD, committed=True)
    assert story.state("a:1") == "open"


def test_a_models_probe_that_its_target_failed_goes_back() -> None:
    """A refused connection says nothing of the model: the next request may probe it."""
    story = Story(LOCAL, "a:1")
    for request in ("r", "s", "t"):
        story.ask(request)
        story.begin(request)
        story.fail(request, Fault.ERROR_EVENT, committed=True)
    assert (story.state("a:1", "m"), story.state("a:1")) == ("open", "closed")
    story.wait(60.0)
    story.ask("u")
    assert story.state("a:1", "m") == "half_open"
    story.fail("u", Fault.CONNECT)
    assert story.state("a:1", "m") == "open"
    assert told(story.ask("v")) == ["start a:1 m"]


def test_a_whole_answer_between_two_deaths_makes_them_two() -> None:
    story = Story(LOCAL, "a:1")
    for request in ("r", "s"):
        story.ask(request)
        story.begin(request)
        story.fail(request, Fault.PAYLOAD, committed=True)
    story.ask("t")
    story.begin("t")
    story.succeed("t")
    story.ask("u")
    story.begin("u")
    story.fail("u", Fault.PAYLOAD, committed=True)
    assert story.state("a:1") == "closed"


@pytest.mark.parametrize(("name", "code"), [("p/x", "no_target"), ("p/nope", "model_not_found")])
def test_a_model_that_its_provider_neither_lists_nor_has_is_not_found(name: str, code: str) -> None:
    story = Story(BOTH)
    story.ask("r", name)
    assert refusal(story.fail("r", Fault.NOT_PLACED)).code == code


def test_an_answer_that_fails_late_and_unseen_is_no_poison() -> None:
    """A client that does not stream saw nothing of it, and another target may answer."""
    story = Story(BOTH, "a:1")
    story.ask("r")
    story.begin("r")
    assert told(story.fail("r", Fault.ERROR_EVENT)) == ["start p x /attempt_failed"]


def test_an_answer_that_finds_no_room_here_is_refused_and_counts_nowhere() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    assert told(story.fail("r", Fault.OVERLOADED)) == ["refuse 503 overloaded"]
    assert story.failures("a:1") == story.failures("a:1", "m") == 0
    assert story.idle()
