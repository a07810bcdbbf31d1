"""An estimate grows with the text of a prompt, and with nothing else."""

import json
from typing import Any

import pytest

from exo_supervisor.core.outcomes import BadRequestError
from exo_supervisor.wire.anthropic.count import count_tokens


def counted(content: object, **more: object) -> int:
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **more}
    told: dict[str, Any] = json.loads(count_tokens(json.dumps(body).encode()))
    assert set(told) == {"input_tokens", "estimated"}
    assert told["estimated"] is True
    tokens: int = told["input_tokens"]
    return tokens


BARE = counted("")


READ: list[dict[str, Any]] = [
    {"system": "x" * 400},
    {"system": [{"type": "text", "text": "x" * 400, "cache_control": {"type": "ephemeral"}}]},
    {"tools": [{"name": "f", "description": "x" * 350, "input_schema": {}}]},
]


@pytest.mark.parametrize("more", READ)
def test_all_that_a_model_reads_is_counted(more: dict[str, object]) -> None:
    assert 99 <= counted("", **more) - BARE <= 104


def test_text_is_counted_wherever_in_a_message_it_stands() -> None:
    result = [
        {"type": "tool_result", "tool_use_id": "", "content": [{"type": "text", "text": "x"}]}
    ]
    assert counted("x" * 400) == BARE + 100
    assert counted(result) == counted("x")
    assert counted([{"type": "tool_use", "id": "", "name": "", "input": {"a": ["x" * 40]}}]) > BARE


def test_an_image_is_counted_as_one_and_not_by_its_bytes() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "", "data": "A" * 10**6}}
    assert counted([image]) == BARE + 1_600
    thought = {"type": "thinking", "thinking": "", "signature": "A" * 10**4}
    assert counted([thought]) == BARE


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "bad_json"),
        (b"[]", "bad_json"),
        (rb'{"model":"m","messages":["\ud800"]}', "bad_json"),
        (b"\xff", "bad_json"),
        (b'{"model":"m"}', "missing_field"),
        (b'{"messages":[{}]}', "missing_field"),
        (b'{"model":"m","messages":[]}', "empty_messages"),
        (b'{"model":"m","messages":7}', "wrong_type"),
        (b"[" * 100_000, "bad_json"),
        (b'{"messages":[' + b"1," * 70_000 + b"1]}", "body_too_large"),
    ],
)
def test_a_body_that_is_no_prompt_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        count_tokens(body)
    assert caught.value.refusal.code == code
