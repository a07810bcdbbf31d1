"""One line says which target failed how, although another one served; a storm says little more."""

from exo_supervisor.core.choice import ONLY
from exo_supervisor.core.effects import Announce
from exo_supervisor.core.events import AttemptSettled
from exo_supervisor.core.names import ModelId, ProviderName, RequestId
from exo_supervisor.core.outcomes import Failure, Fault
from exo_supervisor.core.requests.attempt_log import MAX_KEYS, MOST, SPAN, AttemptLog
from exo_supervisor.core.requests.candidate import Permits, make_candidate
from exo_supervisor.core.requests.request import Attempt
from tests.core.story import BOTH, Story

PERMITS = Permits(((ProviderName("p"), None), 0), ((ProviderName("p"), ModelId("x")), 0))


def failed(log: AttemptLog, now: float, target: str = "p", message: str = "") -> list[Announce]:
    """Let an attempt fail at a target."""
    name = ProviderName(target)
    attempt = Attempt(1, make_candidate(name, name, ModelId("x")), "cloud", PERMITS, 0.0, ONLY)
    event = AttemptSettled(
        request=RequestId("r"), attempt=1, draw=0.0,
        failure=Failure(
            Fault.BAD_STATUS, "the client alone reads this", status=502, loggable=message
        ),
    )  # fmt: skip
    return log.tell(attempt, event, now)


def test_a_rescued_request_says_who_failed_it_and_how() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    story.names()
    story.fail("r", Fault.SERVER_ERROR, status=500, message="out of memory")
    [line] = [said for said in story.said if said.name == "attempt_failed"]
    assert (line.level, line.facts) == (
        "info",
        {
            "request_id": "r", "target": "a:1", "model": "m", "fault": "server_error",
            "status": 500, "message": "out of memory",
        },
    )  # fmt: skip


def test_a_request_that_ends_with_its_failure_has_no_such_line() -> None:
    story = Story(BOTH)
    story.ask("r")
    story.names()
    story.fail("r", Fault.REJECTED, status=400, message="wrong")
    assert story.names() == []
    story.ask("s")
    story.fail("s", Fault.CONNECT)
    assert story.names() == ["attempt_failed"]
    story.fail("s", Fault.CONNECT)
    assert story.names() == []


def test_many_of_one_kind_are_counted_and_others_are_not_hidden_by_them() -> None:
    log = AttemptLog()
    lines = [line for _ in range(MOST + 3) for line in failed(log, 1.0)]
    assert len(lines) == MOST
    assert len(failed(log, 1.0, "q")) == 1
    assert failed(log, 0.9 + SPAN) == []
    [line] = failed(log, 1.0 + SPAN)
    assert line.facts["left_out"] == 4
    [line] = failed(log, 1.0 + SPAN)
    assert "left_out" not in line.facts


def test_what_a_target_quotes_at_length_is_left_out() -> None:
    [line] = failed(AttemptLog(), 0.0, message=f"odd value '{'secret ' * 9}' of 'role'")
    assert line.facts["message"] == "odd value … of 'role'"


def test_its_memory_is_bounded() -> None:
    log = AttemptLog()
    for n in range(MAX_KEYS + 1):
        failed(log, 0.0, f"p{n}")
    assert len(vars(log)["_spans"]) == MAX_KEYS
