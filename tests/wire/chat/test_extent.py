"""What a request may cost at most is what any provider may make of its fields."""

import json

import pytest

from exo_supervisor.wire.anthropic.inbound import read_messages
from exo_supervisor.wire.chat.extent import extent_of
from exo_supervisor.wire.openai.inbound import read_chat
from exo_supervisor.wire.openai.inputs import read_completions

HI = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("fields", "most", "answers", "unpriced"),
    [
        ({}, 0, 1, ""),
        ({"max_tokens": 5, "n": 3}, 5, 3, ""),
        ({"max_tokens": 900, "max_completion_tokens": 1}, 900, 1, ""),
        ({"max_tokens": 1, "max_completion_tokens": 900}, 900, 1, ""),
        ({"max_tokens": -1, "max_completion_tokens": 900}, 0, 1, ""),
        ({"max_tokens": 0, "max_completion_tokens": 900}, 0, 1, ""),
        ({"n": -4}, 0, 1, ""),
        ({"n": 2, "best_of": 7.5}, 0, 8, ""),
        ({"best_of": "7"}, 0, 1, ""),
        ({"best_of": "7" * 90}, 0, 1, ""),
        ({"models": ["dear"]}, 0, 1, "models"),
        ({"models": [], "preset": None, "service_tier": "default"}, 0, 1, ""),
        ({"fallbacks": ["dear"]}, 0, 1, "fallbacks"),
        ({"service_tier": "priority"}, 0, 1, "service_tier"),
    ],
)
def test_the_dearest_reading_of_a_chat_counts(
    fields: dict[str, object], most: int, answers: int, unpriced: str
) -> None:
    chat = read_chat(json.dumps(HI | fields).encode())
    assert extent_of(chat, 9) == (9, most, answers, unpriced)


def test_each_draft_of_each_prompt_counts() -> None:
    asked = {"model": "m", "prompt": ["a", "b", "c"], "n": 2, "best_of": 20, "max_tokens": 4}
    assert extent_of(read_completions(json.dumps(asked).encode()), 9) == (9, 4, 60, "")


def test_a_tariff_in_the_clients_own_dialect_counts() -> None:
    asked = json.dumps(HI | {"max_tokens": 4, "speed": "fast"}).encode()
    assert extent_of(read_messages(asked, {}), 9) == (9, 4, 1, "speed")
