"""An answer of any upstream, told to a client of Messages that did not stream."""

import json

import pytest

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.piece import OversizedAnswerError
from exo_supervisor.wire.openai.body_reader import BodyReader
from exo_supervisor.wire.openai.reader import ChunkReader
from tests.wire.anthropic.client import Json, answer_writer, judged, stream_writer, whole
from tests.wire.anthropic.test_stream_writer import DONE, call, calls, chunk, text
from tests.wire.reading import read_into


def read(*told: bytes, most_bytes: int = 1 << 20) -> ChunkReader:
    reading = read_into(answer_writer(most_bytes=most_bytes))
    assert b"".join(reading.feed(each) for each in told) + reading.close() == b""
    return reading


def message(*told: bytes) -> Json:
    reading = read(*told)
    assert reading.fault is None, reading.message
    return judged(json.loads(b"".join(reading.result())))


def test_the_whole_message_is_what_a_stream_would_have_told() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    told = (
        chunk({"reasoning_content": "hm"}),
        text("Hel"),
        text("lo \u00e9"),
        calls(call(0, '{"a"', id="c0", name="f"), call(1, "{}", id="c1", name="g")),
        calls(call(0, ":1}")),
        chunk({}, "tool_calls"),
        chunk({}, usage=usage),
        DONE,
    )
    reading = read_into(stream_writer())
    streamed = whole(b"".join(reading.feed(each) for each in told) + reading.close())
    gathered = message(*told)
    assert gathered == {name: streamed[name] for name in gathered}
    assert [block["type"] for block in gathered["content"]] == [
        "thinking", "text", "tool_use", "tool_use",
    ]  # fmt: skip


def test_a_whole_body_of_an_upstream_is_told_as_well() -> None:
    function = {"name": "f", "arguments": '{"z": 1, "a": 2}'}
    body = {
        "model": "theirs",
        "choices": [
            {
                "message": {
                    "content": "yes",
                    "tool_calls": [{"id": "c0", "type": "function", "function": function}],
                },
                "finish_reason": "tool_calls",
            }
        ],
    }
    reading = BodyReader(writer=answer_writer())
    reading.feed(json.dumps(body).encode())
    reading.close()
    told = b"".join(reading.result())
    assert b'"input":{"z": 1, "a": 2}' in told  # as the model wrote it, keys in its order
    assert judged(json.loads(told))["stop_reason"] == "tool_use"


def test_a_call_without_arguments_has_an_empty_object() -> None:
    told = message(calls(call(0, "", id="c0", name="f"), finish="tool_calls"), DONE)
    assert told["content"] == [{"type": "tool_use", "id": "c0", "name": "f", "input": {}}]


@pytest.mark.parametrize("arguments", ['{"a":1}}', "[]", "nonsense"])
def test_arguments_that_are_no_object_are_no_answer(arguments: str) -> None:
    reading = read(calls(call(0, arguments, id="c0", name="f"), finish="tool_calls"), DONE)
    assert reading.fault is Fault.MALFORMED


def test_a_call_that_was_cut_with_the_answer_is_left_out_and_the_answer_says_so() -> None:
    told = message(text("a"), calls(call(0, '{"a"', id="c0", name="f"), finish="length"), DONE)
    assert [block["type"] for block in told["content"]] == ["text"]
    assert told["stop_reason"] == "max_tokens"


def test_an_answer_that_is_too_large_is_none() -> None:
    assert read(*[text("x" * 100)] * 50, most_bytes=4000).fault is Fault.OVERSIZED


def test_an_answer_has_a_bound_to_the_last_byte() -> None:
    writer = answer_writer(most_bytes=5)
    writer.note(5)
    with pytest.raises(OversizedAnswerError):
        writer.note(1)
