"""The last request that failed is told of in our own words."""

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.requests.failed import Failed
from tests.core.story import BOTH, Story


def test_the_last_failure_names_the_model_and_what_each_attempt_met() -> None:
    story = Story(BOTH)
    dispatch = story.machine.dispatch
    story.ask("r")
    story.fail("r", Fault.CONNECT, message="words of a provider")
    assert dispatch.last_failed is None, "another target is asked"
    story.fail("r", Fault.TLS)
    assert dispatch.last_failed == Failed(story.now, "chat (p: connect, q: tls)")


def test_an_answer_that_broke_off_is_a_failure_and_a_wrong_request_is_none() -> None:
    story = Story(BOTH)
    dispatch = story.machine.dispatch
    story.ask("r", "nosuch")
    story.ask("s")
    story.fail("s", Fault.REJECTED, status=400)
    assert dispatch.last_failed is None
    story.ask("t")
    story.begin("t")
    story.fail("t", Fault.STALL, committed=True)
    assert dispatch.last_failed == Failed(story.now, "chat (p: stall)")
