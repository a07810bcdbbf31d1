"""Requests under way are shown with who serves them, how far they are, or what they wait for."""

from msgspec import structs

from exo_supervisor.core.names import RequestId
from exo_supervisor.core.policy import ModelRule
from exo_supervisor.views.under_way import MOST, PrefillSeen, RequestSeen, under_way
from exo_supervisor.wire.chat.reader import Reader
from tests.core.story import LOCAL, M, Story
from tests.wire.reading import streamed

READING = streamed("C")


def shown(story: Story, reading: Reader | None = None) -> list[RequestSeen]:
    def wall(instant: float) -> str:
        return f"t{instant:g}"

    return under_way(story.machine, lambda _: reading, wall)


def test_one_that_is_asked_says_whom_and_how_far_its_prompt_is_read() -> None:
    story = Story(LOCAL, "n:1")
    story.ask("r")
    [row] = shown(story)
    assert (row.id, row.model, row.state, row.why) == ("r", "chat", "asked", None)
    assert (row.target, row.attempts, row.since, row.prefill) == ("n:1", 1, "t5", None)
    assert shown(story, READING)[0].prefill is None, "it has not said yet"
    progress = b'{"PrefillProgressChunk":{"processed_tokens":12,"total_tokens":40}}'
    READING.feed(b": prefill_progress " + progress + b"\n\n")
    assert shown(story, READING)[0].prefill == PrefillSeen(12, 40)
    story.begin("r")
    [row] = shown(story, READING)
    assert (row.state, row.prefill) == ("answering", None)
    story.succeed("r")
    assert shown(story) == []


def test_one_that_waits_says_for_what() -> None:
    story = Story(LOCAL)
    story.machine.dispatch.looked = False
    story.ask("r")
    assert [(row.state, row.why, row.target) for row in shown(story)] == [
        ("waiting", "first_look", None)
    ]
    kept = structs.replace(LOCAL, models=(ModelRule("chat", exo=(M,), keep=True),))
    story = Story(kept)
    story.up("n:1")
    story.read("n:1")
    story.tick(20.0)
    story.ask("r")
    assert [row.why for row in shown(story)] == ["model"]
    story = Story(LOCAL, "a:1", generation="A")
    story.ask("r")
    story.ask("s")
    assert [(row.id, row.why) for row in shown(story)] == [("r", None), ("s", "turn")]


def test_the_list_has_a_bound_and_the_oldest_come_first() -> None:
    story = Story(LOCAL, "n:1")
    for number in range(MOST + 1):
        story.ask(str(number))
    assert [row.id for row in shown(story)] == [RequestId(str(at)) for at in range(MOST)]
