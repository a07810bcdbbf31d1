"""Busy is no illness: it is waited for within patience, tried once more, then passed by."""

import pytest
from msgspec import structs

from exo_supervisor.core.books import BUSY_FIRST, BUSY_MAX
from exo_supervisor.core.names import Address
from exo_supervisor.core.outcomes import Fault
from tests.core.story import BOTH, LOCAL, Story, refusal, told


def test_a_short_retry_after_is_waited_for_and_tried_once_more() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    assert story.fail("r", Fault.BUSY, retry_after=3.0) == []
    assert story.tick(7.9) == [], "never less than it says"
    assert told(story.tick(8.0)) == ["start a:1 m"]
    assert told(story.fail("r", Fault.BUSY, retry_after=0.5)) == ["start p x /busy"]
    assert story.failures("a:1") == 0


def test_a_retry_after_beyond_patience_leads_to_the_next_tier() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    assert told(story.fail("r", Fault.BUSY, retry_after=5.1)) == ["start p x /busy"]


def test_exactly_patience_is_still_waited_for() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    assert story.fail("r", Fault.BUSY, retry_after=5.0) == []


def test_busy_for_no_time_is_tried_once_more_and_no_more_than_that() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    assert told(story.fail("r", Fault.BUSY, retry_after=0.0)) == ["start a:1 m"]
    assert told(story.fail("r", Fault.BUSY, retry_after=0.0)) == ["start p x /busy"]


def test_the_others_of_the_tier_come_before_any_wait() -> None:
    story = Story(BOTH, "a:1", "b:1")
    story.ask("r")
    assert told(story.fail("r", Fault.BUSY, retry_after=1.0)) == ["start b:1 m /busy"]


def test_a_second_try_costs_budget() -> None:
    story = Story(structs.replace(LOCAL, budget=0.0), "a:1", "b:1")
    for request in "uvw":
        story.ask(request)
        story.fail(request, Fault.BUSY, retry_after=0.0)
        story.leave(request)
    story.ask("r")
    answer = refusal(story.fail("r", Fault.BUSY, retry_after=0.0))
    assert (answer.status, answer.code) == (503, "overloaded")


def test_when_all_are_busy_the_client_hears_when_to_come_again() -> None:
    story = Story(LOCAL, "a:1")
    story.ask("r")
    answer = refusal(story.fail("r", Fault.BUSY, retry_after=7.2))
    assert (answer.status, answer.code, answer.retry_after) == (503, "overloaded", 8.0)
    assert "a:1: busy" in answer.message


def test_a_target_that_names_no_time_is_left_alone_ever_longer() -> None:
    story = Story(structs.replace(LOCAL, patience=0.0), "a:1")
    pauses: list[float] = []
    for n in range(7):
        story.ask(f"r{n}")
        story.fail(f"r{n}", Fault.BUSY)
        mark = story.machine.tables.busy[Address("a:1")]
        pauses.append(mark.until - story.now)
        story.tick(mark.until)
    assert pauses == [BUSY_FIRST, 2.0, 4.0, 8.0, 16.0, BUSY_MAX, BUSY_MAX]
    story.ask("s")
    story.begin("s")
    assert story.machine.tables.busy == {}, "an answer ends the row"


def test_others_wait_for_it_too_and_go_on_when_their_patience_ends() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    story.fail("r", Fault.BUSY, retry_after=4.0)
    assert story.ask("s") == []
    assert sorted(told(story.wait(4.0))) == ["start a:1 m", "start a:1 m"]
    story.wait(3.0)
    story.fail("r", Fault.BUSY, retry_after=4.0)
    assert told(story.fail("s", Fault.BUSY, retry_after=4.0)) == ["start p x /busy"]


def test_a_deadline_passes_while_waiting() -> None:
    story = Story(LOCAL, "a:1")
    story.ask("r", deadline=2.0)
    assert story.fail("r", Fault.BUSY, retry_after=3.0) == []
    assert told(story.wait(2.0)) == ["refuse 504 deadline"]
    assert story.idle()


@pytest.mark.parametrize("deadline", [0.0, -1.0])
def test_nobody_is_started_at_or_past_a_deadline(deadline: float) -> None:
    story = Story(LOCAL, "a:1")
    assert told(story.ask("r", deadline=deadline)) == ["refuse 504 deadline"]


def test_a_deadline_that_passes_in_an_attempt_ends_the_request() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    assert told(story.fail("r", Fault.DEADLINE)) == ["refuse 504 deadline"]
    assert (story.failures("a:1"), story.idle()) == (0, True)
