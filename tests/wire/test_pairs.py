"""Every reader with every writer: what an upstream said is what the client reads, in any dialect.

One answer is written in each upstream's dialect, streamed and whole, cut anywhere, and read back
out of what each client gets. What breaks in the middle ends whole for none of them.
"""

import json
from collections.abc import Callable
from itertools import pairwise, product
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.arguments import MAX_HELD
from exo_supervisor.wire.chat.judge import Media
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.dialect import Reply
from exo_supervisor.wire.exo.traits import TRAITS
from exo_supervisor.wire.table import DIALECTS, OPERATIONS

Json = dict[str, Any]


class Said(NamedTuple):
    """An answer: its texts in pieces, and calls by their names, with arguments in pieces."""

    thought: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    calls: tuple[tuple[str, tuple[str, ...]], ...] = ()
    finish: str = "stop"


class Read(NamedTuple):
    """The same as a client has read it, and the tokens of its prompt and of the answer."""

    thought: str
    text: str
    calls: list[tuple[str, object]]
    finish: str
    prompt: int
    completion: int


RICH: Final = Said(
    ("h\u00fc", "m "),
    ("Flu\u00df", ' \U0001f30a\n"x"'),
    (("w", ('{"z": 1, ', '"a": "\u00e9"}')), ("v", ("{}",))),
    "tool_calls",
)
PROMPT, COMPLETION = 3, 5
_USAGE: Final = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
_COUNTS: Final = {"input_tokens": 3, "output_tokens": 5}
_STOPS: Final = {"tool_calls": "tool_use", "stop": "end_turn", "length": "max_tokens"}


# -------------------------------------------------------------------- what an upstream sends


def events(*told: Json) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in told)


def chat_stream(said: Said) -> bytes:
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": each} for each in said.thought]
    deltas += [{"content": each} for each in said.text]
    for index, (name, arguments) in enumerate(said.calls):
        function = {"name": name, "arguments": ""}
        begun = {"index": index, "id": f"c{index}", "type": "function", "function": function}
        deltas.append({"tool_calls": [begun]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": each}}]}
            for each in arguments
        ]
    chunks: list[Json] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": said.finish}]})
    return events(*chunks, {"choices": [], "usage": _USAGE}) + b"data: [DONE]\n\n"


def chat_body(said: Said) -> bytes:
    calls = [
        {"id": name, "type": "function", "function": {"name": name, "arguments": "".join(parts)}}
        for name, parts in said.calls
    ]
    message = {"content": "".join(said.text), "reasoning_content": "".join(said.thought)}
    choice = {"index": 0, "finish_reason": said.finish, "message": message | {"tool_calls": calls}}
    return json.dumps({"choices": [choice], "usage": _USAGE}).encode()


def messages_stream(said: Said) -> bytes:
    blocks: list[tuple[Json, list[Json]]] = [
        (
            {"type": "thinking", "thinking": ""},
            [{"type": "thinking_delta", "thinking": each} for each in said.thought],
        ),
        (
            {"type": "text", "text": ""},
            [{"type": "text_delta", "text": each} for each in said.text],
        ),
    ]
    blocks += [
        (
            {"type": "tool_use", "id": name, "name": name, "input": {}},
            [{"type": "input_json_delta", "partial_json": each} for each in parts],
        )
        for name, parts in said.calls
    ]
    told: list[Json] = [{"type": "message_start", "message": {"usage": _COUNTS}}]
    for index, (block, deltas) in enumerate(blocks):
        told.append({"type": "content_block_start", "index": index, "content_block": block})
        told += [
            {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
        ]
        told.append({"type": "content_block_stop", "index": index})
    reason = {"stop_reason": _STOPS[said.finish]}
    told += [
        {"type": "message_delta", "delta": reason, "usage": _COUNTS},
        {"type": "message_stop"},
    ]
    return events(*told)


def messages_body(said: Said) -> bytes:
    content: list[Json] = [
        {"type": "thinking", "thinking": "".join(said.thought), "signature": "s"},
        {"type": "text", "text": "".join(said.text)},
    ]
    content += [
        {"type": "tool_use", "id": name, "name": name, "input": json.loads("".join(parts))}
        for name, parts in said.calls
    ]
    reason = _STOPS[said.finish]
    return json.dumps({"content": content, "stop_reason": reason, "usage": _COUNTS}).encode()


UPSTREAMS: Final[dict[tuple[str, Media], Callable[[Said], bytes]]] = {
    ("openai", "stream"): chat_stream,
    ("openai", "json"): chat_body,
    ("exo", "stream"): chat_stream,
    ("exo", "json"): chat_body,
    ("anthropic", "stream"): messages_stream,
    ("anthropic", "json"): messages_body,
}


# -------------------------------------------------------------------- what a client reads


def told_in(stream: bytes) -> list[Json]:
    lines = (line for line in stream.decode().split("\n") if line.startswith("data: {"))
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def _as_read(message: Json, finish: str, usage: Json) -> Read:
    called = [each["function"] for each in message.get("tool_calls") or ()]
    calls = [(each["name"], json.loads(each["arguments"])) for each in called]
    thought, text = message.get("reasoning_content") or "", message["content"] or ""
    counts = usage["prompt_tokens"], usage["completion_tokens"]
    return Read(thought, text, calls, finish, *counts)


def read_chat_body(body: bytes) -> Read:
    whole = json.loads(body)
    (choice,) = whole["choices"]
    return _as_read(choice["message"], choice["finish_reason"], whole["usage"])


def read_chat_stream(stream: bytes) -> Read:
    *chunks, last = told_in(stream)
    message: Json = {"content": "", "reasoning_content": "", "tool_calls": []}
    finish = ""
    for chunk in chunks:
        (choice,) = chunk["choices"]
        finish = choice["finish_reason"] or finish
        for name in ("content", "reasoning_content"):
            message[name] += choice["delta"].get(name) or ""
        for call in choice["delta"].get("tool_calls") or ():
            if call["index"] == len(message["tool_calls"]):
                message["tool_calls"].append({"function": {"arguments": "", "name": ""}})
            function = message["tool_calls"][call["index"]]["function"]
            for name in function:
                function[name] += call["function"].get(name) or ""
    return _as_read(message, finish, last["usage"])


def read_message(message: Json) -> Read:
    blocks: dict[str, list[Json]] = {"thinking": [], "text": [], "tool_use": []}
    for block in message["content"]:
        blocks[block["type"]].append(block)
    thought = "".join(block["thinking"] for block in blocks["thinking"])
    text = "".join(block["text"] for block in blocks["text"])
    calls = [(block["name"], block["input"]) for block in blocks["tool_use"]]
    finish = next(ours for ours, theirs in _STOPS.items() if theirs == message["stop_reason"])
    counts = message["usage"]["input_tokens"], message["usage"]["output_tokens"]
    return Read(thought, text, calls, finish, *counts)


def read_message_stream(stream: bytes) -> Read:
    message: Json = {"content": [], "usage": {}}
    inputs: dict[int, str] = {}
    for event in told_in(stream):
        match event["type"]:
            case "content_block_start":
                message["content"].append(event["content_block"])
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                inputs[event["index"]] = inputs.get(event["index"], "") + delta.get(
                    "partial_json", ""
                )
                for name in ("text", "thinking"):
                    if name in delta:
                        block[name] += delta[name]
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= event["usage"]
            case _:
                pass
    for index, block in enumerate(message["content"]):
        if block["type"] == "tool_use":
            block["input"] = json.loads(inputs.get(index) or "{}")
    return read_message(message)


def read_response(response: Json) -> Read:
    items = response["output"]
    parts = [(item["type"], part["text"]) for item in items for part in item.get("content") or ()]
    thought = "".join(text for kind, text in parts if kind == "reasoning")
    text = "".join(text for kind, text in parts if kind == "message")
    calls = [
        (item["name"], json.loads(item["arguments"]))
        for item in items
        if item["type"] == "function_call"
    ]
    finish = "length" if response["status"] == "incomplete" else "tool_calls" if calls else "stop"
    counts = response["usage"]["input_tokens"], response["usage"]["output_tokens"]
    return Read(thought, text, calls, finish, *counts)


def read_lines(stream: bytes) -> Read:
    lines = [json.loads(line) for line in stream.splitlines()]
    said = [line["message"] for line in lines]
    calls = [
        (call["function"]["name"], call["function"]["arguments"])
        for each in said
        for call in each.get("tool_calls", ())
    ]
    last = lines[-1]
    assert last["done"]
    finish = "tool_calls" if calls and last["done_reason"] == "stop" else last["done_reason"]
    thought = "".join(each.get("thinking", "") for each in said)
    text = "".join(each["content"] for each in said)
    return Read(thought, text, calls, finish, last["prompt_eval_count"], last["eval_count"])


_HI: Final[Json] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
_WITH_USAGE: Final[Json] = {"stream_options": {"include_usage": True}}
CLIENTS: Final[dict[str, tuple[Json, Callable[[bytes], Read], Callable[[bytes], Read]]]] = {
    "/v1/chat/completions": (_HI | _WITH_USAGE, read_chat_stream, read_chat_body),
    "/v1/messages": (
        _HI | {"max_tokens": 9},
        read_message_stream,
        lambda body: read_message(json.loads(body)),
    ),
    "/v1/responses": (
        {"model": "m", "input": "hi"},
        lambda stream: read_response(told_in(stream)[-1]["response"]),
        lambda body: read_response(json.loads(body)),
    ),
    "/api/chat": (_HI, read_lines, read_lines),
}
PAIRS: Final = [*product(UPSTREAMS, CLIENTS, (True, False))]
ENDS: Final = (b'"finish_reason":"', b"message_stop", b"response.completed", b'"done":true')
"""By which each client knows an answer for whole."""


def reader_for(upstream: tuple[str, Media], path: str, *, stream: bool) -> Reader:
    body = json.dumps(CLIENTS[path][0] | {"stream": stream}).encode()
    operation, (name, media) = OPERATIONS[path], upstream
    write = operation.stream if stream else operation.body
    writer = write(Reply("id", 7, "m", operation.read(body, {})))
    traits = TRAITS["C" if name == "exo" else None]
    return DIALECTS[name].readers["chat", media](writer=writer, traits=traits, asked="m")


def got(reader: Reader, *parts: bytes) -> bytes:
    return b"".join(map(reader.feed, parts)) + reader.close()


@pytest.mark.parametrize(("upstream", "path", "stream"), PAIRS)
@settings(max_examples=6)
@given(places=st.lists(st.integers(0, 3_000), max_size=6))
def test_an_answer_is_read_as_it_was_said_however_it_is_cut(
    upstream: tuple[str, Media],
    path: str,
    *,
    stream: bool,
    places: list[int],
) -> None:
    sent = UPSTREAMS[upstream](RICH)
    edges = [0, *sorted(min(place, len(sent)) for place in places), len(sent)]
    reader = reader_for(upstream, path, stream=stream)
    told = got(reader, *(sent[a:b] for a, b in pairwise(edges)))
    assert (reader.fault, reader.done) == (None, True)
    _, of_stream, of_body = CLIENTS[path]
    read = of_stream(told) if stream else of_body(b"".join(reader.result()))
    calls = [(name, json.loads("".join(parts))) for name, parts in RICH.calls]
    thought, text = "".join(RICH.thought), "".join(RICH.text)
    assert read == Read(thought, text, calls, "tool_calls", PROMPT, COMPLETION)


UNCLOSED: Final = (("w", ('{"city": "U',)),)
STREAMED: Final = [("openai", "stream"), ("openai", "json"), ("anthropic", "stream")]
CUT_PAIRS: Final = [*product(STREAMED, CLIENTS, (True, False))]


@pytest.mark.parametrize("finish", ["tool_calls", "stop"])
@pytest.mark.parametrize(("upstream", "path", "stream"), CUT_PAIRS)
def test_arguments_that_stop_in_the_middle_are_no_whole_call(
    upstream: tuple[str, Media],
    path: str,
    *,
    stream: bool,
    finish: str,
) -> None:
    """Row 14: it ended whole in chat, Messages and Responses."""
    reader = reader_for(upstream, path, stream=stream)
    told = got(reader, UPSTREAMS[upstream](Said(text=("so",), calls=UNCLOSED, finish=finish)))
    assert reader.fault is Fault.UNFINISHED
    assert not any(end in told for end in ENDS)


@pytest.mark.parametrize(("upstream", "path", "stream"), CUT_PAIRS)
def test_an_answer_that_ran_into_its_limit_may_end_within_a_call(
    upstream: tuple[str, Media],
    path: str,
    *,
    stream: bool,
) -> None:
    """Row 22: such an answer is no less one for its tools."""
    reader = reader_for(upstream, path, stream=stream)
    got(reader, UPSTREAMS[upstream](Said(text=("so",), calls=UNCLOSED, finish="length")))
    assert (reader.fault, reader.done) == (None, True)


@pytest.mark.parametrize(("upstream", "path", "stream"), CUT_PAIRS)
def test_arguments_that_the_model_wrote_wrongly_are_told_where_they_are_a_text(
    upstream: tuple[str, Media],
    path: str,
    *,
    stream: bool,
) -> None:
    """A model's mistake is whole as a text; as the object that others want there is none."""
    reader = reader_for(upstream, path, stream=stream)
    said = Said(text=("so",), calls=(("w", ("{'city': 1}",)),), finish="tool_calls")
    told = got(reader, UPSTREAMS[upstream](said))
    if path in ("/v1/chat/completions", "/v1/responses") or (
        (path, stream, upstream[0]) == ("/v1/messages", True, "anthropic")  # copied as it came
    ):
        assert (reader.fault, reader.done) == (None, True)
        assert b"{'city': 1}" in (told or b"".join(reader.result()))
    else:
        assert reader.fault is Fault.MALFORMED
        assert not any(end in told for end in ENDS)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ([{"arguments": r'{"x":"\ud83d"}'}], None),  # half a character is a whole text
        ([{"arguments": r'{"x":"\ud83d'}], Fault.UNFINISHED),
        ([{"arguments": " "}], None),
        ([{"arguments": None}, {"arguments": "{}"}], None),
        ([{"arguments": {"x": 1}}], None),
        ([{"arguments": '{"x":'}, {"arguments": "1}"}], None),
        ([{"arguments": "{}"}, {"arguments": "{}"}], None),
        ([{"arguments": "[" * 100_000}], None),  # nobody looks through that
        ([{"arguments": '{"x":"' + "y" * MAX_HELD}], None),  # nor is so much kept
    ],
)
def test_arguments_are_cut_only_where_they_could_go_on(
    arguments: list[Json], fault: Fault | None
) -> None:
    pieces = [
        {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "c", "function": each}]}}]}
        for each in arguments
    ]
    reader = reader_for(("openai", "stream"), "/v1/chat/completions", stream=True)
    got(reader, events(*pieces, {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}))
    assert reader.fault is fault


def test_calls_in_each_other_s_place_and_of_other_choices_are_looked_at_by_themselves() -> None:
    def piece(choice: int, key: str, arguments: str, finish: str | None = None) -> Json:
        call = {"index": 0, "id": key, "function": {"name": "f", "arguments": arguments}}
        return {
            "choices": [{"index": choice, "delta": {"tool_calls": [call]}, "finish_reason": finish}]
        }

    reader = reader_for(("openai", "stream"), "/v1/chat/completions", stream=True)
    got(reader, events(piece(0, "a", "{}"), piece(1, "b", "{"), piece(0, "c", "{}", "tool_calls")))
    assert reader.fault is Fault.UNFINISHED  # the other choice never ended
    assert b"middle" in reader.message.encode()
    reader = reader_for(("openai", "stream"), "/v1/chat/completions", stream=True)
    older = {"function_call": {"name": "f", "arguments": "{"}}
    got(reader, events({"choices": [{"delta": older, "finish_reason": "function_call"}]}))
    assert reader.message == "the arguments of a tool call end in the middle"
    assert reader.held > len("{")
