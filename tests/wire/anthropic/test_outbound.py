"""A request of any client, as an upstream is asked that speaks Messages."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from exo_supervisor.wire.anthropic.outbound import (
    IGNORED,
    MAX_TOKENS,
    encode,
    models_url,
    request_headers,
    url,
)
from exo_supervisor.wire.chat.continuation import Transcript, go_on
from exo_supervisor.wire.chat.piece import Delta, Piece
from exo_supervisor.wire.chat.request import Ask
from exo_supervisor.wire.openai.inbound import read_chat
from tests.wire.anthropic.test_inbound import read as read_messages
from tests.wire.anthropic.test_inbound import text

Json = dict[str, Any]
USER: Json = {"role": "user", "content": "hi"}
TOOL: Json = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def asked(*messages: Json, **fields: object) -> Json:
    body = {"model": "m", "messages": list(messages) or [USER], **fields}
    return json.loads(encode(read_chat(json.dumps(body).encode()), Ask("theirs")))


def turns(*messages: Json) -> list[Json]:
    return asked(*messages)["messages"]


def call(name: str, arguments: object = "{}") -> Json:
    return {"id": name, "type": "function", "function": {"name": "f", "arguments": arguments}}


def result(name: str, content: object) -> Json:
    return {"role": "tool", "tool_call_id": name, "content": content}


def test_a_request_in_messages_goes_on_as_it_came() -> None:
    """But for its model, and whether it streams."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    told: Json = {
        "thinking": {"type": "between_tools"},
        "system": [text("x-anthropic-billing-header: a"), text("s", cache_control={"ttl": "1h"})],
        "unknown": {"z": 1, "a": [1.50]},
    }
    turn = {"role": "assistant", "content": [thought, text("")]}
    request = read_messages(USER, turn, **told)
    sent = encode(request, Ask("theirs", streamed=True))
    assert b'{"z": 1, "a": [1.5]}' in sent
    expected = {"model": "theirs", "max_tokens": 9, "messages": [USER, turn], "stream": True}
    assert json.loads(sent) == expected | told


def test_a_plain_chat_is_asked_as_messages_words_it() -> None:
    told = asked(
        {"role": "system", "content": "be brief"},
        {"role": "developer", "content": [text("and kind"), text("")]},
        USER,
        stop="END", temperature=0.5, top_p=1, user="u", max_completion_tokens=7,
        stream_options={"include_usage": True}, metadata={"a": "b"}, presence_penalty=0,
    )  # fmt: skip
    assert told == {
        "model": "theirs",
        "messages": [{"role": "user", "content": [text("hi")]}],
        "max_tokens": 7,
        "stream": True,
        "system": [text("be brief"), text("and kind")],
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u"},
        "temperature": 0.5,
        "top_p": 1,
    }


def test_an_answer_that_is_gone_on_with_is_asked_with_what_was_said() -> None:
    said = Transcript()
    said.note(Piece(Delta(content="Once"), Raw(b'{"content":"Once"}')))
    rest = go_on(read_messages(USER, stream=True), said)
    assert rest is not None
    told = json.loads(encode(rest, Ask("theirs")))
    assert told["messages"][-1] == {"role": "assistant", "content": [text("Once")]}
    assert told["max_tokens"] == 8


def test_a_limit_that_was_left_out_is_filled_in() -> None:
    assert asked()["max_tokens"] == MAX_TOKENS
    assert asked(stop=["a", "b"])["stop_sequences"] == ["a", "b"]


def test_what_may_be_refused_by_its_name_goes_along() -> None:
    told = asked(presence_penalty=0.5, temperature=0, top_k=3, min_p=0.1, seed=None)
    assert (told["presence_penalty"], told["temperature"]) == (0.5, 0)
    assert (told["top_k"], told["min_p"], "seed" in told) == (3, 0.1, False)


def test_a_system_message_in_between_is_not_hoisted() -> None:
    """Row 2."""
    told = asked(
        USER, {"role": "system", "content": "French"}, {"role": "assistant", "content": "a"}
    )
    assert "system" not in told
    reminder = "hi\n\n<system-reminder>\nFrench\n</system-reminder>"
    assert told["messages"][0] == {"role": "user", "content": [text(reminder)]}


def test_results_stand_next_to_their_calls_in_one_turn() -> None:
    """Row 19."""
    calls = [call("c1", '{"z":1.0,"a":2}'), call("c2")]
    told = turns(
        USER,
        {"role": "assistant", "content": "wait", "tool_calls": calls},
        result("c1", "one"),
        {"role": "user", "content": "hurry"},
        result("c2", [text("two"), text("")]),
        {"role": "function", "name": "c3", "content": None},
    )  # fmt: skip
    use = {"type": "tool_use", "name": "f"}
    assert told[1]["content"] == [
        text("wait"),
        {**use, "id": "c1", "input": {"z": 1.0, "a": 2}},
        {**use, "id": "c2", "input": {}},
    ]
    assert told[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": [text("one")]},
        {"type": "tool_result", "tool_use_id": "c2", "content": [text("two")]},
        {"type": "tool_result", "tool_use_id": "c3"},
        text("hurry"),
    ]


def test_keys_of_arguments_keep_their_order() -> None:
    """Row 4."""
    body = {
        "model": "m",
        "messages": [{"role": "assistant", "tool_calls": [call("c", '{"z":1.0,"a":2}')]}],
    }
    sent = encode(read_chat(json.dumps(body).encode()), Ask("m"))
    assert b'"input":{"z":1.0,"a":2}' in sent


@pytest.mark.parametrize("arguments", ["nonsense", "[1]", 3, '"x"'])
def test_arguments_that_are_no_object_are_not_lost(arguments: object) -> None:
    told = turns({"role": "assistant", "tool_calls": [call("c", arguments)]})
    assert told[0]["content"][0]["input"] == {"arguments": arguments}


@pytest.mark.parametrize("arguments", ["", None, "{}"])
def test_a_call_without_arguments_has_an_empty_object(arguments: object) -> None:
    told = turns({"role": "assistant", "content": None, "tool_calls": [call("c", arguments)]})
    assert told[0]["content"][0]["input"] == {}


def test_images_become_sources() -> None:
    urls = ["data:image/png;base64,aGk=", "https://x/y.png", "data:image/png,raw"]
    parts = [{"type": "image_url", "image_url": {"url": each}} for each in urls]
    told = turns({"role": "user", "content": [*parts, {"type": "refusal", "refusal": "no"}]})
    assert told[0]["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {"type": "image", "source": {"type": "url", "url": "data:image/png,raw"}},
        text("no"),
    ]


def test_a_part_that_has_no_place_goes_along_for_the_provider_to_refuse() -> None:
    odd = {"type": "input_audio", "input_audio": {"data": "x"}}
    assert turns({"role": "user", "content": [odd]})[0]["content"] == [odd]


def test_empty_texts_are_left_out() -> None:
    """Row 26."""
    told = turns(
        USER, {"role": "assistant", "content": ""}, {"role": "user", "content": [text("")]}
    )
    assert told == [{"role": "user", "content": [text("hi")]}]


@pytest.mark.parametrize(
    ("begun", "kept"), [("Once \n", ["Once"]), (" ", []), ([text("a"), {"type": "x"}], ["a", None])]
)
def test_what_is_to_be_gone_on_with_does_not_end_in_blanks(begun: object, kept: list[str]) -> None:
    told = turns(USER, {"role": "assistant", "content": begun})
    assert [block.get("text") for block in told[-1]["content"]] == (kept or [])


def test_tools_are_carried_and_nothing_of_them_without_any() -> None:
    """Row 17."""
    strict = {"name": "g", "description": "d", "strict": True}
    told = asked(
        tools=[TOOL, {"type": "function", "function": strict}, {"type": "custom", "name": "x"}],
        tool_choice="required", parallel_tool_calls=False,
    )  # fmt: skip
    assert told["tools"] == [
        {"name": "f", "input_schema": {"type": "object"}},
        {**strict, "input_schema": {"type": "object", "properties": {}}},
        {"type": "custom", "name": "x"},
    ]
    assert told["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    assert not {"tools", "tool_choice"} & set(asked(tools=[], tool_choice="auto"))
    assert asked(tools=[], tool_choice="required")["tool_choice"] == {"type": "any"}
    assert not {"tools", "tool_choice"} & set(asked(parallel_tool_calls=False))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        (None, None),
        ("weird", {"type": "weird"}),
        ({"type": "function", "function": {"name": "f"}}, {"type": "tool", "name": "f"}),
        ({"type": "allowed_tools"}, {"type": "allowed_tools"}),
    ],
)
def test_each_choice_of_tools_is_carried(choice: object, expected: object) -> None:
    assert asked(tools=[TOOL], tool_choice=choice).get("tool_choice") == expected


def test_parallel_calls_can_be_forbidden_where_nothing_was_chosen() -> None:
    told = asked(tools=[TOOL], parallel_tool_calls=False)
    assert told["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


def test_how_much_to_think_and_the_form_of_the_answer_are_carried() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    told = asked(reasoning_effort="minimal", response_format=form)
    assert told["output_config"] == {
        "effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}},
    }  # fmt: skip
    assert asked(reasoning_effort="high")["output_config"] == {"effort": "high"}
    none = asked(reasoning_effort="none", response_format=form)
    assert none["thinking"] == {"type": "disabled"}
    assert "effort" not in none["output_config"]


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"logprobs": True},
        {"logit_bias": {"1": 2}},
        {"response_format": {"type": "json_object"}},
        {"audio": {}},
    ],
)
def test_what_cannot_be_carried_is_a_demand_that_is_not_honoured(fields: Json) -> None:
    body = {"model": "m", "messages": [USER], **fields}
    assert read_chat(json.dumps(body).encode()).demands & IGNORED


def test_a_schema_for_the_answer_can_be_carried() -> None:
    form: Json = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
    body: Json = {"model": "m", "messages": [USER], "response_format": form}
    assert not read_chat(json.dumps(body).encode()).demands & IGNORED


@pytest.mark.parametrize(
    "base", ["https://a.example", "https://a.example/v1", "https://a.example/v1/"]
)
def test_a_base_url_may_have_its_version_or_not(base: str) -> None:
    assert url(base, "chat") == "https://a.example/v1/messages"
    assert models_url(base) == "https://a.example/v1/models?limit=1000"


def test_the_key_goes_in_its_own_header() -> None:
    headers = request_headers("sk-1")
    assert (headers["x-api-key"], headers["anthropic-version"]) == ("sk-1", "2023-06-01")
    assert "authorization" not in headers
    assert "x-api-key" not in request_headers(None)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "text", "image_url", "url", "function", "arguments", "id", "name"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system", "x"])},
    optional={"content": JSON, "tool_calls": JSON, "tool_call_id": JSON},
)


@given(st.lists(MESSAGE, min_size=1, max_size=4), JSON, JSON)
def test_whatever_an_openai_client_sends_can_be_asked(
    messages: list[Json], tools: object, choice: object
) -> None:
    """What is wrong in it is the provider's to refuse; nothing of it is ours to crash on."""
    json.dumps(asked(*messages, tools=tools, tool_choice=choice, response_format=choice))
