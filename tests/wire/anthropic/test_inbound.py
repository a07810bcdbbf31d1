"""A Messages request, as it is asked of those who do not speak Messages."""

import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from exo_supervisor.core.outcomes import BadRequestError
from exo_supervisor.wire.anthropic.inbound import read_messages
from exo_supervisor.wire.anthropic.outbound import encode as encode_messages
from exo_supervisor.wire.chat.request import Ask, ChatRequest
from exo_supervisor.wire.exo.identity import encode_chat as encode_exo
from exo_supervisor.wire.openai.outbound import encode_chat as encode_cloud

Json = dict[str, Any]
USER: Json = {"role": "user", "content": "hi"}
TOOL: Json = {
    "name": "weather",
    "description": "of a city",
    "input_schema": {"type": "object", "properties": {"zone": {}, "city": {}}},
}
PIXEL = {"type": "base64", "media_type": "image/png", "data": "aGk="}


def read(*messages: Json, **fields: object) -> ChatRequest:
    return read_with({}, *messages, **fields)


def read_with(headers: dict[str, str], *messages: Json, **fields: object) -> ChatRequest:
    body = {"model": "m", "max_tokens": 9, "messages": list(messages) or [USER], **fields}
    return read_messages(json.dumps(body).encode(), headers)


def fields(*messages: Json, **more: object) -> Json:
    return {name: json.loads(bytes(raw)) for name, raw in read(*messages, **more).fields.items()}


def messages(*told: Json, **more: object) -> list[Json]:
    return cast("list[Json]", fields(*told, **more)["messages"])


def exo(request: ChatRequest) -> Json:
    return json.loads(encode_exo(request, Ask("m")))


def text(words: str, **more: object) -> Json:
    return {"type": "text", "text": words, **more}


def result(name: str, content: object, **more: object) -> Json:
    return {"type": "tool_result", "tool_use_id": name, "content": content, **more}


def use(name: str, **arguments: object) -> Json:
    return {"type": "tool_use", "id": name, "name": "weather", "input": arguments}


def test_a_plain_request_is_asked_as_openai_words_it() -> None:
    told = fields(system="be brief", stop_sequences=["END"], temperature=0.5, top_k=4, stream=True)
    assert told == {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, USER],
        "max_tokens": 9,
        "temperature": 0.5,
        "top_k": 4,
        "stop": ["END"],
        "stream": True,
    }


def test_what_the_core_asks_for_is_read() -> None:
    request = read(stream=True, stop_sequences=["a", ""], metadata={"user_id": "u1"})
    assert (request.model, request.stream, request.max_tokens) == ("m", True, 9)
    assert (request.stop, request.n, request.dialect) == (("a",), None, "anthropic")
    assert request.demands == frozenset()


def test_the_fields_for_anthropic_are_as_they_came() -> None:
    body = b'{"messages": [{"role":"user","content":[]}, {"role":"user","content":"x"}],'
    body += b' "max_tokens" : 1, "model":"m","thinking":{"type":"between_tools"}}'
    native = read_messages(body, {}).native
    assert native is not None
    assert list(native) == ["messages", "max_tokens", "model", "thinking"]
    assert native["messages"] == Raw(body[body.index(b"[") : body.index(b', "max_tokens"')])


def test_headers_of_the_dialect_go_along_and_no_others() -> None:
    sent = {"anthropic-beta": "a,b", "anthropic-version": "2023-06-01", "x-api-key": "secret"}
    sent["x-claude-code-session-id"] = "s1"
    request = read_with(sent)
    assert dict(request.headers) == {"anthropic-version": "2023-06-01", "anthropic-beta": "a,b"}
    odd = {"anthropic-beta": "\xe9", "anthropic-version": "x" * 5000}
    assert read_with(odd).headers == ()


# ------------------------------------------------------------------ the system prompt


def test_a_system_message_in_mid_conversation_is_taken_in_its_place() -> None:
    """Row 1 of what translators got wrong: role `system` inside messages was refused."""
    told = messages(USER, {"role": "system", "content": [text("now French")]}, system="s")
    assert told == [
        {"role": "system", "content": "s"},
        USER,
        {"role": "system", "content": "now French"},
    ]


def test_a_system_message_in_mid_conversation_is_not_moved_to_the_front_for_exo() -> None:
    """Row 2: text that is hoisted changes the beginning of the prompt with every turn."""
    request = read(USER, {"role": "system", "content": "now French"}, system="s")
    reminder = "<system-reminder>\nnow French\n</system-reminder>"
    assert exo(request)["messages"] == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": f"hi\n\n{reminder}"},
    ]


def test_the_attribution_block_that_differs_each_time_is_taken_out() -> None:
    """Row 3."""
    billed = text("x-anthropic-billing-header: cc_version=2.1; cc_entrypoint=cli; cch=1a2b3;")
    told = messages(system=[billed, text("You are"), text("brief")])
    assert told[0] == {"role": "system", "content": "You are\n\nbrief"}
    assert messages(system=[billed]) == [USER]
    assert messages(system=billed["text"]) == [USER]


# ------------------------------------------------------------------ the prefix

EARLY: list[Json] = [
    USER,
    {"role": "assistant", "content": [text("Let me look"), use("t1", zone="x", city="Paris")]},
    {
        "role": "user",
        "content": [
            result("t1", [text("rain"), {"type": "image", "source": PIXEL}]),
            text("<system-reminder>be quick</system-reminder>"),
        ],
    },
    {"role": "system", "content": "a note"},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}]},
    {"role": "assistant", "content": "It rains."},
    {"role": "user", "content": "and tomorrow?"},
    {"role": "assistant", "content": [use("t2", b=1, a=[2.50]), use("t3")]},
    {"role": "user", "content": [result("t2", "sun", is_error=True), result("t3", None)]},
]


def with_mark(turns: list[Json]) -> list[Json]:
    """Put a mark for the cache on the last block, as clients do; then a text is no bare string."""
    *before, last = turns
    content = last["content"]
    blocks = [text(content)] if isinstance(content, str) else content
    marked = [*blocks[:-1], {**blocks[-1], "cache_control": {"type": "ephemeral"}}]
    return [*before, {**last, "content": marked}]


TURNS = [at for at in range(1, len(EARLY)) if EARLY[at - 1]["role"] != "assistant"]


@pytest.mark.parametrize("target", ["exo", "cloud"])
@pytest.mark.parametrize("at", TURNS)
def test_the_prompt_of_each_turn_begins_with_that_of_the_turn_before(at: int, target: str) -> None:
    """Rows 2, 3 and 4: whoever keeps prompts (Exo, a cloud) finds this one again."""
    billed = [text(f"x-anthropic-billing-header: cch={at};"), text("You are brief")]

    def sent(turns: list[Json]) -> bytes:
        request = read(*with_mark(turns), system=billed, tools=[TOOL])
        encode = encode_exo if target == "exo" else encode_cloud
        asked = json.loads(encode(request, Ask("m")))
        assert list(asked["tools"][0]["function"]["parameters"]["properties"]) == ["zone", "city"]
        return json.dumps(asked["messages"]).encode()

    now, later = sent(EARLY[:at]), sent(EARLY)
    assert later.startswith(now[: now.rindex(b'"')])
    assert len(now) > 50 * at


@pytest.mark.parametrize("kind", [("text", "text"), ("thinking", "thinking")])
def test_an_empty_block_takes_nothing_from_the_one_beside_it(kind: tuple[str, str]) -> None:
    name, member = kind
    said: list[Json] = [{"type": name, member: words} for words in ("", "so")]
    for blocks in (said, said[::-1]):
        [_, told, _] = messages(USER, {"role": "assistant", "content": blocks}, USER)
        assert "so" in (told["content"], told.get("reasoning_content"))


def test_keys_of_arguments_and_schemas_keep_the_order_of_the_client() -> None:
    """Row 4."""
    body = b'{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":[{"type":'
    body += b'"tool_use","id":"t","name":"f","input":{"z":1.0,"a":{"y":1,"b":2}}}]},'
    body += b'{"role":"user","content":[{"type":"tool_result","tool_use_id":"t"}]}],'
    body += b'"tools":[{"name":"f","input_schema":{"type":"object","properties":{"z":{},"a":{}}}}]}'
    request = read_messages(body, {})
    for encode in (encode_exo, encode_cloud):
        sent = encode(request, Ask("m"))
        assert rb"{\"z\":1.0,\"a\":{\"y\":1,\"b\":2}}" in sent
        assert b'{"type":"object","properties":{"z":{},"a":{}}}' in sent


# ------------------------------------------------------------------ tools and their results


def test_text_beside_a_tool_result_is_kept_in_order() -> None:
    told = messages(
        {"role": "assistant", "content": [use("t1")]},
        {"role": "user", "content": [text("one"), result("t1", "rain"), text("two")]},
    )
    assert told[1:] == [
        {"role": "tool", "tool_call_id": "t1", "content": "rain"},
        {"role": "user", "content": [text("one"), text("two")]},
    ]


def test_images_in_a_tool_result_are_shown_beside_it() -> None:
    """Row 20: they were made texts, or dropped."""
    image = {"type": "image", "source": PIXEL}
    told = messages(
        {"role": "assistant", "content": [use("t1"), use("t2")]},
        {
            "role": "user",
            "content": [
                result("t1", [text("a"), image, text("b")]),
                result("t2", [image], is_error=True),
            ],
        },
    )
    shown = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    assert told[1:3] == [
        {"role": "tool", "tool_call_id": "t1", "content": "a\nb"},
        {"role": "tool", "tool_call_id": "t2", "content": "Error: (see the images below)"},
    ]
    assert told[3]["content"][1::2] == [shown, shown]
    assert "t2" in told[3]["content"][2]["text"]


def test_a_tool_that_failed_says_so() -> None:
    told = messages({"role": "user", "content": [result("t1", "no such city", is_error=True)]})
    assert told == [{"role": "tool", "tool_call_id": "t1", "content": "Error: no such city"}]


def test_calls_and_results_stay_next_to_each_other() -> None:
    """Row 19: parallel calls are one message, and their results follow it."""
    told = messages(
        {"role": "assistant", "content": [use("t1", a=1), text("both"), use("t2")]},
        {"role": "user", "content": [text("here"), result("t2", "2")]},
        {"role": "user", "content": [result("t1", "1")]},
    )
    assert [m["role"] for m in told] == ["assistant", "tool", "user", "tool"]
    assert [c["id"] for c in told[0]["tool_calls"]] == ["t1", "t2"]
    assert told[0]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"a": 1}'}
    assert told[0]["content"] == "both"


def test_turns_of_one_role_in_a_row_are_one_message() -> None:
    """Row 19: to Anthropic they are one turn, and many templates refuse two."""
    told = messages(
        USER,
        {"role": "user", "content": [text("there"), text("")]},
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": [text("b"), use("t1")]},
        {"role": "assistant", "content": [use("t2")]},
    )
    assert told[0] == {"role": "user", "content": [text("hi"), text("there")]}
    assert [call["id"] for call in told[1]["tool_calls"]] == ["t1", "t2"]
    assert (told[1]["content"], len(told)) == ("ab", 2)


def test_tools_become_functions_and_a_choice_its_word() -> None:
    told = fields(
        tools=[TOOL | {"strict": True, "cache_control": {"type": "ephemeral"}, "type": "custom"}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
    )
    parameters = TOOL["input_schema"]
    function = {"name": "weather", "description": "of a city", "parameters": parameters}
    assert told["tools"] == [{"type": "function", "function": {**function, "strict": True}}]
    assert (told["tool_choice"], told["parallel_tool_calls"]) == ("required", False)


@pytest.mark.parametrize(
    ("choice", "word"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
    ],
)
def test_each_choice_of_tools_is_carried(choice: Json, word: object) -> None:
    assert fields(tools=[TOOL], tool_choice=choice)["tool_choice"] == word


@pytest.mark.parametrize("tools", [[], None])
def test_nothing_of_tools_is_left_where_there_are_none(tools: object) -> None:
    """Row 17: tool_choice and parallel_tool_calls without tools are refused elsewhere."""
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(
        fields(tools=tools, tool_choice=choice)
    )
    with pytest.raises(BadRequestError) as caught:
        read(tools=tools, tool_choice={"type": "any"})
    assert caught.value.refusal.param == "tool_choice"


def test_a_document_alone_is_asked_of_who_takes_documents() -> None:
    """Hostile finding: it was told to be an empty message."""
    source = {"type": "text", "media_type": "text/plain", "data": "x"}
    turn = {"role": "user", "content": [{"type": "document", "source": source}]}
    request = read(messages=[turn])
    assert request.native_demands == {"messages[].content[].type=document"}
    assert request.hazards == {}
    sent = json.loads(encode_messages(request, Ask("m")))
    assert sent["messages"] == [turn]


@pytest.mark.parametrize("schema", [{"type": None, "required": ["a"]}, {"required": ["a"]}])
def test_a_schema_without_a_type_gets_the_one_that_it_means(schema: Json) -> None:
    """Row 17: `type: null` is refused."""
    told = fields(tools=[TOOL | {"input_schema": schema}])["tools"][0]["function"]["parameters"]
    assert told == {"type": "object", "properties": {}, "required": ["a"]}


# ------------------------------------------------------------------ content


def test_images_are_carried() -> None:
    url = {"type": "url", "url": "https://x/y.png"}
    blocks = [{"type": "image", "source": source} for source in (PIXEL, url)]
    told = messages({"role": "user", "content": [*blocks, text("what?")]})[0]["content"]
    assert [part.get("image_url", {}).get("url") for part in told] == [
        "data:image/png;base64,aGk=",
        "https://x/y.png",
        None,
    ]


def test_one_image_alone_is_no_text() -> None:
    told = messages({"role": "user", "content": [{"type": "image", "source": PIXEL}]})
    assert told[0]["content"][0]["type"] == "image_url"


def test_empty_texts_are_left_out() -> None:
    """Row 26."""
    told = messages(
        {"role": "user", "content": [text(""), text("hi")]},
        {"role": "assistant", "content": [text("")]},
        {"role": "system", "content": ""},
        {"role": "user", "content": "there"},
    )
    assert told == [{"role": "user", "content": [text("hi"), text("there")]}]


def test_thoughts_go_to_exo_and_not_to_a_strict_cloud() -> None:
    """Row 16: members that OpenAI's schema has no word for are refused."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    secret = {"type": "redacted_thinking", "data": "enc"}
    request = read(USER, {"role": "assistant", "content": [thought, secret, use("t1")]}, USER)
    assert exo(request)["messages"][1]["reasoning_content"] == "hm"
    asked = encode_cloud(request, Ask("m"))
    assert not any(word in asked for word in (b"reasoning_content", b"sig", b"enc"))
    assert encode_cloud(read(USER), Ask("m")).count(b"hi") == 1
    only = read(USER, {"role": "assistant", "content": [thought]}, USER)
    assert exo(only)["messages"][1] == {
        "role": "assistant", "content": "", "reasoning_content": "hm",
    }  # fmt: skip


def test_marks_of_the_cache_and_fields_of_the_books_are_not_sent_to_others() -> None:
    """Row 16."""
    mark = {"type": "ephemeral", "ttl": "1h"}
    request = read(
        {"role": "user", "content": [text("hi", cache_control=mark)]},
        system=[text("s", cache_control=mark)],
        tools=[TOOL | {"cache_control": mark}],
        cache_control=mark,
        metadata={"user_id": "u"},
        service_tier="auto",
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        container=None,
        mcp_servers=[],
    )
    assert request.demands == {"tools"}
    for sent in (encode_cloud(request, Ask("m")), encode_exo(request, Ask("m"))):
        assert not any(
            word in sent for word in (b"cache_control", b"metadata", b"tier", b"context_m")
        )


def test_a_last_turn_of_the_assistant_is_to_be_gone_on_with() -> None:
    request = read(USER, {"role": "assistant", "content": "Once"})
    assert "prefill" in request.demands
    assert exo(request)["messages"][-1] == {"role": "assistant", "content": "Once"}


# ------------------------------------------------------------------ thinking, and forms


@pytest.mark.parametrize(
    ("asked", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 4097}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 16_384}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 16_385}}, "high"),
        ({"thinking": {"type": "disabled"}}, "none"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "max"),
        ({"thinking": {"type": "enabled"}, "output_config": {"effort": "low"}}, "low"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"output_config": None}, None),
    ],
)
def test_how_much_to_think_is_carried(asked: Json, effort: str | None) -> None:
    assert fields(**asked).get("reasoning_effort") == effort


def test_exo_is_asked_for_the_most_that_it_knows() -> None:
    assert exo(read(output_config={"effort": "max"}))["reasoning_effort"] == "xhigh"


@pytest.mark.parametrize("where", ["output_config", "output_format"])
def test_a_form_of_the_answer_is_carried_and_is_a_demand(where: str) -> None:
    schema = {"type": "json_schema", "schema": {"type": "object"}}
    request = read(**{where: {"format": schema} if where == "output_config" else schema})
    told = json.loads(bytes(request.fields["response_format"]))
    assert told["json_schema"]["schema"] == {"type": "object"}
    assert request.demands == {"response_format"}


NATIVE: list[tuple[Json, str]] = [
        ({"thinking": {"type": "between_tools"}}, "thinking"),
        ({"container": "c1"}, "container"),
        ({"mcp_servers": [{"url": "x"}]}, "mcp_servers"),
        ({"inference_geo": "eu"}, "inference_geo"),
        ({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
         "context_management"),
        ({"output_config": {"task_budget": 3}}, "output_config.task_budget"),
        ({"output_config": {"x y": 3}}, "output_config"),
        ({"output_config": {"format": {"type": "grammar"}}}, "output_config.format"),
        ({"tools": [{"type": "web_search_20250305", "name": "w"}]},
         "tools[].type=web_search_20250305"),
        ({"tools": [{"type": "Q" * 99}]}, "tools[].type"),
        ({"tools": [TOOL | {"input_examples": [{}]}]}, "tools[].input_examples"),
        ({"tools": [TOOL | {"allowed_callers": ["code_execution_20250825"]}]},
         "tools[].allowed_callers"),
        ({"a b\u0007": 1}, "a field"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "demand"), NATIVE)
def test_what_only_anthropic_can_do_is_a_demand_by_its_name(asked: Json, demand: str) -> None:
    """Row 18: nothing of it is dropped in silence, and nothing crashes."""
    assert demand in read(**asked).demands


@pytest.mark.parametrize(
    ("block", "demand"),
    [
        ({"type": "document", "source": {}}, "messages[].content[].type=document"),
        ({"type": "server_tool_use", "id": "x"}, "messages[].content[].type=server_tool_use"),
        ({"type": "image", "source": {"type": "file", "file_id": "f"}},
         "messages[].content[].source.type=file"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("role", ["user", "assistant", "result"])
def test_blocks_that_only_anthropic_can_read_are_demands(
    block: Json, demand: str, role: str
) -> None:
    """Row 18, and 20."""
    if role == "assistant" and block["type"] == "image":
        demand = "messages[].content[].type=image"
    content = [result("t", [block])] if role == "result" else [block]
    turn = {"role": role.replace("result", "user"), "content": content}
    assert demand in read(USER, turn, USER).demands


def test_many_unknown_fields_make_few_demands() -> None:
    assert len(read(**{f"x{n}": 1 for n in range(500)}).demands) == 64


# ------------------------------------------------------------------ bad input

SECRET = "s3cret"
BAD: list[tuple[str, str, str | None]] = [
    ("{", "bad_json", None),
    ("[]", "bad_json", None),
    (r'{"model":"m","messages":[{"role":"user","content":"\ud83d"}]}', "bad_json", None),
    ('{"model":"m"}', "missing_field", "messages"),
    ('{"messages":[]}', "missing_field", "model"),
    ('{"model":"m","max_tokens":1,"messages":[]}', "empty_messages", "messages"),
    ('{"model":"m","messages":[{"role":"user","content":"x"}]}', "missing_field", "max_tokens"),
]
WRONG: list[tuple[Json, str]] = [
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": SECRET}, "max_tokens"),
    ({"stream": SECRET}, "stream"),
    ({"messages": [{"role": SECRET, "content": "x"}]}, "messages"),
    ({"messages": [{"role": "user"}]}, "messages"),
    ({"messages": [{"role": "user", "content": None}]}, "messages"),
    ({"messages": [{"role": "user", "content": [SECRET]}]}, "messages"),
    ({"messages": [{"role": "user", "content": [{"text": SECRET}]}]}, "messages"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages"),
    ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}, "messages"),
    ({"messages": [{"role": "user", "content": [result("t", 3)]}]}, "messages"),
    ({"messages": [{"role": "user", "content": [result("t", [{"type": 3}])]}]}, "messages"),
    ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages"),
    ({"messages": [{"role": "user", "content": [
        {"type": "image", "source": {"type": "url"}}]}]}, "messages"),
    ({"messages": [{"role": "assistant", "content": [{"type": "tool_use"}]}]}, "messages"),
    ({"messages": [{"role": "assistant", "content": [
        {"type": "tool_use", "id": "t", "name": "f", "input": SECRET}]}]}, "messages"),
    ({"messages": [{"role": "system", "content": [{"type": "image"}]}]}, "messages"),
    ({"system": [{"type": "image"}]}, "system"),
    ({"system": 3}, "system"),
    ({"tools": [{"name": SECRET}]}, "tools"),
    ({"tools": [{"input_schema": {}}]}, "tools"),
    ({"tools": [TOOL | {"input_schema": SECRET}]}, "tools"),
    ({"tools": [TOOL], "tool_choice": {"type": SECRET}}, "tool_choice"),
    ({"tools": [TOOL], "tool_choice": {"type": "tool"}}, "tool_choice"),
    ({"stop_sequences": SECRET}, "stop_sequences"),
    ({"stop_sequences": ["x"] * 65}, "stop_sequences"),
    ({"stop_sequences": ["x" * 70_000]}, "stop_sequences"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "param"), BAD)
def test_a_body_that_is_no_request_is_refused(body: str, code: str, param: str | None) -> None:
    with pytest.raises(BadRequestError) as caught:
        read_messages(body.encode(), {})
    assert (caught.value.refusal.code, caught.value.refusal.param) == (code, param)


@pytest.mark.parametrize(("asked", "param"), WRONG)
def test_a_field_of_a_wrong_type_is_named_and_not_repeated(asked: Json, param: str) -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [USER], **asked}
    with pytest.raises(BadRequestError) as caught:
        read_messages(json.dumps(body).encode(), {})
    assert (caught.value.refusal.code, caught.value.refusal.param) == ("wrong_type", param)
    assert SECRET not in caught.value.refusal.message
    assert param in caught.value.refusal.message


def test_a_conversation_that_says_nothing_is_refused() -> None:
    with pytest.raises(BadRequestError, match="holds anything"):
        read({"role": "user", "content": [text("")]}, system="s")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "role", "content", "source", "id", "input", "name"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
NAMES = [
    "messages", "system", "tools", "tool_choice", "thinking", "output_config", "metadata",
    "stop_sequences", "context_management", "output_format", "stream", "temperature",
]  # fmt: skip


@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4))
def test_whatever_is_asked_is_read_or_refused(asked: Json) -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [USER], **asked}
    try:
        request = read_messages(json.dumps(body).encode(), {})
    except BadRequestError:
        return
    exo(request)
    encode_cloud(request, Ask("m"))
