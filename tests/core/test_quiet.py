"""Of an attempt without progress the state is asked; what it disowns is ended."""

import pytest
from msgspec import structs

from exo_supervisor.core.events import PlacementFailed
from exo_supervisor.core.names import Address
from exo_supervisor.core.outcomes import Fault
from tests.core.story import BOTH, LOCAL, Story, stand, told

LOST, LATE = ["CancelAttempt state_lost"], ["CancelAttempt first_content_timeout"]


def asked(*, index: int | None = 7) -> Story:
    story = Story(BOTH, "a:1")
    story.read("a:1", "m", index=index)
    story.ask("r")
    story.wait(1.0)
    assert told(story.quiet("r", 10.0)) == ["ReadPlacement a:1"]
    return story


def test_what_the_state_vouches_for_goes_on() -> None:
    story = asked()
    assert story.read("a:1", "m", index=7) == []
    story.now += 1.0
    assert told(story.quiet("r", 40.0)) == ["ReadPlacement a:1"]


@pytest.mark.parametrize(
    ("ready", "loading", "index"),
    [
        pytest.param("", "", 8, id="the model is gone"),
        pytest.param("", "m", 8, id="the model is not ready"),
        pytest.param("m", "", 2, id="a re-election: the index fell"),
    ],
)
def test_what_the_state_disowns_is_ended(ready: str, loading: str, index: int) -> None:
    story = asked()
    assert told(story.read("a:1", *ready, loading=loading, index=index)) == LOST
    assert story.read("a:1", *ready, loading=loading, index=index) == [], "only once"
    assert told(story.fail("r", Fault.STATE_LOST)) == ["start p x /attempt_failed"]


def test_a_node_that_started_again_knows_nothing_of_it() -> None:
    story = asked()
    story.up("a:1", born=1)
    assert told(story.read("a:1", "m", index=9)) == LOST


def test_a_node_that_left_a_larger_cluster_by_starting_again_knows_nothing_of_it() -> None:
    story = Story(BOTH)
    for node in ("a:1", "b:1"):
        story.up(node)
        story.read(node, "m", mates="a:1 b:1")
    story.ask("r")
    story.quiet("r", 10.0)
    story.up("a:1", born=1)
    assert told(story.read("b:1", "m")) == LOST


def test_another_clusters_state_says_nothing() -> None:
    story = asked()
    story.up("b:1")
    assert story.read("b:1", index=0) == []


def test_a_merge_does_not_hide_an_attempt_from_its_state() -> None:
    story = Story(LOCAL, "b:1", "a:1")
    story.ask("r", draw=0.9)
    story.ask("s", draw=0.1)
    story.read("b:1", "m", mates="a:1")
    story.quiet("r", 10.0)
    story.quiet("s", 10.0)
    assert told(story.read("a:1", mates="b:1")) == LOST * 2


@pytest.mark.parametrize(("before", "after"), [(None, 3), (3, None)])
def test_a_state_without_an_index_is_no_re_election(before: int | None, after: int | None) -> None:
    story = asked(index=before)
    assert story.read("a:1", "m", index=after) == []


def test_an_attempt_that_was_never_quiet_is_left_alone() -> None:
    story = Story(BOTH, "a:1")
    story.ask("r")
    assert story.read("a:1") == []


def test_progress_ends_the_question() -> None:
    story = asked()
    story.begin("r")
    assert story.read("a:1") == []


def test_while_the_state_stays_unread_the_first_content_has_its_time_and_no_more() -> None:
    story = asked()
    story.tell(PlacementFailed(node=Address("a:1"), why="timeout"))
    story.wait(19.0)
    assert told(story.quiet("r", 29.0)) == ["ReadPlacement a:1"]
    story.wait(1.0)
    assert told(story.quiet("r", 30.0)) == LATE
    assert told(story.fail("r", Fault.FIRST_CONTENT_TIMEOUT)) == ["start p x /attempt_failed"]


def test_after_content_an_unread_state_ends_nothing() -> None:
    story = asked()
    story.begin("r")
    assert told(story.quiet("r", 30.0, begun=True)) == ["ReadPlacement a:1"]


def test_a_provider_has_no_state_to_ask() -> None:
    story = Story(BOTH)
    story.ask("r")
    assert story.quiet("r", 30.0) == []


def test_a_node_that_was_forgotten_meanwhile_vouches_for_nothing() -> None:
    story = Story(structs.replace(BOTH, first_look=1.0), "a:1")
    story.ask("r")
    story.quiet("r", 10.0)
    story.down("a:1")
    gone = told(story.wait(700.0))
    assert "UnwatchNode a:1" in gone
    assert told(story.quiet("r", 700.0)) == LOST
    story.up("b:1")
    assert told(story.read("b:1")) == LOST


def test_a_node_that_was_started_anew_has_forgotten_its_attempts() -> None:
    story = Story(BOTH)
    for node in ("a:1", "b:1"):
        story.up(node)
        story.read(node, "m", mates="a:1 b:1")
    story.ask("r")
    story.up("a:1", born=1)
    assert told(story.quiet("r", 30.0)) == LOST


def test_a_state_that_was_read_vouches_until_it_is_asked_again() -> None:
    story = asked()
    story.read("a:1", "m")
    story.wait(20.0)
    assert told(story.quiet("r", 30.0)) == ["ReadPlacement a:1"]
    story.wait(10.0)
    assert told(story.quiet("r", 40.0)) == LATE


def test_a_request_that_left_is_asked_about_no_more() -> None:
    story = asked()
    story.leave("r")
    assert story.read("a:1") == []
    assert story.idle()


@pytest.mark.parametrize(
    ("now", "lost"),
    [("i2@a:1", True), ("i1@a:1", False)],
    ids=["only a new copy is ready", "the copy it began on is there"],
)
def test_a_copy_that_was_placed_anew_has_never_heard_of_it(now: str, *, lost: bool) -> None:
    story = Story(BOTH, "a:1")
    story.tells("a:1", stand("m", "i1@a:1"), index=7)
    story.ask("r")
    story.quiet("r", 10.0)
    assert told(story.tells("a:1", stand("m", now), index=8)) == (LOST if lost else [])
