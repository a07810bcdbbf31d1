"""A step of a prompt is expected to take as long as the one before it, and no other was."""

from msgspec import structs

from exo_supervisor.core.effects import Timers
from exo_supervisor.core.names import RequestId
from exo_supervisor.serve.timers import ASK_AGAIN, STEP_PATIENCE, STEP_TOKENS, Progress
from tests.serve.virtual import start

TIMERS = Timers(connect=2.0, headers=8.0, first_content=1.0, first_content_max=1e9, stall=20.0)
LONG = structs.replace(TIMERS, stall=60.0)


def progress() -> Progress:
    return Progress(structs.replace(start(RequestId("r")), timers=TIMERS), 100.0)


def test_a_step_is_as_long_as_the_last_one_for_each_of_its_tokens() -> None:
    steps = progress()
    assert steps.progress_by() == 100.0 + TIMERS.first_content_max, "no step was seen"
    steps.note_prefill(0, 101.0)
    assert steps.progress_by() == 100.0 + TIMERS.first_content_max, "nor is nothing one"
    steps.note_prefill(64, 102.0)
    assert steps.progress_by() == 100.0 + STEP_PATIENCE * 2.0 * STEP_TOKENS / 64
    steps.since = 102.0
    steps.note_prefill(64, 103.0)
    steps.note_prefill(192, 104.0)
    assert steps.progress_by() == 102.0 + STEP_PATIENCE * 2.0 * STEP_TOKENS / 128
    steps.note_prefill(96, 105.0)
    assert steps.progress_by() == 102.0 + STEP_PATIENCE * 3.0 * STEP_TOKENS, "one that went back"


def test_the_longest_silence_in_the_midst_of_an_answer_is_remembered() -> None:
    steps = progress()
    steps.note_silence(105.0)
    assert steps.longest == 0.0, "it has not begun"
    steps.begun = True
    for since, now, longest in ((100.0, 103.0, 3.0), (103.0, 104.0, 3.0), (104.0, 108.0, 4.0)):
        steps.since = since
        steps.note_silence(now)
        assert steps.longest == longest


def test_who_was_asked_at_the_instant_of_its_last_word_is_asked_again_ten_seconds_later() -> None:
    asked = Progress(structs.replace(start(RequestId("r")), timers=LONG), 100.0)
    asked.begun = True
    assert asked.asks_at() == 100.0 + LONG.stall / 2
    asked.asked_at = 99.0
    assert asked.asks_at() == 100.0 + LONG.stall / 2, "what was asked before tells nothing of now"
    asked.asked_at = 100.0
    assert asked.asks_at() == 100.0 + ASK_AGAIN
