"""A conversation is known by what its client says unasked; what is odd says nothing."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.wire.chat.request import ChatRequest
from exo_supervisor.wire.chat.session import (
    MAX_SESSION_CHARS,
    is_mid_turn,
    session_in_body,
    session_in_headers,
)
from exo_supervisor.wire.table import OPERATIONS

LONG = "s" * (MAX_SESSION_CHARS + 1)
USER = {"role": "user", "content": "hi"}
BODIES: Mapping[str, dict[str, object]] = {
    "/v1/chat/completions": {"messages": [USER]},
    "/v1/messages": {"messages": [USER], "max_tokens": 9},
    "/v1/responses": {"input": "hi"},
    "/api/chat": {"messages": [USER]},
    "/v1/embeddings": {"input": "hi"},
}


def read(path: str, **more: object) -> ChatRequest:
    body = json.dumps({"model": "m", **BODIES[path], **more}).encode()
    return OPERATIONS[path].read(body, {})


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/v1/chat/completions", {"prompt_cache_key": "s1"}),
        ("/v1/chat/completions", {"session_id": "s1"}),
        ("/v1/chat/completions", {"conversation": "s1"}),
        ("/v1/chat/completions", {"metadata": {"user_id": "s1"}}),
        ("/v1/messages", {"metadata": {"user_id": "s1"}}),
        ("/v1/messages", {"metadata": {"user_id": "s1"}, "thinking": {"type": "adaptive"}}),
        ("/v1/responses", {"prompt_cache_key": "s1"}),
        ("/v1/embeddings", {"prompt_cache_key": "s1"}),
    ],
)
def test_a_body_names_its_conversation_in_each_dialect(path: str, more: dict[str, object]) -> None:
    assert session_in_body(read(path, **more)) == "s1"


@pytest.mark.parametrize("path", BODIES)
def test_a_body_without_a_name_has_none(path: str) -> None:
    assert session_in_body(read(path)) == ""


@pytest.mark.parametrize("odd", [None, 7, "", LONG, ["s1"], {"id": "s1"}, "x" * 20_000])
def test_an_odd_name_is_ignored_and_the_next_is_taken(odd: object) -> None:
    for path in ("/v1/chat/completions", "/v1/responses"):
        assert session_in_body(read(path, prompt_cache_key=odd)) == ""
    for path in ("/v1/chat/completions", "/v1/messages"):
        assert session_in_body(read(path, metadata=odd)) == ""
        assert session_in_body(read(path, metadata={"user_id": odd})) == ""
    chat = read("/v1/chat/completions", metadata={"user_id": odd}, session_id=odd, conversation="s")
    assert session_in_body(chat) == "s"


def test_a_name_that_no_decoder_takes_is_none() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"session_id":1e999}'
    assert session_in_body(OPERATIONS["/v1/chat/completions"].read(body, {})) == ""


def test_headers_name_it_claude_codes_first() -> None:
    both = {"x-session-id": "s2", "x-claude-code-session-id": "s1"}
    assert session_in_headers(both) == "s1"
    assert session_in_headers({"session_id": "s3"}) == "s3"
    assert session_in_headers({**both, "x-claude-code-session-id": LONG}) == "s2"
    assert session_in_headers({"x-session-id": "", "cookie": "session=s1"}) == ""


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKED = [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}]
TOLD = {"role": "tool", "tool_call_id": "c1", "content": "42"}
USE = {
    "role": "assistant",
    "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}],
}
RESULT = {"type": "tool_result", "tool_use_id": "c", "content": "42"}
REMINDER = {"type": "text", "text": "<system-reminder>"}


@pytest.mark.parametrize(
    ("path", "more", "mid_turn"),
    [
        ("/v1/chat/completions", {}, False),
        ("/v1/chat/completions", {"messages": [*ASKED, TOLD]}, True),
        ("/v1/chat/completions", {"messages": [*ASKED, TOLD, USER]}, False),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": ["odd"]}]}, False),
        ("/v1/chat/completions", {"messages": [{"content": "nobody's"}]}, False),
        ("/v1/messages", {}, False),
        ("/v1/messages", {"messages": [USER, USE, {"role": "user", "content": [RESULT]}]}, True),
        (
            "/v1/messages",
            {"messages": [USER, USE, {"role": "user", "content": [RESULT, REMINDER]}]},
            True,
        ),
        ("/v1/messages", {"messages": [{"role": "user", "content": [REMINDER]}]}, False),
        ("/v1/responses", {}, False),
        (
            "/v1/responses",
            {
                "input": [
                    {"type": "message", **USER},
                    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                    {"type": "function_call_output", "call_id": "c", "output": "42"},
                ]
            },
            True,
        ),
        ("/api/chat", {"messages": [USER, {"role": "tool", "content": "42"}]}, True),
        ("/v1/embeddings", {}, False),
    ],
)
def test_a_turn_goes_on_while_a_tool_has_the_last_word(
    path: str, more: dict[str, object], *, mid_turn: bool
) -> None:
    assert is_mid_turn(read(path, **more)) is mid_turn


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(anything, anything, anything)
def test_nothing_that_a_client_says_breaks_it(one: object, two: object, three: object) -> None:
    more = {"metadata": one, "session_id": two, "prompt_cache_key": three}
    messages = [USER, {"role": "user", "content": one}]
    chat = read("/v1/chat/completions", **more, messages=messages)
    assert len(session_in_body(chat)) <= MAX_SESSION_CHARS
    assert is_mid_turn(chat) in {False, True}
