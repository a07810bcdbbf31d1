"""An answer of any upstream, told to a streaming client of Messages."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.anthropic.blocks import MAX_CALL_BYTES
from exo_supervisor.wire.anthropic.stream_writer import StreamWriter
from exo_supervisor.wire.chat.continuation import Splice, Transcript
from tests.wire.anthropic.client import events, stream_writer, whole
from tests.wire.reading import Counting, read_into

Json = dict[str, Any]
DONE = b"data: [DONE]\n\n"


def chunk(delta: Json, finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return (
        b"data: " + json.dumps({"model": "theirs", "choices": [choice]} | more).encode() + b"\n\n"
    )


def text(words: str, finish: str | None = None) -> bytes:
    return chunk({"content": words}, finish)


def call(index: int | None, arguments: str | None = None, **more: object) -> Json:
    function = {k: v for k, v in (("name", more.pop("name", None)), ("arguments", arguments)) if v}
    return {**({} if index is None else {"index": index}), **more, "function": function}


def calls(*told: Json, finish: str | None = None) -> bytes:
    return chunk({"tool_calls": list(told)}, finish)


def read(*told: bytes, writer: StreamWriter | None = None) -> tuple[Counting, bytes]:
    reading = read_into(writer or stream_writer())
    written = b"".join(reading.feed(each) for each in told)
    return reading, written + reading.close()


def message(*told: bytes) -> Json:
    reading, written = read(*told)
    assert reading.fault is None, reading.message
    return whole(written)


def blocks(*told: bytes) -> list[Json]:
    return message(*told)["content"]


def test_what_nobody_has_counted_yet_is_told_as_nothing() -> None:
    _, written = read(text("a", "stop"), DONE)
    begun = json.loads(written.partition(b"data: ")[2].partition(b"\n")[0])
    assert begun["type"] == "message_start"
    counts = begun["message"]["usage"]
    assert (counts["input_tokens"], counts["output_tokens"]) == (0, 0)


def test_a_text_comes_as_it_is_written() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    told = message(text("Hel"), text("lo"), chunk({}, "stop"), chunk({}, usage=usage), DONE)
    assert told == {
        "id": "msg_r1",
        "type": "message",
        "role": "assistant",
        "model": "theirs",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 9,
            "output_tokens": 2,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        },
    } | {key: told[key] for key in ("container", "stop_details") if key in told}


def test_nothing_is_written_before_there_is_content() -> None:
    """Else a failed attempt would have cost the client something."""
    reading = read_into(stream_writer())
    assert reading.feed(chunk({"role": "assistant", "content": ""})) == b""
    assert reading.feed(chunk({}, logprobs={"content": []})) == b""
    assert reading.feed(text("a")).startswith(b"event: message_start\n")


@pytest.mark.parametrize(("prompt", "fresh"), [(100, 10), (90, 0), (60, 0)])
def test_tokens_from_a_cache_are_counted_once(prompt: int, fresh: int) -> None:
    """Row 13: OpenAI's prompt includes them, Anthropic's input does not."""
    usage = {
        "prompt_tokens": prompt, "completion_tokens": 2, "total_tokens": 102,
        "prompt_tokens_details": {"cached_tokens": 70, "cache_write_tokens": 20},
    }  # fmt: skip
    told = message(text("a", "stop"), chunk({}, usage=usage), DONE)["usage"]
    assert (told["input_tokens"], told["output_tokens"]) == (fresh, 2)
    assert (told["cache_read_input_tokens"], told["cache_creation_input_tokens"]) == (70, 20)


def test_an_upstream_that_counts_nothing_gets_its_pieces_counted() -> None:
    assert message(text("a"), text("b", "stop"), DONE)["usage"]["output_tokens"] == 2


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("content_filter", "refusal"),
        ("tool_calls", "end_turn"),
        ("eos", "end_turn"),
    ],
)
def test_each_end_has_its_word(finish: str, reason: str) -> None:
    assert message(text("a", finish), DONE)["stop_reason"] == reason


def test_arguments_of_a_call_are_streamed() -> None:
    """Row 5: they were sent at the end, or dropped."""
    _, written = read(
        calls(call(0, "", id="c1", name="f", type="function")),
        calls(call(0, '{"a"')),
        calls(call(0, ': "\u00e9"}')),
        chunk({}, "tool_calls"),
        DONE,
    )
    deltas = [e["delta"] for e in events(written) if e["type"] == "content_block_delta"]
    assert [delta["partial_json"] for delta in deltas] == ['{"a"', ': "\u00e9"}']
    told = whole(written)
    assert told["content"] == [
        {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": "\u00e9"}}
    ]
    assert told["stop_reason"] == "tool_use"


def test_an_empty_list_of_calls_is_no_call() -> None:
    """Row 6: the text vanished."""
    told = message(chunk({"content": "a", "tool_calls": []}), text("b", "stop"), DONE)
    assert told["content"] == [{"type": "text", "text": "ab"}]
    assert told["stop_reason"] == "end_turn"


def test_a_call_alone_has_no_empty_text_before_it_and_ends_with_tool_use() -> None:
    """Row 7, whatever the upstream calls its end."""
    told = message(
        chunk({"role": "assistant", "content": ""}),
        calls(call(0, "{}", id="c1", name="f")),
        chunk({"content": ""}, "stop"),
        DONE,
    )
    assert [block["type"] for block in told["content"]] == ["tool_use"]
    assert told["stop_reason"] == "tool_use"


def test_a_first_chunk_that_is_a_call_comes_after_the_message_has_begun() -> None:
    """Row 8."""
    _, written = read(calls(call(0, "{}", id="c1", name="f"), finish="tool_calls"), DONE)
    kinds = [event["type"] for event in events(written)]
    assert kinds[:2] == ["message_start", "content_block_start"]


def test_a_block_is_closed_before_the_next_one_begins() -> None:
    """Row 9: `whole` checks that none overlap and no index is used twice."""
    told = blocks(
        chunk({"reasoning_content": "hm"}),
        text("a"),
        calls(call(0, "{}", id="c1", name="f")),
        text("b"),
        chunk({"reasoning": "again"}, "stop"),
        DONE,
    )
    kinds = ["thinking", "text", "tool_use", "text", "thinking"]
    assert [block["type"] for block in told] == kinds
    assert told[0] == {"type": "thinking", "thinking": "hm", "signature": ""}


def test_thought_and_content_in_one_chunk_are_two_blocks() -> None:
    """Row 10."""
    both = {"reasoning_content": "hm", "content": "a", "tool_calls": [call(0, "{}", name="f")]}
    told = blocks(chunk(both, "tool_calls"), DONE)
    assert [block["type"] for block in told] == ["thinking", "text", "tool_use"]
    assert told[2]["id"] == "toolu_r1_1"


def test_calls_that_come_interleaved_are_kept_apart_and_in_order() -> None:
    """Row 19: pieces of two calls at once; blocks never overlap."""
    told = blocks(
        calls(call(0, '{"a', id="c0", name="f"), call(1, '{"b', id="c1", name="g")),
        calls(call(1, '":1}'), call(0, '":0}')),
        calls(call(2, "{}", id="c2", name="h")),
        chunk({}, "tool_calls"),
        DONE,
    )
    assert [(b["id"], b["input"]) for b in told] == [("c0", {"a": 0}), ("c1", {"b": 1}), ("c2", {})]


def test_a_call_is_streamed_while_the_one_before_is_whole() -> None:
    reading = read_into(stream_writer())
    reading.feed(calls(call(0, "{}", id="c0", name="f")))
    begun = events(reading.feed(calls(call(1, '{"b"', id="c1", name="g"))))
    assert [event["type"] for event in begun] == [
        "content_block_stop", "content_block_start", "content_block_delta",
    ]  # fmt: skip


def test_a_call_that_goes_on_after_it_was_closed_is_no_answer() -> None:
    reading, written = read(
        calls(call(0, '{"a": 1}', id="c0", name="f")),
        text("b"),
        calls(call(0, " ", id="c0")),
        DONE,
    )
    assert reading.fault is Fault.MALFORMED
    assert b"message_stop" not in written


def test_a_closed_call_that_is_named_again_adds_nothing() -> None:
    told = blocks(
        calls(call(0, "{}", id="c0", name="f")), text("b"), calls(call(0, "", id="c0")),
        text("", "stop"), DONE,
    )  # fmt: skip
    assert [block["type"] for block in told] == ["tool_use", "text"]


def test_a_name_that_comes_late_is_waited_for() -> None:
    told = blocks(
        calls(call(0, '{"a"', id="c0")), calls(call(0, ":1}", name="f")), chunk({}, "stop"), DONE
    )
    assert told == [{"type": "tool_use", "id": "c0", "name": "f", "input": {"a": 1}}]


def test_a_call_without_a_name_is_no_answer() -> None:
    reading, written = read(calls(call(0, "{}", id="c0")), chunk({}, "tool_calls"), DONE)
    assert reading.fault is Fault.MALFORMED
    assert b"message_stop" not in written


def test_a_nameless_call_after_the_end_is_no_answer() -> None:
    reading, written = read(text("a", "stop"), calls(call(0, "{}", id="c0")), DONE)
    assert reading.fault is Fault.MALFORMED
    assert b"message_stop" not in written


def test_arguments_that_come_as_an_object_become_text() -> None:
    function = {"name": "f", "arguments": {"a": 1}}
    told = blocks(calls({"index": 0, "id": "c", "function": function}, finish="tool_calls"), DONE)
    assert told[0]["input"] == {"a": 1}


def test_the_old_form_of_a_call_is_one_too() -> None:
    old = {"function_call": {"name": "f", "arguments": "{}"}}
    assert blocks(chunk(old, "function_call"), DONE)[0]["name"] == "f"


def test_calls_that_are_too_large_are_no_answer() -> None:
    part = "x" * (MAX_CALL_BYTES // 4)
    reading, _ = read(*[calls(call(0, part, id="c0", name="f")) for _ in range(5)])
    assert reading.fault is Fault.OVERSIZED
    assert reading.held > MAX_CALL_BYTES


def test_a_refusal_is_told_as_one() -> None:
    """Row 26."""
    told = message(chunk({"refusal": "I will not"}, "stop"), DONE)
    assert (told["stop_reason"], told["content"][0]["text"]) == ("refusal", "I will not")


def test_content_in_parts_is_told() -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}, 3]}
    told = blocks(chunk({"content": [thought, {"type": "text", "text": "a"}]}, "stop"), DONE)
    assert told == [
        {"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "a"},
    ]  # fmt: skip


def test_a_second_choice_is_no_part_of_this_answer() -> None:
    choice = {"index": 1, "delta": {"content": "a"}, "finish_reason": "stop"}
    reading, _ = read(text("a"), b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n")
    assert reading.fault is Fault.MALFORMED


@pytest.mark.parametrize("cut", range(1, 4))
def test_a_truncated_answer_never_ends_in_message_stop(cut: int) -> None:
    """Row 14."""
    told = [text("a"), text("b"), text("c", "stop"), DONE][:cut]
    reading, written = read(*told)
    assert (b"message_stop" in written) == (cut == 3)  # a clean end after the finish is whole
    assert (reading.fault is None) == (cut == 3)


def test_an_error_in_the_stream_is_no_end_of_a_message() -> None:
    """Row 24."""
    reading, written = read(text("a"), b'data: {"error":{"message":"no"}}\n\n', DONE)
    assert reading.fault is Fault.ERROR_EVENT
    assert b"message_delta" not in written


def test_an_answer_of_length_without_a_word_is_whole_and_empty() -> None:
    told = message(chunk({}, "length"), DONE)
    assert (told["content"], told["stop_reason"]) == ([], "max_tokens")


def test_plain_texts_take_the_short_way_and_say_the_same() -> None:
    words = ["a", "b\\n", 'c"', "\u00e9", "d"]
    told = [text(word) for word in words]
    reading, written = read(*told, text("", "stop"), DONE)
    assert whole(written)["content"][0]["text"] == "".join(words)
    assert reading.short > 0
    reading, mixed = read(*told, calls(call(0, "{}", name="f")), *told, text("", "stop"), DONE)
    assert [b["type"] for b in whole(mixed)["content"]] == ["text", "tool_use", "text"]


def test_a_continuation_goes_on_with_the_text_that_the_client_has() -> None:
    first = stream_writer(transcript=Transcript())
    reading = read_into(first)
    begun = reading.feed(text("Once upon")) + reading.feed(text(" a"))
    assert first.transcript is not None
    assert first.transcript.text() == "Once upon a"
    second = stream_writer(joined=True, mark=b',"supervisor":{"continued":[]}')
    rest = read_into(second, seam=Splice("Once upon a"))
    written = rest.feed(text(" time", "stop")) + rest.close()
    told = whole(begun + written)
    assert told["content"] == [{"type": "text", "text": "Once upon a time"}]
    assert events(written)[-2]["supervisor"] == {"continued": []}


PARTS = st.one_of(
    st.text(min_size=1, max_size=4).map(lambda t: {"content": t}),
    st.text(min_size=1, max_size=4).map(lambda t: {"reasoning_content": t}),
    st.tuples(st.integers(0, 2), st.sampled_from(['{"a"', ":1}", "{}", ""])).map(
        lambda c: {"tool_calls": [call(c[0], c[1], id=f"c{c[0]}", name=f"f{c[0]}")]}
    ),
)


@given(st.lists(PARTS, min_size=1, max_size=12), st.data())
def test_whatever_comes_keeps_the_grammar_wherever_it_is_split(
    parts: list[Json], data: st.DataObject
) -> None:
    stream = b"".join(chunk(part) for part in parts) + chunk({}, "stop") + DONE
    at = data.draw(st.integers(0, len(stream)))
    reading, written = read(stream)
    split, again = read(stream[:at], stream[at:])
    assert (split.fault, again) == (reading.fault, written)
    if reading.fault is None:
        whole_text = "".join(
            e["delta"].get("text", "")
            for e in events(written)
            if e["type"] == "content_block_delta"
        )
        assert whole_text == "".join(part.get("content", "") for part in parts)
