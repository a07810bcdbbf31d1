"""One upstream answer, gathered for a client that did not stream."""

import json
import tracemalloc
from typing import cast

import pytest

from exo_supervisor.core.names import Generation
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.gathered import MAX_ANSWER_BYTES
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.openai.reader import ChunkReader
from exo_supervisor.wire.openai.stream_writer import DONE
from tests.wire.reading import body_gathered, body_streamed, read_body
from tests.wire.reading import gathered as read_gathered
from tests.wire.sdk import judge_answer

Json = dict[str, object]
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "details": {"x": 1}}


SMALL = 4 * 1024 * 1024
"""A sixteenth of what an answer may be: its bound is proven with it."""


def aggregate(generation: Generation | None = None) -> ChunkReader:
    return read_gathered(generation)


def small() -> ChunkReader:
    """Gather an answer of a sixteenth of the size."""
    return read_gathered(most_bytes=SMALL)


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


def result(reading: Reader) -> Json:
    found = json.loads(b"".join(reading.result()))
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


@pytest.mark.parametrize(("said", "content"), [("", None), ("I look.", "I look.")])
def test_an_empty_content_beside_calls_is_null(said: str, content: str | None) -> None:
    """As OpenAI has it: some clients take an empty text for an answer."""
    call: Json = {
        "index": 0,
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
    }
    answer = gathered(
        chunk({"role": "assistant", "content": said}),
        chunk({"tool_calls": [call]}),
        chunk({"content": ""}, "tool_calls"),
    )
    assert cast("Json", first(answer)["message"])["content"] == content


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
    reading = small()
    part = chunk({"content": "x" * 250_000})
    for _ in range(16):
        reading.feed(part)
    assert reading.fault is None
    reading.feed(part)
    assert reading.fault is Fault.OVERSIZED


def test_the_bound_is_64_mib() -> None:
    assert MAX_ANSWER_BYTES == 16 * SMALL


def test_logprobs_count_towards_the_bound() -> None:
    reading = small()
    choice = {"index": 0, "delta": {"content": "x"}, "logprobs": {"content": ["x" * 250_000]}}
    part = b"data: %b\n\n" % json.dumps({"choices": [choice]}).encode()
    for _ in range(17):
        reading.feed(part)
    assert reading.fault is Fault.OVERSIZED


@pytest.mark.parametrize(
    "piece",
    [
        b'{"choices":[{"delta":{"content":"x"},"logprobs":{"content":[%b{}]}}]}' % (b"{}," * 5_600),
        b'{"choices":[{"delta":{"tool_calls":[%b{}]}}]}' % (b'{"function":{"name":"f"}},' * 62),
        b'{"choices":[{"delta":{"content":"x"}}],"unknown":[%b0]}' % (b"0," * 87_000),
        b": %b" % (b"x" * 187_000),
    ],
    ids=["logprobs", "calls", "unknown", "malformed"],
)
def test_whatever_an_answer_is_made_of_its_memory_is_bounded(piece: bytes) -> None:
    reading, event, fed = small(), b"data: " + piece + b"\n\n", 0
    tracemalloc.start()
    while reading.fault is None:
        fed += len(event)
        reading.feed(event)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (reading.fault, fed < 5_000_000) == (Fault.OVERSIZED, True)
    assert peak < 25_000_000


def test_what_is_gathered_takes_about_its_bytes() -> None:
    reading = aggregate()
    details = b'data: {"choices":[{"delta":{"reasoning_details":[%b{}]}}]}\n\n' % (b"{}," * 5_600)
    tracemalloc.start()
    for _ in range(26):
        reading.feed(details)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (reading.fault, reading.content) == (None, True)
    assert (held < 625_000, peak < 3_125_000) == (True, True)


def test_names_cost_more_than_their_json() -> None:
    reading = small()
    for part in range(20):
        named = {f"{part}-{name}": 1 for name in range(625)}
        reading.feed(chunk({"content": "x"} | named))
    assert reading.fault is Fault.OVERSIZED


def test_a_member_that_is_no_text_where_one_belongs_is_left_out() -> None:
    reading = aggregate()
    reading.feed(
        chunk({"content": [{"type": "text", "text": "a"}], "tool_calls": None})
        + chunk({"content": "", "reasoning": 5, "annotations": list[str]()}, "stop")
        + DONE
    )
    found = first(json.loads(b"".join(reading.result())))["message"]
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
    reading = body_gathered()
    body = json.dumps(WHOLE, ensure_ascii=False, indent=1).encode()
    assert read_body(body, reading) == b""
    answer = result(reading)
    message = cast("list[Json]", WHOLE["choices"])[0]["message"]
    assert answer["model"] == "m2"
    assert answer["usage"] == USAGE
    assert first(answer)["message"] == {
        name: value for name, value in cast("Json", message).items() if value is not None
    }


def test_a_whole_answer_becomes_a_stream_for_who_wants_one() -> None:
    reading = body_streamed(usage=True)
    told = read_body(json.dumps(WHOLE).encode(), reading)
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
    reading = body_gathered()
    assert read_body(body, reading) == b""
    assert reading.fault is fault


def whole(message: str, rest: str = "") -> bytes:
    return b'{"choices":[{"message":%b,"finish_reason":"stop"%b}]}' % (
        message.encode(), rest.encode(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (whole('{"content":"a"}', ',"index":null'), {"content": "a"}),
        (whole('{"content":"a"}', ',"logprobs":{"content":[{"token":"a","logprob":-Infinity,'
               '"top_logprobs":[]}]}'), {"content": "a"}),
        (whole('{"content":"a\\ud83d"}'), {"content": "a\ud83d"}),
        (whole('{"tool_calls":[{"id":"c","function":{"name":"f","arguments":"\\ud83d"}}]}'),
         {"content": None, "tool_calls": [{"type": "function", "id": "c", "function":
          {"name": "f", "arguments": "\ud83d"}}]}),
    ],
    ids=["no_index", "infinite", "half_an_emoji", "half_in_a_call"],
)  # fmt: skip
def test_a_whole_answer_that_is_nearly_right_is_read_as_it_was_meant(
    body: bytes, message: Json
) -> None:
    reading = body_gathered()
    read_body(body, reading)
    assert reading.fault is None
    assert first(result(reading))["message"] == {"role": "assistant"} | message


def test_a_piece_of_content_of_a_wrong_kind_is_a_failure() -> None:
    for odd in ({"text": "b"}, 5, True):
        reading = aggregate()
        reading.feed(chunk({"content": "a"}) + chunk({"content": odd}) + chunk({}, "stop") + DONE)
        assert reading.fault is Fault.MALFORMED


def call(index: int | None = None, key: str = "", name: str = "", arguments: object = None) -> Json:
    """One piece of a call, with only what it tells."""
    function: Json = {"name": name} if name else {}
    function |= {} if arguments is None else {"arguments": arguments}
    piece: Json = {} if index is None else {"index": index}
    piece |= {"id": key, "type": "function"} if key else {}
    return piece | {"function": function}


def joined(*pieces: Json) -> list[tuple[str, object, object]]:
    reading = aggregate()
    reading.feed(b"".join(chunk({"tool_calls": [one]}) for one in pieces))
    reading.feed(chunk({}, "tool_calls") + DONE)
    assert reading.fault is None
    answer = json.loads(b"".join(reading.result()))
    message = cast("dict[str, list[dict[str, Json]]]", first(answer)["message"])
    return [
        (str(one.get("id", "")), one["function"].get("name"), one["function"].get("arguments"))
        for one in message["tool_calls"]
    ]


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        (
            (call(0, "a", "f", ""), call(0, "", "", "{}"), call(0, "b", "g", "{"), call(0, "b"),
             call(0, "", "", "}")),
            [("a", "f", "{}"), ("b", "g", "{}")],
        ),
        (
            (call(None, "a", "f", "{"), call(None, "", "", '"x"'), call(None, "", "", ":1}")),
            [("a", "f", '{"x":1}')],
        ),
        (
            (call(None, "a", "f", "{"), call(None, "b", "g", "{"), call(None, "a", "", "}"),
             call(None, "b", "", "}")),
            [("a", "f", "{}"), ("b", "g", "{}")],
        ),
        (
            (call(None, "", "f", "{}"), call(None, "", "g", "{}")),
            [("", "f", "{}"), ("", "g", "{}")],
        ),
        ((call(0, "", "f", "{"), call(0, "a", "", "}")), [("a", "f", "{}")]),
        ((call(0, "a", "f", "{"), call(0, "a", "f", "}")), [("a", "f", "{}")]),
        ((call(1, "b", "g", "{}"), call(0, "a", "f", "{}")), [("a", "f", "{}"), ("b", "g", "{}")]),
        ((call(0, "a", "f", {"x": 1}), call(0, "", "", "")), [("a", "f", '{"x": 1}')]),
        ((call(0, "a", "f", None), call(0, "", "", [1])), [("a", "f", "[1]")]),
        ((call(0, "a", "f", "{}"), call(1, "a", "g", "{"), call(1, "a", "", "}")),
         [("a", "f", "{}"), ("a", "g", "{}")]),
        ((call(0, "a", "f", "{}"), call(1, "a", "f", "{}")), [("a", "f", "{}"), ("a", "f", "{}")]),
        ((call(0, "", "f", '{"x":{}'), call(0, "", "f", '{"}')), [("", "f", '{"x":{}{"}')]),
        ((call(0, "", "f", '{"x":"\\ud83d"}'), call(0, "", "f", "{")),
         [("", "f", '{"x":"\\ud83d"}{')]),
    ],
    ids=["one_index", "no_index", "by_id", "by_name", "late_id", "twice_named", "in_order",
         "an_object", "a_list", "one_id", "one_id_and_name", "not_whole", "not_readable"],
)  # fmt: skip
def test_pieces_of_calls_find_their_call(
    pieces: tuple[Json, ...], calls: list[tuple[str, str, str]]
) -> None:
    assert joined(*pieces) == calls


@pytest.mark.parametrize(
    "pieces",
    [
        (call(None, "", "", "{}"),),
        (call(0, "a", "f", {"x": 1}), call(0, "", "", "{}")),
        (call(0, "a", "f", "{}"), call(0, "", "", {"x": 1})),
        (call(0, "a", "f", {}), call(0, "", "", {})),
        (call(0, "", "f", "{}"), call(0, "", "g", "{}")),
        (call(0, "", "f", "{}"), call(0, "", "f", "{}")),
        (call(0, "a", "f", "{}"), call(0, "a", "g", "{}")),
        (call(0, "", "", ""), call(0, "", "f", "{}"), call(0, "", "g", "{}")),
    ],
    ids=[
        "nobody_began",
        "value_then_text",
        "text_then_value",
        "two_values",
        "two_names",
        "one_name",
        "one_id",
        "a_late_name",
    ],
)
def test_calls_that_cannot_be_joined_are_a_failure(pieces: tuple[Json, ...]) -> None:
    reading = aggregate()
    for one in pieces:
        reading.feed(chunk({"tool_calls": [one]}))
    assert reading.fault is Fault.MALFORMED


def test_a_custom_tool_and_a_voice_grow_too() -> None:
    answer = gathered(
        chunk({"tool_calls": [{"index": 0, "id": "a", "type": "custom",
                               "custom": {"name": "sh", "input": "l"}}]}),
        chunk({"tool_calls": [{"index": 0, "custom": {"input": "s"}}]}),
        chunk({"audio": {"id": "v", "data": "AA", "transcript": "h"}}),
        chunk({"audio": {"data": "BB", "transcript": "i", "expires_at": 5}}, "stop"),
    )  # fmt: skip
    message = cast("Json", first(answer)["message"])
    assert message["tool_calls"] == [
        {"id": "a", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    ]
    assert message["audio"] == {"id": "v", "data": "AABB", "transcript": "hi", "expires_at": 5}


def test_content_that_is_a_list_and_then_a_text_loses_neither() -> None:
    """As Mistral's models think first, and then speak."""
    thought: Json = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    reading = aggregate()
    for content in ([thought], [thought], "c", "d", [thought], ""):
        reading.feed(chunk({"content": content}))
    reading.feed(chunk({}, "stop") + DONE)
    message = cast("Json", first(json.loads(b"".join(reading.result())))["message"])
    assert message["content"] == [thought, thought, {"type": "text", "text": "cd"}, thought]


def test_what_is_nearly_right_is_gathered_as_it_was_meant() -> None:
    reading = aggregate()
    for delta in (b'{"content":"\\ud83d"}', b'{"content":"\\ude00 \t"}',
                  b'{"tool_calls":[{"index":null,"id":"a","function":{"arguments":"\\ud83d"}}]}',
                  b'{"odd":NaN}'):  # fmt: skip
        reading.feed(b'data: {"choices":[{"index":null,"delta":%b}]}\n\n' % delta)
    reading.feed(chunk({}, "stop") + DONE)
    found = json.loads(b"".join(reading.result()))
    message = found["choices"][0]["message"]
    assert (message["content"], reading.malformed) == ("\U0001f600 \t", 0)
    assert message["tool_calls"][0]["function"]["arguments"] == "\ud83d"


def test_members_beside_the_choices_are_gathered() -> None:
    answer = gathered(
        event({"choices": [], "prompt_filter_results": [1]}),
        event({"choices": [{"delta": {"content": "a"}}], "citations": ["x"]}),
        event({"choices": [{"finish_reason": "stop"}], "citations": ["x", "y"]}),
    )
    assert (answer["citations"], answer["prompt_filter_results"]) == (["x", "y"], [1])


def test_pieces_that_came_one_by_one_are_not_copied_into_one() -> None:
    reading = aggregate()
    for _ in range(3):
        reading.feed(chunk({"content": "x" * 62_500}))
    reading.feed(chunk({}, "stop") + DONE)
    assert max(map(len, reading.result())) == 62_500
