"""A long prompt gets the time that prompts of its size took before, within the bounds."""

from msgspec import structs

from exo_supervisor.core.effects import StartAttempt, Timers
from exo_supervisor.core.load.prefill import MOST, PATIENCE, SHORT, Prefill
from exo_supervisor.core.names import ClusterKey, ModelId
from exo_supervisor.core.policy import WAITS
from tests.core.story import ANY, BOTH, LOCAL, Story

K, M = ClusterKey("k"), ModelId("m")
LONG = 400_000


def test_nothing_is_known_at_first_and_of_short_prompts() -> None:
    prefill = Prefill()
    prefill.observe(K, M, SHORT - 1, 60.0)
    assert prefill.allows(K, M, LONG) == 0.0


def test_the_time_grows_with_the_prompt() -> None:
    prefill = Prefill()
    prefill.observe(K, M, 10_000, 5.0)
    assert prefill.allows(K, M, 20_000) == PATIENCE * 10.0
    assert prefill.allows(K, M, 1) == prefill.allows(K, M, SHORT) == PATIENCE * 0.0005 * SHORT
    assert prefill.allows(K, ModelId("n"), 20_000) == 0.0


def test_a_slower_one_counts_at_once_and_a_faster_one_by_and_by() -> None:
    prefill = Prefill()
    prefill.observe(K, M, 10_000, 5.0)
    prefill.observe(K, M, 10_000, 10.0)
    assert prefill.allows(K, M, 10_000) == PATIENCE * 10.0
    prefill.observe(K, M, 10_000, 5.0)
    assert prefill.allows(K, M, 10_000) == PATIENCE * 9.0


def test_the_table_is_bounded() -> None:
    prefill = Prefill()
    for number in range(MOST + 10):
        prefill.observe(K, ModelId(f"m{number}"), SHORT, 1.0)
    assert len(prefill.pace) == MOST
    assert prefill.allows(K, ModelId("m0"), SHORT) == 0.0
    prefill.observe(K, ModelId(f"m{MOST}"), SHORT, 2.0)
    assert len(prefill.pace) == MOST


def timers(story: Story, request: str, size: int) -> Timers:
    """Let a request come, answer it, and return the timers that its attempt got."""
    [start] = story.ask(request, size=size)
    assert isinstance(start, StartAttempt)
    return start.timers


def test_an_attempt_gets_what_was_learnt_and_never_less_than_is_configured() -> None:
    story = Story(BOTH, "a:1")
    assert timers(story, "r", LONG) == ANY
    story.succeed("r", ttft=25.0)
    assert timers(story, "s", LONG).first_content == 75.0
    assert timers(story, "t", LONG).first_content_max == 300.0
    assert timers(story, "u", LONG // 10) == structs.replace(ANY, quiet=7.5)


def test_where_little_was_learnt_the_state_is_asked_about_a_silence_all_the_sooner() -> None:
    story = Story(BOTH, "a:1")
    assert timers(story, "r", LONG).quiet is None, "nothing is known yet"
    story.succeed("r", ttft=20.0)
    assert [timers(story, f"s{n}", n * 2000).quiet for n in (40, 30, 1, 0)] == [None, 9.0, 2.0, 2.0]
    legacy = Story(BOTH, "a:1", generation="A")
    timers(legacy, "r", LONG)
    legacy.succeed("r", ttft=20.0)
    assert timers(legacy, "s", 2000) == structs.replace(ANY), "A cannot say who is at work"


def test_it_never_gets_more_than_the_longest_that_is_configured() -> None:
    story = Story(LOCAL, "a:1")
    story.ask("r", size=LONG)
    story.succeed("r", ttft=200.0)
    assert timers(story, "s", LONG).first_content == 300.0


def test_generation_a_is_bounded_by_a_cold_load() -> None:
    story = Story(LOCAL, "a:1", generation="A")
    story.ask("r", size=LONG)
    story.succeed("r", ttft=60.0)
    assert round(timers(story, "s", LONG).first_content, 6) == 180.0
    story.succeed("s", ttft=600.0)
    learnt = timers(story, "t", LONG)
    assert (learnt.first_content, learnt.first_content_max) == (WAITS.cold_load, WAITS.cold_load)


def test_a_provider_keeps_its_own() -> None:
    story = Story(BOTH)
    [start] = story.ask("r", size=LONG)
    assert isinstance(start, StartAttempt)
    story.succeed("r", ttft=100.0)
    assert timers(story, "s", LONG) == start.timers
