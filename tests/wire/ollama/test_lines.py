"""Answers as Ollama's clients read them: lines that add up, and one last one that is done."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.continuation import Transcript
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.dialect import Reply
from exo_supervisor.wire.ollama import lines
from exo_supervisor.wire.table import DIALECTS, OPERATIONS

Json = dict[str, Any]
CREATED = "1970-01-01T00:00:07Z"
USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
DONE = b"data: [DONE]\n\n"


def chunk(delta: Json, finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish} | more
    return b"data: " + json.dumps({"model": "served", "choices": [choice]}).encode() + b"\n\n"


def call(**told: object) -> Json:
    return {"tool_calls": [told]}


LAST = b"data: " + json.dumps({"choices": [], "usage": USAGE}).encode() + b"\n\n" + DONE
TEXTS = b"".join(
    (
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "h\u00fc"}),
        chunk({"reasoning_content": "m"}),
        chunk({"content": "Flu\u00df"}),
        chunk({"content": " \U0001f30a"}),
        chunk({"content": '\n"x"'}),
        chunk({}, "stop"),
        LAST,
    )
)
CALLS = b"".join(
    (
        chunk(call(index=0, id="one", function={"name": "w", "arguments": ""})),
        chunk(call(index=0, function={"arguments": '{"z": 1,'})),
        chunk(call(index=1, id="two", function={"name": "v", "arguments": ""})),
        chunk(call(index=0, function={"arguments": '"a": 2}'})),
        chunk({}, "tool_calls"),
        LAST,
    )
)
TOLD_CALLS: list[Json] = [
    {"id": "one", "function": {"name": "w", "arguments": {"z": 1, "a": 2}}},
    {"id": "two", "function": {"name": "v", "arguments": {}}},
]


def reading(path: str = "/api/chat", *, stream: bool = True, **more: Any) -> Reader:  # noqa: ANN401
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "prompt": "hi"}
    operation = OPERATIONS[path]
    request = operation.read(json.dumps(body | {"stream": stream}).encode(), {})
    reply = structs.replace(Reply("id", 7, "asked", request), **more)
    writer = (operation.stream if stream else operation.body)(reply)
    return DIALECTS["openai"].readers["chat", "stream"](writer=writer, asked="asked")


def told(reader: Reader, *parts: bytes) -> list[Json]:
    out = b"".join(map(reader.feed, parts)) + reader.close()
    assert (reader.fault, reader.done) == (None, True)
    whole = out + b"".join(reader.result())
    assert whole.endswith(b"\n")
    return [json.loads(line) for line in whole.splitlines()]


@given(st.lists(st.integers(1, len(TEXTS) - 1), unique=True, max_size=6))
def test_texts_and_thoughts_add_up_however_the_stream_is_split(cuts: list[int]) -> None:
    parts = [TEXTS[a:b] for a, b in pairwise([0, *sorted(cuts), len(TEXTS)])]
    streamed, (whole,) = told(reading(), *parts), told(reading(stream=False), *parts)
    last = {"done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 5}
    said = {"role": "assistant", "content": 'Fluß 🌊\n"x"', "thinking": "hüm"}
    for name in ("content", "thinking"):
        assert "".join(line["message"].get(name, "") for line in streamed) == said[name]
    assert [line["done"] for line in streamed] == [False] * (len(streamed) - 1) + [True]
    for line in (*streamed, whole):
        assert (line["model"], line["created_at"]) == ("served", CREATED)
    assert {name: streamed[-1][name] for name in last} == last
    assert streamed[-1]["message"] == {"role": "assistant", "content": ""}
    assert whole == {"model": "served", "created_at": CREATED, "message": said} | last


def test_a_prompt_s_answer_is_a_response() -> None:
    streamed = told(reading("/api/generate"), TEXTS)
    assert "".join(line["response"] for line in streamed) == 'Fluß 🌊\n"x"'
    assert "".join(line.get("thinking", "") for line in streamed) == "hüm"
    (whole,) = told(reading("/api/generate", stream=False), TEXTS)
    assert (whole["response"], whole["thinking"]) == ('Fluß 🌊\n"x"', "hüm")
    assert not [line for line in (*streamed, whole) if "message" in line]


@given(st.lists(st.integers(1, len(CALLS) - 1), unique=True, max_size=6))
def test_calls_are_told_whole_with_their_arguments_as_objects(cuts: list[int]) -> None:
    parts = [CALLS[a:b] for a, b in pairwise([0, *sorted(cuts), len(CALLS)])]
    streamed, (whole,) = told(reading(), *parts), told(reading(stream=False), *parts)
    assert whole["message"]["tool_calls"] == TOLD_CALLS
    (line, last) = streamed
    assert line["message"]["tool_calls"] == TOLD_CALLS
    assert '"z":1,"a":2' in json.dumps(line, separators=(",", ":"))  # in the order they came
    assert (last["done"], last["done_reason"]) == (True, "stop")


def test_the_older_call_of_a_function_is_one_too() -> None:
    data = chunk({"function_call": {"name": "w", "arguments": "{}"}}) + chunk({}, "function_call")
    line, last = told(reading(), data + DONE)
    assert [each["function"] for each in line["message"]["tool_calls"]] == [
        {"name": "w", "arguments": {}}
    ]
    assert (last["done_reason"], last["eval_count"]) == ("stop", 1)
    assert "prompt_eval_count" not in last  # nobody counted it


@pytest.mark.parametrize("stream", [True, False])
def test_a_call_that_was_cut_off_is_left_out_of_a_cut_answer(stream: bool) -> None:  # noqa: FBT001
    begun = chunk(call(index=0, id="one", function={"name": "w", "arguments": '{"z'}))
    lines_of = told(reading(stream=stream), begun + chunk({}, "length") + DONE)
    assert not [line for line in lines_of if "tool_calls" in line["message"]]
    assert lines_of[-1]["done_reason"] == "length"
    reader = reading(stream=stream)
    out = reader.feed(begun + chunk({}, "tool_calls") + DONE)
    assert reader.fault is Fault.UNFINISHED
    assert b'"done":true' not in out


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (chunk({"content": "a"}) + DONE, Fault.UNFINISHED),
        (chunk({"content": "a"}), Fault.UNFINISHED),
        (chunk({}, "stop") + DONE, Fault.EMPTY),
        (chunk({"content": "a"}) + b'data: {"error":{"message":"x"}}\n\n', Fault.ERROR_EVENT),
        (chunk({"content": "a"}) + b'data: {"choices":[{"del\n\n', Fault.MALFORMED),
        (chunk({"content": "a"}) + chunk({"content": "b"}, index=1), Fault.MALFORMED),
        (chunk({"content": "a"}, "error") + DONE, Fault.ERROR_EVENT),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_no_answer_that_is_not_whole_is_done(
    data: bytes,
    fault: Fault,
    stream: bool,  # noqa: FBT001 - a row
) -> None:
    reader = reading(stream=stream)
    out = reader.feed(data) + reader.close()
    assert reader.fault is fault
    assert b'"done":true' not in out


def test_a_text_goes_the_short_way_and_reads_the_same() -> None:
    reader = reading()
    data = [chunk({"content": f"w{number} "}) for number in range(20)]
    streamed = told(reader, *data, chunk({}, "stop") + DONE)
    other = reading()
    other.feed(data[0])
    assert all(other.take_texts(each, b"", len(each)) for each in data[1:])
    expected = "".join(f"w{number} " for number in range(20))
    assert "".join(line["message"]["content"] for line in streamed) == expected


def test_what_a_client_is_told_is_taken_down_for_whoever_goes_on() -> None:
    transcript = Transcript()
    mark = b',"supervisor":{"continued":[]}'
    reader = reading(transcript=transcript, mark=mark)
    streamed = told(reader, *(chunk({"content": "a"}) for _ in range(5)), chunk({}, "stop") + DONE)
    assert transcript.pieces == 5
    assert streamed[-1]["supervisor"] == {"continued": []}


ARGUMENTS = '{"z":"' + "y" * 100


@pytest.mark.parametrize(
    "delta",
    [
        call(index=0, id="one", function={"name": "w", "arguments": ARGUMENTS}),
        {"function_call": {"name": "w", "arguments": ARGUMENTS}},
    ],
)
def test_what_is_held_has_a_bound(delta: Json) -> None:
    reader = reading()
    writer = reader.writer
    assert isinstance(writer, lines.LineWriter)
    writer.most_bytes = 100
    reader.feed(chunk(delta))
    assert reader.fault is Fault.OVERSIZED
    piece: Any = None
    assert reading(stream=False).writer.plain(piece, reader, b"", 0) is None


def test_a_stream_holds_nothing_of_what_it_told_and_has_no_bound() -> None:
    reader, whole = reading(), reading(stream=False)
    for read in (reader, whole):
        assert isinstance(read.writer, lines.LineWriter | lines.ObjectWriter)
        read.writer.most_bytes = 1_000
    for n in range(100):
        said = chunk({"content": "y"}, seen=n)
        assert reader.feed(said)
        whole.feed(said)
    assert (reader.held, reader.fault) == (0, None)
    assert whole.fault is Fault.OVERSIZED
