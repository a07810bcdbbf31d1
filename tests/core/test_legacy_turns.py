"""Generation A takes one attempt at a time, and drops fields that change an answer."""

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import WAITS
from exo_supervisor.core.requests.patience import LAST_RESORT
from tests.core.story import ANY, BOTH, LOCAL, Story, refusal, told


def test_the_next_in_line_starts_when_a_turn_ends() -> None:
    story = Story(LOCAL, "a:1", generation="A")
    assert told(story.ask("r")) == ["start a:1 m"]
    assert story.ask("s") == story.ask("t") == []
    assert told(story.succeed("r")) == ["start a:1 m"]
    assert (story.waits("s"), story.waits("t")) == (False, True)
    assert told(story.leave("s")) == ["start a:1 m"]
    story.succeed("t")
    assert story.idle()


def test_two_nodes_of_one_cluster_share_the_turn() -> None:
    story = Story(LOCAL, generation="A")
    for node in ("a:1", "b:1"):
        story.up(node, generation="A")
        story.read(node, "m", mates="a:1 b:1")
    assert len(story.machine.tables.registry.clusters) == 1
    assert told(story.ask("r") + story.ask("s")) == ["start a:1 m"]


def test_one_who_gives_up_does_not_keep_the_turn_from_the_next() -> None:
    """The first in line finds its deadline gone when the turn comes to it."""
    story = Story(LOCAL, "a:1", generation="A")
    story.ask("r")
    story.ask("s", deadline=1.0)
    story.ask("t")
    story.now += 1.0
    assert told(story.succeed("r")) == ["refuse 504 deadline", "start a:1 m"]
    assert story.number("t") == 1


def test_one_who_starts_elsewhere_does_not_keep_the_turn_from_the_next() -> None:
    story = Story(LOCAL, "a:1", "b:1", generation="A")
    story.ask("r")
    story.ask("s")
    story.ask("t", draw=0.9)
    story.ask("u")
    assert story.waits("t")
    assert len(told(story.succeed("s"))) == 1
    assert len(told(story.succeed("r"))) == 1
    assert not story.machine.dispatch.waiting


def test_a_failed_turn_is_passed_on() -> None:
    story = Story(BOTH, "a:1", generation="A")
    story.ask("r")
    assert story.ask("s") == []
    assert told(story.fail("r", Fault.CONNECT)) == ["start p x /attempt_failed", "start a:1 m"]


def test_patience_ends_where_another_tier_is_left() -> None:
    story = Story(BOTH, "a:1", generation="A")
    story.ask("r")
    assert story.ask("s") == []
    assert "start p x /busy" not in told(story.wait(4.9))
    assert "start p x /busy" in told(story.wait(0.1))


def test_with_no_other_tier_the_wait_is_long_but_ends() -> None:
    story = Story(LOCAL, "a:1", generation="A")
    story.ask("r")
    story.ask("s")
    assert told(story.wait(LAST_RESORT - 1.0)) == ["ReadPlacement a:1"] * 30
    last = story.wait(1.0)
    assert refusal(last).code == "overloaded"


def test_a_cold_load_has_its_own_time() -> None:
    story = Story(LOCAL, "a:1", generation="A")
    [start] = story.ask("r")
    assert isinstance(start, StartAttempt)
    assert start.timers.first_content == start.timers.first_content_max == WAITS.cold_load
    assert start.generation == "A"
    story.succeed("r")
    [start] = story.ask("s")
    assert isinstance(start, StartAttempt)
    assert start.timers == ANY


def test_a_demand_that_it_ignores_goes_to_another_or_is_refused() -> None:
    story = Story(BOTH, "a:1", generation="A")
    assert told(story.ask("r", demands=("tools",))) == ["start p x /unsupported_field"]
    assert told(story.ask("s", demands=("seed",))) == ["start a:1 m"]
    story = Story(LOCAL, "a:1", generation="A")
    answer = refusal(story.ask("r", demands=("tools",)))
    assert (answer.status, answer.code, answer.param) == (400, "unsupported_field", "tools")
    assert "tools" in answer.message


def test_where_the_others_cannot_either_the_field_is_told_too() -> None:
    story = Story(BOTH, "a:1", generation="A")
    assert told(story.ask("r", demands=("tools",))) == ["start p x /unsupported_field"]
    story.fail("r", Fault.BAD_KEY)
    answer = refusal(story.fail("r", Fault.BAD_KEY))
    assert answer.status == 503
    assert "unsupported_field); who does not take tools was not asked; p: " in answer.message
