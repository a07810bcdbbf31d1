"""An answer of any upstream, told to a client of the Responses API."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.continuation import Splice, Transcript
from exo_supervisor.wire.dialect import Told
from exo_supervisor.wire.openai.reader import ChunkReader
from exo_supervisor.wire.responses import output
from exo_supervisor.wire.responses.framing import FRAMING
from exo_supervisor.wire.responses.writer import ResponseWriter, write_stream
from tests.wire.reading import read_into
from tests.wire.requests import a_reply
from tests.wire.responses.client import (
    answer_writer,
    check_grammar,
    events,
    judged,
    reply_to,
    stream_writer,
    whole,
)

Json = dict[str, Any]
DONE = b"data: [DONE]\n\n"
USAGE: Json = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 70},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
PATCH: Json = {"type": "custom", "name": "apply_patch"}
SPACE: Json = {
    "type": "namespace",
    "name": "agents",
    "description": "of others",
    "tools": [{"type": "function", "name": "close"}],
}


def chunk(delta: Json, finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return (
        b"data: " + json.dumps({"model": "theirs", "choices": [choice]} | more).encode() + b"\n\n"
    )


def text(words: str, finish: str | None = None) -> bytes:
    return chunk({"content": words}, finish)


def call(index: int, arguments: object = None, **more: object) -> Json:
    function = {k: v for k, v in (("name", more.pop("name", None)), ("arguments", arguments)) if v}
    return {"index": index, **more, "function": function}


def calls(*told: Json, finish: str | None = None) -> bytes:
    return chunk({"tool_calls": list(told)}, finish)


def read(*told: bytes, writer: ResponseWriter | None = None) -> tuple[ChunkReader, bytes]:
    reading = read_into(writer or stream_writer())
    written = b"".join(reading.feed(each) for each in told)
    return reading, written + reading.close()


def response(*told: bytes, tools: tuple[Json, ...] = ()) -> Json:
    """Return the response of a stream, which is that of a client that does not stream, too."""
    reading, written = read(*told, writer=stream_writer(*tools))
    assert reading.fault is None, reading.message
    streamed = whole(written)
    gathered, nothing = read(*told, writer=answer_writer(*tools))
    assert nothing == b""
    assert judged(json.loads(b"".join(gathered.result()))) == streamed
    assert reading.result() == []
    return streamed


def items(*told: bytes, tools: tuple[Json, ...] = ()) -> list[Json]:
    return response(*told, tools=tools)["output"]


def message(words: str, **more: object) -> Json:
    part: Json = {"type": "output_text", "text": words, "annotations": [], "logprobs": []}
    return {
        "id": "msg_req-1_0",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [part],
    } | more


def function_call(place: int, name: str, arguments: str, key: str, **more: object) -> Json:
    return {
        "id": f"fc_req-1_{place}",
        "type": "function_call",
        "status": "completed",
        "call_id": key,
        "name": name,
        "arguments": arguments,
    } | more


def test_a_text_comes_as_it_is_written() -> None:
    told = response(text("Hel"), text("lo"), chunk({}, "stop"), chunk({}, usage=USAGE), DONE)
    assert told["output"] == [message("Hello")]
    assert (told["id"], told["model"], told["status"]) == ("resp_req-1", "theirs", "completed")
    assert (told["store"], told["incomplete_details"], told["error"]) == (False, None, None)


def test_the_events_of_a_text_are_in_order() -> None:
    _, written = read(text("Hel"), text("lo"), chunk({}, "stop"), DONE)
    assert [event["type"].removeprefix("response.") for event in events(written)] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_nothing_is_written_before_there_is_content() -> None:
    """Else a failed attempt would have cost the client something."""
    reading = read_into(stream_writer())
    assert reading.feed(chunk({"role": "assistant", "content": ""})) == b""
    assert reading.feed(chunk({}, logprobs={"content": []})) == b""
    assert reading.feed(text("a")).startswith(b"event: response.created\n")


def test_usage_has_every_detail_that_codex_reads() -> None:
    """Rows 13 and 15: reasoning tokens that are missing are a failure to it."""
    assert response(text("a", "stop"), chunk({}, usage=USAGE), DONE)["usage"] == {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 70, "cache_write_tokens": 0},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 120,
    }


def test_no_usage_is_made_up() -> None:
    assert response(text("a", "stop"), DONE)["usage"] is None


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("eos", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
    ],
)
def test_each_end_is_told_truly(finish: str, status: str, reason: str | None) -> None:
    told = response(text("a", finish), DONE)
    details = {"reason": reason} if reason else None
    assert (told["status"], told["incomplete_details"]) == (status, details)
    assert told["output"][0]["status"] == status


def test_an_answer_that_is_cut_before_a_word_has_no_item() -> None:
    assert response(chunk({}, "length"), DONE)["output"] == []


def test_arguments_of_a_call_are_streamed() -> None:
    """Row 5: they were sent at the end, or dropped."""
    told = (
        calls(call(0, "", id="c1", name="f", type="function")),
        calls(call(0, '{"a"')),
        calls(call(0, ': "é"}')),
        chunk({}, "tool_calls"),
        DONE,
    )
    deltas = [e["delta"] for e in events(read(*told)[1]) if e["type"].endswith("delta")]
    assert deltas == ['{"a"', ': "é"}']
    assert items(*told) == [function_call(0, "f", '{"a": "é"}', "c1")]


def test_an_empty_list_of_calls_is_no_call_and_a_call_alone_has_no_message() -> None:
    """Rows 6 and 7."""
    told = items(chunk({"content": "a", "tool_calls": []}), text("b", "stop"), DONE)
    assert told == [message("ab")]
    (alone,) = items(calls(call(0, "{}", id="c", name="f"), finish="tool_calls"), DONE)
    assert alone["type"] == "function_call"


def test_calls_that_come_interleaved_are_told_each_as_its_own_in_order() -> None:
    """Row 19: they were merged."""
    told = (
        calls(call(0, '{"a":', id="c1", name="f"), call(1, '{"b"', id="c2", name="g")),
        calls(call(0, "1}")),
        calls(call(1, ":2}")),
        calls(call(2, "{}", id="c3", name="h")),
        chunk({}, "tool_calls"),
        DONE,
    )
    assert items(*told) == [
        function_call(0, "f", '{"a":1}', "c1"),
        function_call(1, "g", '{"b":2}', "c2"),
        function_call(2, "h", "{}", "c3"),
    ]


def test_a_call_is_done_as_soon_as_the_next_begins() -> None:
    """A client may run it meanwhile."""
    _, written = read(
        calls(call(0, "{}", id="c1", name="f")),
        calls(call(1, "{}", id="c2", name="g"), finish="tool_calls"),
        DONE,
    )
    told = [(e["type"].split(".")[-1], e.get("output_index")) for e in events(written)]
    assert told.index(("done", 0)) < told.index(("added", 1))


def test_a_call_whose_name_comes_late_has_its_first_arguments() -> None:
    told = items(
        calls(call(0, '{"a"', id="c1")), calls(call(0, ":1}", name="f"), finish="tool_calls"), DONE
    )
    assert told == [function_call(0, "f", '{"a":1}', "c1")]


def test_a_call_without_arguments_has_an_empty_object_and_one_without_an_id_gets_one() -> None:
    (told,) = items(calls(call(0, name="f"), finish="tool_calls"), DONE)
    assert told == function_call(0, "f", "{}", "call_req-1_0")


def test_calls_with_one_id_get_ids_of_their_own() -> None:
    told = items(
        calls(call(0, "{}", id="c", name="f"), call(1, "{}", id="c", name="f")),
        chunk({}, "tool_calls"),
        DONE,
    )
    assert [item["call_id"] for item in told] == ["c", "call_req-1_1"]


def test_an_old_call_of_a_function_is_a_call() -> None:
    told = items(chunk({"function_call": {"name": "f", "arguments": "{}"}}, "function_call"), DONE)
    assert [(item["name"], item["arguments"]) for item in told] == [("f", "{}")]


def test_a_thought_is_an_item_of_its_own_before_the_words() -> None:
    """Rows 9 and 10: both in one chunk, and the one is done before the next begins."""
    told = items(
        chunk({"reasoning_content": "hm"}),
        chunk({"reasoning_content": "m", "content": "a"}),
        text("b", "stop"),
        DONE,
    )
    assert told == [
        {
            "id": "rs_req-1_0",
            "type": "reasoning",
            "status": "completed",
            "content": [{"type": "reasoning_text", "text": "hmm"}],
            "summary": [],
        },
        message("ab", id="msg_req-1_1"),
    ]


def test_a_refusal_is_a_part_of_the_message() -> None:
    (told,) = items(text("a"), chunk({"refusal": "I "}), chunk({"refusal": "won't"}, "stop"), DONE)
    assert [part["type"] for part in told["content"]] == ["output_text", "refusal"]
    assert told["content"][1] == {"type": "refusal", "refusal": "I won't"}


def test_words_between_calls_stand_between_them() -> None:
    told = items(
        calls(call(0, "{}", id="c1", name="f")),
        text("a"),
        calls(call(1, "{}", id="c2", name="g"), finish="tool_calls"),
        DONE,
    )
    assert [item["type"] for item in told] == ["function_call", "message", "function_call"]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (('{"inp', 'ut": "*** Begin\\n', '+é"}'), "*** Begin\n+é"),
        (("*** ", "Begin"), "*** Begin"),
        (('{"patch": "x"}',), '{"patch": "x"}'),
        (("[1]",), "[1]"),
    ],
)
def test_a_custom_tool_gets_its_text(arguments: tuple[str, ...], wanted: str) -> None:
    """A model that leaves the argument's name out says its text all the same."""
    told = (
        calls(call(0, "", id="c1", name="apply_patch")),
        *(calls(call(0, each)) for each in arguments),
        chunk({}, "tool_calls"),
        DONE,
    )
    assert items(*told, tools=(PATCH,)) == [
        {
            "id": "ctc_req-1_0",
            "type": "custom_tool_call",
            "status": "completed",
            "call_id": "c1",
            "name": "apply_patch",
            "input": wanted,
        }
    ]
    kinds = [event["type"] for event in events(read(*told, writer=stream_writer(PATCH))[1])]
    assert kinds[3:5] == [
        "response.custom_tool_call_input.delta",
        "response.custom_tool_call_input.done",
    ]


def test_a_call_in_a_namespace_has_its_own_name_and_the_space_s() -> None:
    told = items(
        calls(call(0, "{}", id="c", name="agents__close"), finish="stop"), DONE, tools=(SPACE,)
    )
    assert told == [function_call(0, "close", "{}", "c", namespace="agents")]


@pytest.mark.parametrize("tool", [PATCH, {"type": "function", "name": "apply_patch"}])
def test_a_call_that_was_cut_off_is_never_done(tool: Json) -> None:
    """Row 14: it was reported as whole, and a client would run half a call."""
    told = (
        calls(call(0, '{"input": "rm -r', id="c1", name="apply_patch")),
        chunk({}, "length"),
        DONE,
    )
    (item,) = items(*told, tools=(tool,))
    assert item["status"] == "incomplete"
    kinds = [event["type"] for event in events(read(*told, writer=stream_writer(tool))[1])]
    assert "response.output_item.done" not in kinds
    assert kinds[-1] == "response.incomplete"


def test_a_call_that_was_whole_before_the_cut_is_done() -> None:
    (item,) = items(calls(call(0, "{}", id="c", name="f")), chunk({}, "length"), DONE)
    assert item["status"] == "completed"


@pytest.mark.parametrize(
    "told",
    [
        (calls(call(0, "{}", id="c1", name="f")), text("a"), calls(call(0, "x"))),
        (calls(call(0, "{}", id="c1")), chunk({}, "tool_calls"), DONE),
        (
            text("a"),
            b'data: {"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":null}]}\n\n',
        ),
    ],
)
def test_pieces_that_do_not_fit_together_are_a_fault(told: tuple[bytes, ...]) -> None:
    for writer in (stream_writer(), answer_writer()):
        reading, written = read(*told, writer=writer)
        assert reading.fault is Fault.MALFORMED
        assert b"response.completed" not in written


def test_nothing_more_of_a_call_that_is_done_is_no_fault() -> None:
    told = items(
        calls(call(0, "{}", id="c1", name="f")), text("a"), calls(call(0)), chunk({}, "stop"), DONE
    )
    assert len(told) == 2


@pytest.mark.parametrize("broken", [b"", b'data: {"error":{"message":"died"}}\n\n'])
def test_a_stream_that_is_cut_never_ends_in_completed(broken: bytes) -> None:
    """Row 14, and 24: what the client gets instead is `response.failed`, numbered on."""
    reply = reply_to()
    reading, written = read(text("a"), broken, writer=write_stream(reply))
    assert reading.fault is not None
    told = events(written + FRAMING.error_event(Told(502, "attempts_failed", "it broke"), reply))
    assert told[-1]["type"] == "response.failed"
    assert "response.completed" not in {event["type"] for event in told}


def test_keepalives_are_numbered_with_the_events() -> None:
    """Row 15."""
    reply = reply_to()
    before = FRAMING.keepalive(reply)
    reading = read_into(write_stream(reply))
    told = before + reading.feed(text("a"))
    told += FRAMING.keepalive(reply) + reading.feed(text("b", "stop")) + reading.close()
    kinds = [event["type"] for event in events(told)]
    assert kinds.count("response.created") == 1
    assert kinds.count("response.in_progress") == 2


def test_an_answer_goes_on_at_another_target_within_its_item() -> None:
    transcript = Transcript()
    reply = structs.replace(a_reply(), transcript=transcript)
    first = read_into(write_stream(reply)).feed(text("Hel"))
    told = structs.replace(reply, joined=True, mark=b',"supervisor":{"joined":1}')
    reading = read_into(write_stream(told), seam=Splice("Hel"))
    written = first + reading.feed(text("lo")) + reading.feed(chunk({}, "stop")) + reading.close()
    found = events(written)
    check_grammar(found)
    assert found[-1]["response"]["output"] == [message("Hello")]
    assert found[-1]["response"]["supervisor"] == {"joined": 1}


def test_many_texts_in_one_read_are_one_event_each() -> None:
    told = b"".join(map(text, "abcdefgh"))
    assert items(text("<"), told, text(">", "stop"), DONE) == [message("<abcdefgh>")]


def test_texts_go_into_the_part_that_is_open_alone() -> None:
    writer = stream_writer()
    assert writer.output.texts() is None
    reading = read_into(writer)
    reading.feed(text("a"))
    write = writer.output.texts()
    assert write is not None
    assert write([b'"b"']) is not None
    reading.feed(calls(call(0, "{}", id="c", name="f")))
    assert write([b'"c"']) is None


def test_half_a_character_finds_its_other_half() -> None:
    halves = [chunk({"content": "X"}).replace(b"X", half) for half in (b"\\ud83d", b"\\ude00")]
    _, written = read(*halves, text("", "stop"), DONE)
    data = written.split(b"data: ")[-1]
    assert json.loads(data)["response"]["output"] == [message("\N{GRINNING FACE}")]


def test_an_answer_is_held_up_to_a_bound() -> None:
    """The end of a stream tells all of it once more."""
    writer = stream_writer()
    writer.output.held = output.MAX_ANSWER_BYTES - 1200
    reading = read_into(writer)
    reading.feed(text("a"))
    reading.feed(text("b" * 300) * 4)
    assert reading.fault is Fault.OVERSIZED
    assert reading.held > output.MAX_ANSWER_BYTES


@given(st.data())
def test_however_a_stream_is_split_the_client_gets_the_same(data: st.DataObject) -> None:
    told = b"".join(
        [
            chunk({"role": "assistant", "content": ""}),
            chunk({"reasoning_content": "hmm"}),
            text("Hé"),
            text("llo"),
            calls(
                call(0, '{"a"', id="c1", name="f"), call(1, '{"inp', id="c2", name="apply_patch")
            ),
            calls(call(1, 'ut":"\U0001f600"}'), call(0, ":1}")),
            chunk({}, "tool_calls"),
            chunk({}, usage=USAGE),
            DONE,
        ]
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(told)), max_size=6)))
    pieces = [told[a:b] for a, b in zip([0, *cuts], [*cuts, len(told)], strict=True)]
    _, once = read(told, writer=stream_writer(PATCH))
    _, split = read(*pieces, writer=stream_writer(PATCH))
    assert split == once
    assert len(whole(once)["output"]) == 4
