"""A Responses request, as it is asked of those who do not speak that dialect."""

import itertools
import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.outcomes import BadRequestError, Refusal
from exo_supervisor.wire.chat.request import Ask, ChatRequest
from exo_supervisor.wire.exo.identity import encode_chat as encode_exo
from exo_supervisor.wire.openai.outbound import encode_chat as encode_cloud
from exo_supervisor.wire.responses.inbound import read_responses

Json = dict[str, Any]
SCHEMA: Json = {"type": "object", "properties": {"zone": {}, "city": {}}}
WEATHER: Json = {
    "type": "function",
    "name": "weather",
    "description": "of a city",
    "parameters": SCHEMA,
    "strict": False,
}
PATCH: Json = {
    "type": "custom",
    "name": "apply_patch",
    "description": "edits files",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: line"},
}
SPACE: Json = {"type": "namespace", "name": "agents", "tools": [WEATHER | {"name": "close"}]}
PIXEL = "data:image/png;base64,aGk="


def read(told: object = "hi", **fields: object) -> ChatRequest:
    return read_responses(json.dumps({"model": "m", "input": told, **fields}).encode(), {})


def fields(told: object = "hi", **more: object) -> Json:
    return {name: json.loads(bytes(raw)) for name, raw in read(told, **more).fields.items()}


def messages(*told: Json, **more: object) -> list[Json]:
    return cast("list[Json]", fields(list(told), **more)["messages"])


def exo(request: ChatRequest) -> Json:
    return json.loads(encode_exo(request, Ask("m")))


def says(role: str, content: object, **more: object) -> Json:
    return {"type": "message", "role": role, "content": content, **more}


def part(text: str, kind: str = "input_text") -> Json:
    return {"type": kind, "text": text}


def call(key: str, arguments: str = "{}", **more: object) -> Json:
    return {
        "type": "function_call",
        "call_id": key,
        "name": "weather",
        "arguments": arguments,
    } | more


def output(key: str, told: object, **more: object) -> Json:
    return {"type": "function_call_output", "call_id": key, "output": told} | more


def called(key: str, arguments: str = "{}", name: str = "weather") -> Json:
    return {"id": key, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(key: str, content: str) -> Json:
    return {"role": "tool", "tool_call_id": key, "content": content}


def refusal(told: object = "hi", **more: object) -> Refusal:
    with pytest.raises(BadRequestError) as caught:
        read(told, **more)
    return caught.value.refusal


USER: Json = {"role": "user", "content": "hi"}


def test_a_plain_request_is_asked_as_a_chat() -> None:
    told = fields(
        instructions="be brief",
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=9,
        reasoning={"effort": "low", "summary": "auto"},
        stream=True,
        store=False,
        include=["reasoning.encrypted_content"],
        client_metadata={"a": "b"},
        text={"verbosity": "low", "format": {"type": "text"}},
    )
    assert told == {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, USER],
        "max_tokens": 9,
        "reasoning_effort": "low",
        "temperature": 0.5,
        "top_p": 0.9,
        "verbosity": "low",
        "stream": True,
    }


def test_what_the_core_asks_for_is_read() -> None:
    request = read(stream=True, max_output_tokens=9, prompt_cache_key="s1")
    assert (request.model, request.stream, request.max_tokens) == ("m", True, 9)
    assert (request.demands, request.dialect) == (frozenset(), "responses")
    assert not read().stream


def test_items_are_messages_each_in_its_place() -> None:
    """Row 1 and 2: a developer's message stays where it is."""
    assert messages(
        says("developer", [part("rules")]),
        {"role": "user", "content": "one"},
        says("assistant", [part(t, "output_text") for t in ("t", "wo")], id="msg_1", status="x"),
        says("developer", "now in French"),
        says("user", [part("three"), part("")]),
        instructions="be brief",
    ) == [
        {"role": "system", "content": "be brief\n\nrules"},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "system", "content": "now in French"},
        {"role": "user", "content": "three"},
    ]


def test_items_of_one_role_in_a_row_are_one_message() -> None:
    """Row 19: many templates refuse two of the user's in a row."""
    told = messages(says("user", "a"), says("user", [part("b")]))
    assert told == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    ]


def test_a_refusal_is_what_the_assistant_said() -> None:
    told = messages(USER, says("assistant", [{"type": "refusal", "refusal": "no"}]), USER)
    assert told[1] == {"role": "assistant", "content": "no"}


def test_calls_and_their_outputs_stand_next_to_each_other() -> None:
    """Row 19, and parallel calls are one message."""
    assert messages(
        USER,
        says("assistant", [part("looking", "output_text")]),
        call("c1", '{"zone":1}'),
        call("c2"),
        output("c2", "two"),
        says("user", "hurry"),
        output("c1", [part("one"), part("more")]),
        call("c3"),
        output("c3", ""),
    ) == [
        USER,
        {
            "role": "assistant",
            "content": "looking",
            "tool_calls": [called("c1", '{"zone":1}'), called("c2")],
        },
        result("c2", "two"),
        result("c1", "one\nmore"),
        {"role": "user", "content": "hurry"},
        {"role": "assistant", "content": None, "tool_calls": [called("c3")]},
        result("c3", ""),
    ]


@pytest.mark.parametrize(
    "told", [[call("c1")], [output("c1", "x")], [call("c1"), output("c1", "x"), output("c1", "y")]]
)
def test_a_call_without_an_output_and_the_reverse_are_told(told: list[Json]) -> None:
    error = refusal([USER, *told])
    assert (error.code, error.param) == ("wrong_type", "input")
    assert "input[" in error.message


def test_images_in_an_output_are_kept() -> None:
    """Row 20."""
    told = messages(
        USER,
        call("c1"),
        output("c1", [{"type": "input_image", "image_url": PIXEL, "detail": "high"}]),
        says("user", "what is it?"),
    )
    image = {"type": "image_url", "image_url": {"url": PIXEL, "detail": "high"}}
    assert told[2:] == [
        result("c1", "(see the images below)"),
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Images in the output of the call c1:"},
                image,
                {"type": "text", "text": "what is it?"},
            ],
        },
    ]


def test_an_image_goes_along() -> None:
    content = [part("what?"), {"type": "input_image", "image_url": PIXEL, "detail": "auto"}]
    (told,) = messages(says("user", content))
    assert told["content"][1] == {"type": "image_url", "image_url": {"url": PIXEL}}


def test_a_thought_never_becomes_what_was_said() -> None:
    """Row 12: one that is encrypted goes to nobody; a cloud gets none at all."""
    thought = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "s"}],
        "content": [{"type": "reasoning_text", "text": "hmm"}],
        "encrypted_content": "gAAA",
    }
    request = read(
        [USER, thought, call("c1"), output("c1", "x"), thought | {"content": None}, thought]
    )
    told = exo(request)["messages"]
    assert told[1] == {
        "role": "assistant",
        "content": None,
        "reasoning_content": "hmm",
        "tool_calls": [called("c1")],
    }
    asked = encode_cloud(request, Ask("m"))
    assert b"hmm" not in asked
    assert b"gAAA" not in asked
    assert len(told) == 3


def test_tools_are_functions_with_their_keys_in_order() -> None:
    """Row 4."""
    request = read(tools=[WEATHER], tool_choice="required", parallel_tool_calls=False)
    told = {name: bytes(request.fields[name]) for name in ("tools", "tool_choice")}
    assert json.dumps(SCHEMA).encode() in told["tools"]
    function = {key: value for key, value in WEATHER.items() if key != "type"}
    assert json.loads(told["tools"]) == [{"type": "function", "function": function}]
    assert told["tool_choice"] == b'"required"'
    assert request.demands == {"tools", "tool_choice", "parallel_tool_calls"}


def test_a_function_may_have_no_parameters() -> None:
    (tool,) = fields(tools=[{"type": "function", "name": "f"}])["tools"]
    assert tool["function"] == {"name": "f"}


def test_without_tools_nothing_is_said_of_their_choice() -> None:
    """Row 17."""
    told = fields(tools=[], tool_choice="auto", parallel_tool_calls=True)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(told)


def test_a_custom_tool_is_a_function_of_one_text_both_ways() -> None:
    told = fields(
        [
            USER,
            {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": "+é"},
            {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"},
        ],
        tools=[
            PATCH,
            {"type": "custom", "name": "bare"},
            PATCH | {"name": "p", "description": None},
        ],
    )
    patch, bare, other = (tool["function"] for tool in told["tools"])
    assert patch["parameters"]["required"] == ["input"]
    assert patch["description"].startswith("edits files\n\nThe input follows this lark grammar:\n")
    assert "description" not in bare
    assert other["description"].endswith("start: line")
    assert told["messages"][1]["tool_calls"] == [called("c1", '{"input":"+é"}', "apply_patch")]


def test_the_tools_of_a_namespace_are_functions_both_ways() -> None:
    told = fields(
        [USER, call("c1", name="close", namespace="agents"), output("c1", "x")],
        tools=[
            SPACE,
            SPACE | {"name": "mcp__", "tools": [WEATHER]},
            SPACE | {"name": "x", "tools": None},
        ],
    )
    names = [tool["function"]["name"] for tool in told["tools"]]
    assert names == ["agents__close", "mcp__weather"]
    assert told["messages"][1]["tool_calls"][0]["function"]["name"] == "agents__close"


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ("none", "none"),
        (
            {"type": "function", "name": "weather"},
            {"type": "function", "function": {"name": "weather"}},
        ),
        (
            {"type": "custom", "name": "apply_patch"},
            {"type": "function", "function": {"name": "apply_patch"}},
        ),
    ],
)
def test_a_choice_of_tools_is_said_as_a_chat_says_it(choice: object, wanted: object) -> None:
    assert fields(tools=[WEATHER, PATCH], tool_choice=choice)["tool_choice"] == wanted


def test_of_tools_that_are_not_allowed_none_is_told() -> None:
    choice = {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "custom", "name": "apply_patch"}],
    }
    told = fields(tools=[WEATHER, PATCH], tool_choice=choice)
    assert [tool["function"]["name"] for tool in told["tools"]] == ["apply_patch"]
    assert told["tool_choice"] == "required"
    assert "tools" not in fields(tools=[WEATHER], tool_choice=choice | {"mode": None, "tools": []})
    assert refusal(tools=[], tool_choice="required").param == "tool_choice"


def test_what_is_said_of_a_namespace_is_told_with_its_first_tool() -> None:
    two = [WEATHER | {"name": "close"}, WEATHER | {"name": "open"}]
    space = SPACE | {"description": "agents", "tools": two}
    words = [t["function"]["description"] for t in fields(tools=[space])["tools"]]
    assert words == ["of a city\n\nOf all tools of agents: agents", "of a city"]
    bare = SPACE | {"description": "agents", "tools": [{"type": "function", "name": "close"}]}
    assert fields(tools=[bare])["tools"][0]["function"]["description"] == (
        "Of all tools of agents: agents"
    )
    assert "tools" not in fields(tools=[space | {"tools": None}])


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"type": "json_object"}, {"type": "json_object"}),
        (
            {
                "type": "json_schema",
                "name": "n",
                "schema": SCHEMA,
                "strict": True,
                "description": "d",
            },
            {
                "type": "json_schema",
                "json_schema": {"name": "n", "description": "d", "schema": SCHEMA, "strict": True},
            },
        ),
        (
            {"type": "json_schema", "name": "n", "schema": SCHEMA},
            {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
        ),
    ],
)
def test_the_form_of_an_answer_is_asked_for(wanted: Json, told: Json) -> None:
    request = read(text={"format": wanted})
    assert json.loads(bytes(request.fields["response_format"])) == told
    assert "response_format" in request.demands
    assert "response_format" not in fields(text={"verbosity": "medium"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("store", True),
        ("previous_response_id", "resp_1"),
        ("conversation", "conv_1"),
        ("background", True),
        ("prompt", {"id": "p"}),
        ("context_management", [{"type": "compaction"}]),
        ("top_logprobs", 2),
        ("include", ["message.output_text.logprobs"]),
        ("truncation", "auto"),
        ("moderation", {"model": "x"}),
        ("tools", [{"type": "web_search"}]),
        ("tools", [{"type": "local_shell"}]),
        ("tools", [{"type": "mcp", "server_label": "x"}]),
        ("tool_choice", {"type": "file_search"}),
        ("text", {"format": {"type": "lark"}}),
        ("tools", [PATCH | {"format": {"type": "regex"}}]),
        ("input", [{"type": "web_search_call", "id": "w"}]),
        ("input", [{"type": "item_reference", "id": "w"}]),
        ("input", [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]),
        ("input", [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]),
    ],
)
def test_what_no_chat_can_say_is_refused_by_name(field: str, value: object) -> None:
    """Row 18, and the contract: never a silent drop."""
    told = refusal(**{"told": value} if field == "input" else {field: value})
    assert (told.status, told.code, told.param) == (400, "unsupported_field", field)


def test_a_refusal_says_what_to_do() -> None:
    assert "send the whole input" in refusal(store=True).message
    assert 'web_search = "disabled"' in refusal(tools=[{"type": "web_search"}]).message


def test_fields_that_say_nothing_are_no_matter() -> None:
    quiet = {
        "store": None,
        "background": False,
        "prompt": None,
        "top_logprobs": 0,
        "metadata": {"a": "b"},
    }
    assert fields(**quiet, user="u", truncation="disabled", tools=None) == fields()


@pytest.mark.parametrize(
    ("more", "code", "param"),
    [
        ({"input": None}, "missing_field", "input"),
        ({"input": []}, "empty_messages", "input"),
        ({"input": ""}, "empty_messages", "input"),
        ({"input": [says("developer", "x")]}, "empty_messages", "input"),
        ({"input": 7}, "wrong_type", "input"),
        ({"input": [7]}, "wrong_type", "input"),
        ({"input": [says("between", "x")]}, "wrong_type", "input"),
        ({"input": [{"content": "x"}]}, "wrong_type", "input"),
        ({"input": [says("user", 7)]}, "wrong_type", "input"),
        ({"input": [says("user", [{"type": "input_text"}])]}, "wrong_type", "input"),
        (
            {"input": [says("developer", [{"type": "input_image", "image_url": "u"}])]},
            "wrong_type",
            "input",
        ),
        ({"input": [USER, {"type": "function_call", "call_id": "c"}]}, "wrong_type", "input"),
        (
            {"input": [USER, {"type": "custom_tool_call", "call_id": "c", "name": "n"}]},
            "wrong_type",
            "input",
        ),
        ({"input": [USER, call("c"), call("c")]}, "wrong_type", "input"),
        ({"model": ""}, "wrong_type", "model"),
        ({"model": None}, "missing_field", "model"),
        ({"max_output_tokens": 0}, "wrong_type", "max_output_tokens"),
        ({"tools": [{"type": "function"}]}, "wrong_type", "tools"),
        ({"tools": [WEATHER, WEATHER]}, "wrong_type", "tools"),
        ({"tools": [SPACE | {"tools": [SPACE]}]}, "wrong_type", "tools"),
        ({"tools": [WEATHER], "tool_choice": "maybe"}, "wrong_type", "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function"}}, "wrong_type", "tool_choice"),
        ({"text": {"format": {"type": "json_schema"}}}, "wrong_type", "text"),
        ({"a secret\u00e9": 1}, "unsupported_field", "a field"),
    ],
)
def test_a_malformed_body_is_told_with_its_field_and_nothing_of_it(
    more: Json, code: str, param: str
) -> None:
    body = {"model": "m", "input": "hi"} | more
    with pytest.raises(BadRequestError) as caught:
        read_responses(json.dumps(body).encode(), {})
    told = caught.value.refusal
    assert (told.code, told.param) == (code, param)
    assert "secret" not in told.message


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model":"\xff"}', b'"x"'])
def test_what_is_no_object_is_told_as_such(body: bytes) -> None:
    with pytest.raises(BadRequestError) as caught:
        read_responses(body, {})
    assert caught.value.refusal.code == "bad_json"


def test_a_last_message_of_the_assistant_is_a_demand() -> None:
    assert "prefill" in read([USER, says("assistant", "so")]).demands


TURNS: list[Json] = [
    says("developer", "rules"),
    says("user", [part("environment")]),
    says("user", [part("list the files")]),
    {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
    says("assistant", [part("looking", "output_text")]),
    call("c1", '{"cmd":"ls","at":1}'),
    output("c1", "a b"),
    call("c2"),
    output("c2", [part("x"), {"type": "input_image", "image_url": PIXEL}]),
    says("developer", "be quick"),
    says("assistant", [part("done", "output_text")]),
    says("user", "and now?"),
]


def test_a_turn_more_leaves_the_prompt_before_it_as_it_was() -> None:
    """Rows 2 and 4: what was read once is found again, so that the longest common prefix grows."""
    ends = [3, 7, 9, len(TURNS)]
    prompts = [
        json.dumps(exo(read(TURNS[:end], instructions="x"))["messages"])[:-1] for end in ends
    ]
    for before, after in itertools.pairwise(prompts):
        assert after.startswith(before[:-2])


NAMES = [
    "type", "role", "content", "text", "call_id", "name", "arguments", "output", "tools", "input",
    "image_url", "format", "schema", "namespace", "effort", "mode",
]  # fmt: skip
WORDS = [
    "message", "user", "input_text", "function_call", "function_call_output", "reasoning", "custom",
    "namespace", "function", "json_schema", "allowed_tools", "input_image",
]  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.sampled_from(WORDS)
)


@given(
    st.recursive(
        LEAVES,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
        ),
        max_leaves=12,
    ),
    st.sampled_from(["input", "tools", "tool_choice", "text", "reasoning", "include"]),
)
def test_any_body_is_read_or_refused(told: object, name: str) -> None:
    body = {"model": "m", "input": "hi", "tools": [WEATHER], name: told}
    try:
        request = read_responses(json.dumps(body).encode(), {})
    except BadRequestError:
        return
    assert exo(request)["messages"]
    assert json.loads(encode_cloud(request, Ask("m")))["messages"]
