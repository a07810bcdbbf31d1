"""Requests of Ollama's clients: what is asked of a target, and what is refused by its name."""

import json
from typing import Any

import pytest
from msgspec import Raw

from exo_supervisor.core.outcomes import BadRequestError
from exo_supervisor.wire.chat.request import Ask, ChatRequest
from exo_supervisor.wire.table import DIALECTS, OPERATIONS

Json = dict[str, Any]
HI = [{"role": "user", "content": "hi"}]
SCHEMA: Json = {"type": "object", "properties": {"z": {}, "a": {}}}


def read(verb: str, **fields: Any) -> ChatRequest:  # noqa: ANN401 - any JSON
    return OPERATIONS[f"/api/{verb}"].read(json.dumps({"model": "m"} | fields).encode(), {})


def sent(request: ChatRequest) -> Json:
    return json.loads(DIALECTS["openai"].encode(request, Ask("theirs")))


def test_a_chat_streams_unless_it_says_not_to() -> None:
    asked = read("chat", messages=HI)
    assert (asked.stream, asked.kind, asked.dialect, asked.native_demands) == (
        True, "chat", "ollama", frozenset(),
    )  # fmt: skip
    assert read("chat", messages=HI, stream=False).stream is False
    assert sent(asked)["messages"] == HI


def test_options_that_change_the_answer_reach_the_target_by_its_names() -> None:
    options = {
        "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.1, "seed": 7, "num_predict": 9,
        "stop": ["x", ""], "repeat_penalty": 1.1, "repeat_last_n": 64, "presence_penalty": 1,
        "num_ctx": 4096, "num_gpu": 1, "mirostat": 0, "typical_p": 1.0,
    }  # fmt: skip
    asked = read("chat", messages=HI, options=options, keep_alive=-1)
    assert (asked.max_tokens, asked.stop, asked.native_demands) == (9, ("x",), frozenset())
    told = sent(asked)
    for name in ("model", "messages", "stream", "stream_options"):
        del told[name]
    assert told == {
        "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.1, "seed": 7,
        "repetition_penalty": 1.1, "repetition_context_size": 64, "presence_penalty": 1,
        "stop": ["x"],
    }  # fmt: skip
    for boundless in (-1, -2):
        assert read("chat", messages=HI, options={"num_predict": boundless}).max_tokens is None


@pytest.mark.parametrize(
    ("fields", "demand"),
    [
        ({"options": {"mirostat": 2}}, "options.mirostat"),
        ({"options": {"typical_p": 0.5}}, "options.typical_p"),
        ({"options": {"new_sampler": 1}}, "options.new_sampler"),
        ({"options": {"a\nb": 1}}, "options"),
        ({"logprobs": True}, "logprobs"),
    ],
)
def test_what_nobody_else_can_be_asked_for_is_a_demand(fields: Json, demand: str) -> None:
    asked = read("chat", messages=HI, **fields)
    assert asked.native_demands == {demand}
    assert demand in asked.demands


ASKED: list[tuple[Json, Json]] = [
    ({"think": True}, {"reasoning_effort": "medium"}),
    ({"think": False}, {"reasoning_effort": "none"}),
    ({"think": "high"}, {"reasoning_effort": "high"}),
    ({"think": ""}, {}),
    ({"format": ""}, {}),
    ({"format": "json"}, {"response_format": {"type": "json_object"}}),
    (
        {"format": SCHEMA},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": SCHEMA},
            }
        },
    ),
    ({"tools": [{"type": "function"}]}, {"tools": [{"type": "function"}]}),
]


@pytest.mark.parametrize(("fields", "told"), ASKED)
def test_thinking_forms_and_tools_are_asked_for(fields: Json, told: Json) -> None:
    asked = sent(read("chat", messages=HI, **fields))
    names = ("reasoning_effort", "response_format", "tools")
    assert {name: asked[name] for name in names if name in asked} == told


def test_calls_get_ids_in_their_order_and_results_find_them() -> None:
    """Nothing that follows changes what was written: the prompt of the next turn begins alike."""
    calls: list[Json] = [
        {"function": {"name": "a", "arguments": {"z": 1, "b": 2}}},
        {"function": {"name": "b"}},
        {"id": "own", "function": {"name": "c", "arguments": {}}},
    ]
    talk: list[Json] = [
        *HI,
        {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": calls},
        {"role": "tool", "tool_name": "b", "content": "of b"},
        {"role": "tool", "content": "of a"},
        {"role": "tool", "tool_call_id": "own", "content": "of c"},
        {"role": "tool", "tool_name": "nobody", "content": "late"},
        {"role": "tool", "content": "later"},
    ]
    whole = sent(read("chat", messages=talk))["messages"]
    called = whole[1]["tool_calls"]
    assert whole[1]["content"] is None
    assert "reasoning_content" not in whole[1]  # which strict servers refuse
    assert [call["id"] for call in called] == ["call_1", "call_2", "own"]
    assert called[0]["function"] == {"name": "a", "arguments": '{"z": 1, "b": 2}'}
    assert called[1]["function"]["arguments"] == "{}"
    ids = [message["tool_call_id"] for message in whole[2:]]
    assert ids == ["call_2", "call_1", "own", "call_3", "call_3"]
    for length in range(1, len(talk)):
        part = sent(read("chat", messages=talk[:length]))["messages"]
        assert part == whole[:length]
    kept = read("chat", messages=talk).fields["messages"]
    assert b'"reasoning_content":"hm"' in bytes(kept)  # for Exo, whose template takes it


@pytest.mark.parametrize(
    ("image", "url"),
    [
        ("/9j/4A", "data:image/jpeg;base64,/9j/4A"),
        ("iVBORw", "data:image/png;base64,iVBORw"),
        ("R0lGOD", "data:image/gif;base64,R0lGOD"),
        ("UklGRg", "data:image/webp;base64,UklGRg"),
        ("aGk=", "data:image/png;base64,aGk="),
        ("data:image/bmp;base64,aGk=", "data:image/bmp;base64,aGk="),
    ],
)
def test_images_become_parts(image: str, url: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    message = {"role": "user", "content": "what?", "images": [image]}
    told = sent(read("chat", messages=[message]))["messages"]
    assert told == [{"role": "user", "content": [{"type": "text", "text": "what?"}, part]}]
    alone = sent(read("generate", images=[image]))["messages"]
    assert alone == [{"role": "user", "content": [part]}]


def test_a_prompt_is_the_message_of_a_chat() -> None:
    asked = read("generate", prompt="hi", system="be brief", context=[], raw=False, suffix="")
    assert sent(asked)["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
    ]
    assert sent(read("generate", prompt="hi"))["messages"] == HI


def test_texts_are_embedded_as_numbers() -> None:
    asked = read("embed", input=["a", "b"], dimensions=4, truncate=True, keep_alive="5m")
    assert (asked.kind, asked.n, asked.native_demands) == ("embeddings", 2, {"embeddings"})
    assert sent(asked) == {
        "model": "theirs", "input": ["a", "b"], "encoding_format": "float", "dimensions": 4,
    }  # fmt: skip
    older = read("embeddings", prompt="a")
    assert (older.n, older.prompt) == (1, Raw(b'"a"'))


@pytest.mark.parametrize(
    ("verb", "fields", "code", "param"),
    [
        ("chat", {}, "missing_field", "messages"),
        ("chat", {"messages": [], "keep_alive": 0}, "unsupported_field", "keep_alive"),
        ("generate", {"keep_alive": "0"}, "unsupported_field", "keep_alive"),
        ("chat", {"messages": HI, "model": ""}, "wrong_type", "model"),
        ("chat", {"messages": [{"role": "secret"}]}, "wrong_type", "messages"),
        ("chat", {"messages": [{"role": "user", "content": 7}]}, "wrong_type", "messages"),
        ("chat", {"messages": HI, "think": "secret"}, "wrong_type", "think"),
        ("chat", {"messages": HI, "format": "secret"}, "wrong_type", "format"),
        ("chat", {"messages": HI, "options": 7}, "wrong_type", "options"),
        ("chat", {"messages": HI, "options": {"num_predict": "x"}}, "wrong_type", "options"),
        ("chat", {"messages": HI, "options": {"num_predict": 0}}, "wrong_type", "max_tokens"),
        ("chat", {"messages": HI, "options": {"stop": ["x"] * 65}}, "wrong_type", "options.stop"),
        ("generate", {"prompt": "a", "raw": True}, "unsupported_field", "raw"),
        ("generate", {"prompt": "a", "suffix": "secret"}, "unsupported_field", "suffix"),
        ("generate", {"prompt": "a", "template": "secret"}, "unsupported_field", "template"),
        ("generate", {"prompt": "a", "context": [1]}, "unsupported_field", "context"),
        ("embed", {}, "missing_field", "input"),
        ("embed", {"input": []}, "wrong_type", "input"),
        ("embed", {"input": [7]}, "wrong_type", "input"),
        ("embed", {"input": "a", "dimensions": 0}, "wrong_type", "dimensions"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_echoed(
    verb: str, fields: Json, code: str, param: str
) -> None:
    with pytest.raises(BadRequestError) as caught:
        read(verb, **fields)
    refusal = caught.value.refusal
    assert (refusal.code, refusal.param) == (code, param)
    assert "secret" not in refusal.message


def test_arguments_of_a_call_are_an_object() -> None:
    call = {"function": {"name": "a", "arguments": "{}"}}
    with pytest.raises(BadRequestError, match="it is an object"):
        read("chat", messages=[*HI, {"role": "assistant", "tool_calls": [call]}])


@pytest.mark.parametrize(
    ("verb", "fields", "empty"),
    [
        ("generate", {}, {"response": ""}), ("generate", {"prompt": ""}, {"response": ""}),
        ("chat", {"messages": []}, {"message": {"role": "assistant", "content": ""}}),
    ],
)  # fmt: skip
def test_who_says_nothing_wants_its_model_to_be_ready(verb: str, fields: Json, empty: Json) -> None:
    asked = read(verb, keep_alive="5m", **fields)
    told = {"model": asked.model, **empty, "done": True, "done_reason": "load"}
    assert json.loads(asked.preload) == told
    assert read("generate", prompt="hi").preload == b""
