"""What a client is told names what is wrong and what to do, and never echoes at length."""

import pytest

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import Policy
from exo_supervisor.core.requests.refusals import MUST_STAY, end_of, not_found, not_placed
from tests.core.story import CLOUDS, Story, refusal, told


def test_not_found() -> None:
    refusal = not_found("lama", ["llama", "lama2"], [], [])
    assert (refusal.status, refusal.code, refusal.param) == (404, "model_not_found", "model")
    assert refusal.message == (
        "no node and no provider has the model 'lama'; similar: llama, lama2"
    )
    bare = not_found("x", [], [], [])
    assert bare.message == "no node and no provider has the model 'x'"


def test_not_found_tells_what_can_be_placed_and_what_is_ready() -> None:
    refusal = not_found("x", ["y"], ["org/x-1", "org/x-2"], ["c", "b"])
    assert refusal.message.endswith(
        "'x'; similar: y; Exo could place: org/x-1, org/x-2; ready now: b, c"
    )


@pytest.mark.parametrize(
    ("code", "attempts", "end"),
    [
        ("model_not_found", 1, "refused"),
        ("upstream_rejected", 1, "neutral"),
        ("no_target", 0, "refused"),
        ("no_target", 1, "failure"),
        ("attempts_failed", 2, "failure"),
        ("deadline", 1, "abandoned"),
    ],
)
def test_what_a_client_asked_for_wrongly_is_no_failure(code: str, attempts: int, end: str) -> None:
    assert end_of(code, attempts) == end


@pytest.mark.parametrize(
    ("fault", "code", "outcome"),
    [
        (Fault.NOT_PLACED, "model_not_found", "refused"),
        (Fault.REJECTED, "upstream_rejected", "neutral"),
        (Fault.STALL, "attempts_failed", "failure"),
        (Fault.DEADLINE, "deadline", "abandoned"),
    ],
)
def test_a_refusal_after_an_attempt_says_how_it_is_counted(
    fault: Fault, code: str, outcome: str
) -> None:
    story = Story(Policy(clouds=CLOUDS[:1]))
    assert told(story.ask("r", "p/nope")) == ["start p nope"]
    refused = refusal(story.fail("r", fault, status=404))
    assert (refused.code, refused.outcome) == (code, outcome)
    assert (story.machine.dispatch.last_failed is not None) == (outcome == "failure")


def test_a_long_name_is_cut() -> None:
    assert "x" * 80 + "..." in not_found("x" * 81, [], [], []).message
    assert "..." not in not_found("x" * 80, [], [], []).message


def test_not_placed() -> None:
    refusal = not_placed("card", ["c", "b", "d", "a"])
    assert (refusal.status, refusal.code, refusal.param) == (404, "model_not_placed", "model")
    assert refusal.message.endswith("; ready now: a, b, c")
    assert "ready now" not in not_placed("card", []).message


def test_must_stay() -> None:
    assert (MUST_STAY.status, MUST_STAY.code, MUST_STAY.param) == (403, "privacy", None)
