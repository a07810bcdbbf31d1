"""What a target does not take is left out where the request means the same; nothing else is."""

import json
from typing import Any

import pytest
from msgspec import Raw, structs

from exo_supervisor.wire.anthropic.outbound import encode
from exo_supervisor.wire.chat.request import Ask, ChatRequest
from exo_supervisor.wire.chat.spare import can_spare, leave_out
from exo_supervisor.wire.openai.outbound import encode_chat
from exo_supervisor.wire.table import OPERATIONS

USER = {"role": "user", "content": "hi"}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "another's"}
HIDDEN = {"type": "redacted_thinking", "data": "x"}
TEXT = {"type": "text", "text": "well"}
USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1"}]}
ENABLED = {"type": "enabled", "budget_tokens": 1024}


def chat(path: str = "/v1/chat/completions", /, **more: object) -> ChatRequest:
    asked: dict[str, object] = {"model": "m", "messages": [USER], **more}
    if path == "/v1/messages":
        asked["max_tokens"] = 9
    return OPERATIONS[path].read(json.dumps(asked).encode(), {})


def sent(request: ChatRequest, *refused: str) -> tuple[dict[str, object], list[str]]:
    """Return what is sent in the client's own dialect, and what was left out for that."""
    left, gone = leave_out(request, frozenset(refused), request.dialect)
    ask = Ask("m", without=frozenset(refused))
    write = encode if request.dialect == "anthropic" else encode_chat
    return json.loads(write(left, ask)), gone


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_sampling_is_left_out_and_nothing_else(path: str) -> None:
    request = chat(path, temperature=0.5, top_p=0.9, tools=[])
    left, gone = sent(request, "temperature", "top_k", "tools", "stop", "max_tokens")
    assert gone == ["temperature"]
    assert "temperature" not in left
    assert left["top_p"] == 0.9
    assert left["tools"] == []


def test_a_request_without_it_stays_as_it_is() -> None:
    request = chat()
    assert leave_out(request, frozenset({"temperature", "thinking"}), "openai") == (request, [])
    messages = chat("/v1/messages", messages=[USER, {"role": "assistant", "content": [TEXT]}, USER])
    for dialect in ("anthropic", "openai"):
        assert leave_out(messages, frozenset({"thinking", "top_p"}), dialect) == (messages, [])


def test_an_effort_is_left_out_only_where_we_made_it() -> None:
    assert sent(chat(reasoning_effort="low"), "reasoning_effort")[1] == []
    thinks = chat("/v1/messages", thinking=ENABLED)
    refused = frozenset({"reasoning_effort"})
    left, gone = leave_out(thinks, refused, "openai")
    assert (gone, "reasoning_effort" in left.fields) == (["reasoning_effort"], False)
    assert leave_out(thinks, refused, "anthropic")[1] == [], "there it is the client's own"
    filled = structs.replace(chat(), filled={"reasoning_effort": Raw(b'"low"')})
    assert can_spare(filled, "reasoning_effort", "openai")
    ollama = chat("/api/chat", think=False)
    assert bytes(ollama.fields["reasoning_effort"]) == b'"none"'
    assert can_spare(ollama, "reasoning_effort", "openai")


@pytest.mark.parametrize(
    ("limits", "refused", "told"),
    [
        ({"max_tokens": 5}, "max_tokens", {"max_completion_tokens": 5}),
        ({"max_completion_tokens": 5}, "max_completion_tokens", {"max_tokens": 5}),
        ({"max_completion_tokens": 5}, "max_tokens", {"max_completion_tokens": 5}),
        ({"max_tokens": 4, "max_completion_tokens": 5}, "max_completion_tokens", {"max_tokens": 4}),
    ],
)
def test_a_limit_is_told_by_its_other_name(
    limits: dict[str, Any], refused: str, told: dict[str, object]
) -> None:
    left, gone = sent(chat(**limits), refused)
    assert {name: value for name, value in left.items() if name.startswith("max_")} == told
    assert gone == []


def test_thoughts_that_another_signed_are_left_out_of_every_turn() -> None:
    """Row 11: and never before their signature was named as the reason."""
    turns = [
        USER,
        {"role": "assistant", "content": [THOUGHT, TEXT]},
        USER,
        {"role": "assistant", "content": [HIDDEN]},
        {"role": "assistant", "content": "plain"},
        {"role": "user", "content": [TEXT]},
    ]
    left, gone = sent(chat("/v1/messages", messages=turns, thinking=ENABLED), "thinking")
    assert gone == ["thinking"]
    assert left["messages"] == [
        USER,
        {"role": "assistant", "content": [TEXT]},
        USER,
        {"role": "assistant", "content": "plain"},
        {"role": "user", "content": [TEXT]},
    ]
    assert left["thinking"] == ENABLED


def test_a_turn_in_the_midst_of_a_call_does_not_think_on() -> None:
    """Anthropic wants it to begin with a thought, and there is none left that it takes."""
    turns = [USER, {"role": "assistant", "content": [THOUGHT, USE]}, RESULT]
    left, _ = sent(chat("/v1/messages", messages=turns, thinking=ENABLED), "thinking")
    assert left["messages"] == [USER, {"role": "assistant", "content": [USE]}, RESULT]
    assert "thinking" not in left
    adaptive = chat("/v1/messages", messages=turns, thinking={"type": "adaptive"})
    assert sent(adaptive, "thinking")[0]["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize(
    ("field", "more", "may"),
    [
        ("stream", {}, True),
        ("stream_options", {"stream_options": {"include_usage": True}}, True),
        ("max_tokens", {}, False),
        ("max_tokens", {"max_tokens": 5}, True),
        ("temperature", {}, False),
        ("temperature", {"temperature": 0}, True),
        ("stop", {"stop": "x"}, False),
        ("", {}, False),
    ],
)
def test_only_what_was_asked_can_be_asked_without(
    field: str, more: dict[str, Any], *, may: bool
) -> None:
    assert can_spare(chat(**more), field, "openai") is may
