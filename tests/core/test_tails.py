"""A client that is slow to take the end of a whole answer keeps nobody's target."""

from exo_supervisor.core.events import AttemptSettled, RequestEnded
from exo_supervisor.core.names import RequestId
from tests.core.story import LOCAL, Story

R = RequestId("r")


def answered() -> Story:
    """Let a node bring a whole answer, of which its client has yet to take the end."""
    story = Story(LOCAL, "a:1")
    story.ask("r")
    story.begin("r")
    number = story.number("r")
    said = AttemptSettled(request=R, attempt=number, draw=0.0, committed=True, unsent=True)
    assert story.tell(said) == []
    return story


def test_a_target_is_free_as_soon_as_it_has_said_all() -> None:
    dispatch, load = (story := answered()).machine.dispatch, story.machine.tables.concurrency
    assert (list(dispatch.requests), sum(load.at.values()), sum(load.taken.values())) == ([R], 0, 0)


def test_its_request_ends_when_its_client_has_taken_the_answer_or_left() -> None:
    story = answered()
    assert story.tell(RequestEnded(request=R)) == []
    assert story.idle()
