"""One upstream answer, gathered for a client that did not stream."""

import json
import tracemalloc
from typing import cast

import pytest

from exo_supervisor.core.names import Generation
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.aggregate import Aggregate
from exo_supervisor.wire.answer import DONE, Answer
from exo_supervisor.wire.whole import read_whole
from tests.wire.sdk import judge_answer

Json = dict[str, object]
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "details": {"x": 1}}


def aggregate(generation: Generation | None = None) -> Aggregate:
    return Aggregate(id="ours", created=7, generation=generation, include_usage=False, asked="m")


def event(data: object) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def chunk(delta: object, finish: str | None = None, index: int = 0, **more: object) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish} | more
    return event({"choices": [choice]})


def gathered(*events: bytes, generation: Generation | None = None) -> Json:
    reading = aggregate(generation)
    assert reading.feed(b"".join(events)) == b""
    assert reading.close() == b""
    assert reading.fault is None
    return result(reading)


def result(reading: Aggregate) -> Json:
    found = json.loads(reading.result())
    judge_answer(found)
    return found


def first(answer: Json) -> Json:
    return cast("list[Json]", answer["choices"])[0]


def test_text_is_gathered_into_one_message() -> None:
    assert gathered(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "a", "name": None}),
        chunk({"content": "b"}, "stop"),
        event({"choices": [], "usage": USAGE}),
        DONE,
    ) == {
        "id": "ours",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "ab", "reasoning_content": "hm"},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }


def test_usage_is_counted_where_none_was_told() -> None:
    assert gathered(chunk({"content": "a"}), chunk({"content": "b"}, "stop"))["usage"] == {
        "completion_tokens": 2
    }


def test_calls_are_gathered_by_their_index() -> None:
    def piece(index: int | None, arguments: str, **more: object) -> Json:
        function: Json = {"arguments": arguments, "id": "x"} | more
        named: Json = {"id": f"c{index}", "type": "function"} if more else {}
        placed: Json = {} if index is None else {"index": index}
        return {**placed, **named, "function": function}

    answer = gathered(
        chunk({"tool_calls": [piece(1, "", name="g"), piece(0, '{"a"', name="f")]}),
        chunk({"tool_calls": [piece(0, ":1}"), piece(1, "{}")]}),
        chunk({"tool_calls": [piece(None, "{}", name="h")]}, "tool_calls"),
    )
    message = cast("Json", first(answer)["message"])
    assert message["content"] is None
    assert message["tool_calls"] == [
        {"id": "c0", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "c1", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        {"id": "cNone", "type": "function", "function": {"name": "h", "arguments": "{}"}},
    ]


def test_a_call_of_the_old_kind_is_gathered() -> None:
    answer = gathered(
        chunk({"function_call": {"name": "f", "arguments": "{"}}),
        chunk({"function_call": {"arguments": "}"}}, "function_call"),
    )
    message = cast("Json", first(answer)["message"])
    assert message["function_call"] == {"name": "f", "arguments": "{}"}


def test_lists_and_logprobs_are_joined() -> None:
    def probs(token: str) -> Json:
        one: Json = {"token": token, "logprob": -1.0, "bytes": None, "top_logprobs": []}
        return {"content": [one], "refusal": None}

    answer = gathered(
        chunk({"content": "a", "reasoning_details": [1]}, logprobs=probs("a")),
        chunk({"content": "b", "reasoning_details": [2], "extra": {"id": "x"}}, "stop",
              logprobs=probs("b")),
    )  # fmt: skip
    logprobs = cast("dict[str, list[Json]]", first(answer)["logprobs"])
    assert [one["token"] for one in logprobs["content"]] == ["a", "b"]
    message = cast("Json", first(answer)["message"])
    assert (message["reasoning_details"], message["extra"]) == ([1, 2], {"id": "x"})


def test_several_choices_are_gathered_apart() -> None:
    answer = gathered(
        chunk({"content": "b"}, "stop", 1), chunk({"content": "a"}), chunk(None, "length")
    )
    choices = cast("list[dict[str, Json]]", answer["choices"])
    assert [one["message"]["content"] for one in choices] == ["a", "b"]
    assert [one["finish_reason"] for one in choices] == ["length", "stop"]


def test_a_is_gathered_without_its_end_mark() -> None:
    answer = gathered(
        chunk({"role": "assistant", "content": "a"}),
        chunk({"role": "assistant", "content": "<|eot_id|>"}, "stop"),
        generation="A",
    )
    assert first(answer)["message"] == {"role": "assistant", "content": "a"}


def test_an_answer_over_the_bound_is_a_fault() -> None:
    reading = aggregate()
    part = chunk({"content": "x" * 4_000_000})
    for _ in range(17):
        reading.feed(part)
    assert reading.fault is Fault.OVERSIZED


def test_logprobs_count_towards_the_bound() -> None:
    reading = aggregate()
    choice = {"index": 0, "delta": {"content": "x"}, "logprobs": {"content": ["x" * 4_000_000]}}
    part = b"data: %b\n\n" % json.dumps({"choices": [choice]}).encode()
    for _ in range(17):
        reading.feed(part)
    assert reading.fault is Fault.OVERSIZED


@pytest.mark.parametrize(
    "piece",
    [
        b'{"choices":[{"delta":{"content":"x"},"logprobs":{"content":[%b{}]}}]}'
        % (b"{}," * 900_000),
        b'{"choices":[{"delta":{"tool_calls":[%b{}]}}]}' % (b"{}," * 1_000),
        b'{"choices":[{"delta":{"content":"x"}}],"unknown":[%b0]}' % (b"0," * 1_400_000),
        b": %b" % (b"x" * 3_000_000),
    ],
    ids=["logprobs", "calls", "unknown", "malformed"],
)
def test_whatever_an_answer_is_made_of_its_memory_is_bounded(piece: bytes) -> None:
    reading, event, fed = aggregate(), b"data: " + piece + b"\n\n", 0
    tracemalloc.start()
    while reading.fault is None:
        fed += len(event)
        reading.feed(event)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (reading.fault, fed < 80_000_000) == (Fault.OVERSIZED, True)
    assert peak < 400_000_000


def test_what_is_gathered_takes_about_its_bytes() -> None:
    reading = aggregate()
    details = b'data: {"choices":[{"delta":{"reasoning_details":[%b{}]}}]}\n\n' % (b"{}," * 300_000)
    tracemalloc.start()
    for _ in range(8):
        reading.feed(details)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (reading.fault, reading.content) == (None, True)
    assert (held < 10_000_000, peak < 50_000_000) == (True, True)


def test_names_cost_more_than_their_json() -> None:
    reading = aggregate()
    for part in range(20):
        named = {f"{part}-{name}": 1 for name in range(10_000)}
        reading.feed(chunk({"content": "x"} | named))
    assert reading.fault is Fault.OVERSIZED


def test_a_member_that_is_no_text_where_one_belongs_is_left_out() -> None:
    reading = aggregate()
    reading.feed(
        chunk({"content": [{"type": "text", "text": "a"}], "tool_calls": None})
        + chunk({"content": "", "reasoning": 5, "annotations": list[str]()}, "stop")
        + DONE
    )
    found = first(json.loads(reading.result()))["message"]
    assert found == {"role": "assistant", "content": [{"type": "text", "text": "a"}]}


WHOLE: Json = {
    "id": "theirs",
    "model": "m2",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "é",
                "refusal": None,
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
            "finish_reason": "stop",
        }
    ],
    "usage": USAGE,
}


def test_a_whole_answer_is_passed_on_whole() -> None:
    reading = aggregate()
    body = json.dumps(WHOLE, ensure_ascii=False, indent=1).encode()
    assert read_whole(body, reading) == b""
    answer = result(reading)
    message = cast("list[Json]", WHOLE["choices"])[0]["message"]
    assert answer["model"] == "m2"
    assert answer["usage"] == USAGE
    assert first(answer)["message"] == {
        name: value for name, value in cast("Json", message).items() if value is not None
    }


def test_a_whole_answer_becomes_a_stream_for_who_wants_one() -> None:
    reading = Answer(id="ours", created=7, generation=None, include_usage=True, asked="m")
    told = read_whole(json.dumps(WHOLE).encode(), reading)
    events = [one.removeprefix(b"data: ") for one in told.split(b"\n\n") if one]
    assert events[-1] == b"[DONE]"
    assert json.loads(events[1])["usage"] == USAGE
    assert json.loads(events[0])["choices"][0]["delta"]["content"] == "é"
    assert len(events) == 3


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", Fault.EMPTY),
        (b" \n", Fault.EMPTY),
        (b"{", Fault.PAYLOAD),
        (b"[]", Fault.PAYLOAD),
        (b'{"choices":[{"message":{"content":"\xff"}}]}', Fault.PAYLOAD),
        (b"[" * 100_000, Fault.PAYLOAD),
        (b'{"choices":5}', Fault.PAYLOAD),
        (b"{}", Fault.EMPTY),
        (b'{"choices":[]}', Fault.EMPTY),
        (b'{"choices":[{}]}', Fault.EMPTY),
        (b'{"choices":[{"message":{"content":"a"}}]}', Fault.UNFINISHED),
        (b'{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}', Fault.EMPTY),
        (b'{"choices":[{"message":{"tool_calls":{}},"finish_reason":"stop"}]}', Fault.PAYLOAD),
        (b'{"error":{"message":"boom"}}', Fault.ERROR_EVENT),
        (b'{"error":{"message":"boom","code":429}}', Fault.BUSY),
    ],
)
def test_a_bad_whole_answer_is_a_fault(body: bytes, fault: Fault) -> None:
    reading = aggregate()
    assert read_whole(body, reading) == b""
    assert reading.fault is fault
