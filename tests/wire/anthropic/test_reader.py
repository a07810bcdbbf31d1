"""One answer of an upstream that speaks Messages, told to clients of every dialect."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.anthropic.body_reader import BodyReader
from exo_supervisor.wire.anthropic.reader import EventReader
from exo_supervisor.wire.chat.continuation import Splice
from exo_supervisor.wire.chat.held_back import MAX_HELD_BYTES
from exo_supervisor.wire.chat.piece import Usage, Writer
from exo_supervisor.wire.chat.stream_reader import MAX_MALFORMED
from exo_supervisor.wire.chat.whole_body import MAX_BODY_BYTES
from exo_supervisor.wire.openai.answer_writer import AnswerWriter as OpenAIAnswer
from exo_supervisor.wire.openai.stream_writer import StreamWriter as OpenAIStream
from tests.wire.anthropic.client import answer_writer, events, judged, stream_writer, whole
from tests.wire.sdk import judge_answer, judge_chunk

Json = dict[str, Any]


def sent(kind: str, **more: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()


def started(**usage: object) -> bytes:
    message: Json = {
        "id": "msg_theirs", "type": "message", "role": "assistant", "model": "claude-x",
        "content": [], "stop_reason": None, "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 1, **usage}, "their_own": 1,
    }  # fmt: skip
    return sent("message_start", message=message)


def block(index: int, start: Json, *deltas: Json) -> bytes:
    return b"".join(
        [
            sent("content_block_start", index=index, content_block=start),
            *(sent("content_block_delta", index=index, delta=delta) for delta in deltas),
            sent("content_block_stop", index=index),
        ]
    )


def said(*words: str, index: int = 0) -> bytes:
    deltas = [{"type": "text_delta", "text": word} for word in words]
    return block(index, {"type": "text", "text": ""}, *deltas)


def ended(reason: str | None = "end_turn", output: int = 5, **usage: object) -> bytes:
    delta = {"stop_reason": reason, "stop_sequence": None}
    told = sent("message_delta", delta=delta, usage={"output_tokens": output, **usage})
    return told + STOP


STOP = sent("message_stop")
THOUGHT = block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "hm"},
    {"type": "signature_delta", "signature": "sig"},
)
USE: Json = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
ARGUMENTS = [
    {"type": "input_json_delta", "partial_json": part} for part in ("", '{"z":1', ',"a":2}')
]
SEARCH = block(1, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
               {"type": "input_json_delta", "partial_json": "{}"})  # fmt: skip
FOUND = block(2, {"type": "web_search_tool_result", "tool_use_id": "s", "content": []})
CITATION = {
    "type": "web_search_result_location", "cited_text": "c", "encrypted_index": "e",
    "title": None, "url": "u",
}  # fmt: skip
CITED = block(
    3,
    {"type": "text", "text": "", "citations": None},
    {"type": "text_delta", "text": "It is so"},
    {"type": "citations_delta", "citation": CITATION},
)
RICH = started() + THOUGHT + SEARCH + FOUND + CITED + block(4, USE, *ARGUMENTS) + ended("tool_use")


def openai_stream() -> OpenAIStream:
    return OpenAIStream(id="ours", created=7, model="m", include_usage=True)


def openai_answer() -> OpenAIAnswer:
    return OpenAIAnswer(id="ours", created=7, model="m")


def read(*told: bytes, writer: Writer | None = None) -> tuple[EventReader, bytes]:
    reading = EventReader(writer=writer or openai_stream())
    written = b"".join(reading.feed(each) for each in told)
    return reading, written + reading.close()


def chunks(*told: bytes) -> list[Json]:
    reading, written = read(*told)
    assert reading.fault is None, reading.message
    found = [json.loads(each[6:]) for each in written.split(b"\n\n")[:-2]]
    for each in found:
        judge_chunk(each)
    assert written.endswith(b"data: [DONE]\n\n")
    return found


def deltas(*told: bytes) -> list[Json]:
    return [choice["delta"] for chunk in chunks(*told) for choice in chunk["choices"]]


# ------------------------------------------------------------------ to a client of OpenAI's dialect


def test_a_text_is_told_as_it_comes() -> None:
    assert deltas(started() + said("Hel", "lo") + ended()) == [
        {"role": "assistant", "content": "Hel"}, {"content": "lo"}, {},
    ]  # fmt: skip


def test_a_read_is_never_taken_as_mere_texts() -> None:
    reading, _ = read(started())
    assert reading.take_texts(said("Hel"), b"", len(said("Hel"))) is None


def test_thoughts_calls_and_text_are_told_and_nothing_of_a_server_s_tools() -> None:
    found = deltas(RICH)
    assert found[0] == {"role": "assistant", "reasoning_content": "hm"}
    assert found[1] == {"content": "It is so"}
    function = {"name": "f", "arguments": ""}
    call = {"index": 0, "id": "toolu_1", "type": "function", "function": function}
    assert found[2] == {"tool_calls": [call]}
    pieces = [delta["tool_calls"][0] for delta in found[3:5]]
    assert pieces == [
        {"index": 0, "function": {"arguments": '{"z":1'}},
        {"index": 0, "function": {"arguments": ',"a":2}'}},
    ]
    assert found[5:] == [{}]


def test_a_call_whose_input_comes_at_once_is_told() -> None:
    found = deltas(started() + block(0, USE | {"input": {"a": 1}}) + ended("tool_use"))
    assert found[0]["tool_calls"][0]["function"]["arguments"] == '{"a": 1}'


def test_text_in_the_start_of_a_block_is_told() -> None:
    assert (
        deltas(started() + block(0, {"type": "text", "text": "a"}) + ended())[0]["content"] == "a"
    )


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("refusal", "content_filter"),
        ("whatever_comes_next", "stop"),
    ],
)
def test_each_reason_to_stop_has_its_word(reason: str, finish: str) -> None:
    """Rows 18 and 26: a turn that pauses is not over, and a refusal is one."""
    found = chunks(started() + said("a") + ended(reason))
    assert found[-2]["choices"][0]["finish_reason"] == finish


def test_usage_counts_the_cache_once_and_keeps_what_was_told_first() -> None:
    """Row 13."""
    kept = {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2}
    begun = started(cache_read_input_tokens=70, cache_creation_input_tokens=3, cache_creation=kept)
    reading, written = read(begun + said("a") + ended(output=5))
    assert reading.usage == Usage(83, 5, 88, 70, 3, 2)
    told = json.loads(written.split(b"\n\n")[-3][6:])["usage"]
    assert told["prompt_tokens_details"]["cached_tokens"] == 70
    assert (told["prompt_tokens"], told["total_tokens"]) == (83, 88)


def test_the_tokens_of_thoughts_are_a_part_of_the_answers() -> None:
    thoughts = {"thinking_tokens": 3}
    _, written = read(started() + said("a") + ended(output=5, output_tokens_details=thoughts))
    told = json.loads(written.split(b"\n\n")[-3][6:])["usage"]
    assert told["completion_tokens_details"] == {"reasoning_tokens": 3}


def test_a_usage_that_is_none_is_passed_over() -> None:
    reading, _ = read(started(input_tokens="x", output_tokens=-1) + said("a") + ended())
    assert reading.usage == Usage(0, 5, 5)
    bare = sent("message_start", message={})
    delta = sent("message_delta", delta={"stop_reason": "end_turn"})
    reading, _ = read(bare + said("a") + delta + STOP)
    assert (reading.fault, reading.usage) == (None, None)


def test_the_whole_answer_is_gathered_for_a_client_that_did_not_stream() -> None:
    reading, nothing = read(RICH, writer=openai_answer())
    assert (reading.fault, nothing) == (None, b"")
    told = json.loads(b"".join(reading.result()))
    judge_answer(told)
    message = told["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["arguments"] == '{"z":1,"a":2}'
    assert (message["content"], message["reasoning_content"]) == ("It is so", "hm")
    assert told["model"] == "claude-x"


# ------------------------------------------------------------------ to a client of Messages


def test_every_event_comes_as_it_came_but_for_the_names() -> None:
    reading, written = read(RICH, writer=stream_writer())
    assert reading.fault is None
    theirs, ours = events(RICH), events(written)
    assert ours[0]["message"].pop("id") == "msg_r1"
    assert theirs[0]["message"].pop("id") == "msg_theirs"
    assert ours == theirs
    assert [b["type"] for b in whole(written)["content"]] == [
        "thinking", "server_tool_use", "web_search_tool_result", "text", "tool_use",
    ]  # fmt: skip


def test_numbers_and_unknown_members_are_copied_as_they_were_written() -> None:
    odd = b'event: content_block_delta\ndata: {"type": "content_block_delta", "index":0, '
    odd += rb'"delta":{"type":"text_delta","text":"\u0061"}, "score": 1.50e1}' + b"\n\n"
    start = sent("content_block_start", index=0, content_block={"type": "text", "text": ""})
    stop = sent("content_block_stop", index=0)
    _, written = read(started() + start + odd + stop + ended(), writer=stream_writer())
    assert odd in written


def test_of_an_event_that_is_only_nearly_json_its_json_is_copied() -> None:
    delta = rb'"delta":{"type":"text_delta","text":"a\ud83d"}'
    odd = (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,%b,"x":%b}\n\n'
    )
    start = sent("content_block_start", index=0, content_block={"type": "text", "text": ""})
    stop = sent("content_block_stop", index=0)
    told = started() + start + odd % (delta, b"[NaN,-Infinity]") + stop + ended()
    _, written = read(told, writer=stream_writer())
    assert odd % (delta, b"[null,null]") in written


def test_a_pause_stays_one_for_a_client_that_can_let_it_go_on() -> None:
    """Row 18: pause_turn was rewritten to end_turn."""
    _, written = read(started() + said("a") + ended("pause_turn"), writer=stream_writer())
    assert whole(written)["stop_reason"] == "pause_turn"


def test_events_that_we_have_never_heard_of_are_passed_on() -> None:
    new = sent("content_note", index=0, note="x")
    _, written = read(started() + said("a") + new + ended(), writer=stream_writer())
    assert new in written
    assert deltas(started() + said("a") + new + ended())[1:] == [{}]


def test_the_last_event_is_copied_too() -> None:
    stop = sent("message_stop", metrics={"ms": 3})
    _, written = read(started() + said("a") + ended()[: -len(STOP)] + stop, writer=stream_writer())
    assert written.endswith(stop)


def test_pings_of_the_upstream_are_not_passed_on() -> None:
    ping = sent("ping")
    _, written = read(started() + ping + said("a") + ping + ended(), writer=stream_writer())
    assert b"ping" not in written


def test_nothing_is_written_before_there_is_content() -> None:
    reading = EventReader(writer=stream_writer())
    start = sent("content_block_start", index=0, content_block={"type": "text", "text": ""})
    assert reading.feed(started() + start) == b""
    delta = sent("content_block_delta", index=0, delta={"type": "text_delta", "text": "a"})
    assert reading.feed(delta).startswith(b"event: message_start\n")


def test_a_server_s_tool_at_work_is_content() -> None:
    reading = EventReader(writer=stream_writer())
    use: Json = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    begun = started() + sent("content_block_start", index=0, content_block=use)
    assert b"server_tool_use" in reading.feed(begun)


def test_too_much_before_the_first_content_is_no_answer() -> None:
    blocks = [block(n, {"type": "text", "text": "", "x": "y" * 99_999}) for n in range(12)]
    reading, written = read(started() + b"".join(blocks), writer=stream_writer())
    assert (reading.fault, written) == (Fault.OVERSIZED, b"")
    assert MAX_HELD_BYTES < 12 * 99_999


def test_the_whole_message_is_gathered_as_it_came() -> None:
    reading, nothing = read(RICH, writer=answer_writer())
    assert (reading.fault, nothing) == (None, b"")
    told = judged(json.loads(b"".join(reading.result())))
    _, written = read(RICH, writer=stream_writer())
    again = whole(written)
    assert told["content"] == again["content"]
    assert told["content"][3]["citations"] == [CITATION]
    assert (told["stop_reason"], told["usage"]["output_tokens"]) == ("tool_use", 5)
    assert told["usage"]["input_tokens"] == 10


def test_deltas_of_kinds_that_we_have_never_heard_of_are_gathered() -> None:
    summary = block(
        0,
        {"type": "compaction", "content": None, "n": 1},
        {"type": "compaction_delta", "content": "so"},
        {"type": "compaction_delta", "content": " far", "n": 2, "new": [1]},
    )
    reading, _ = read(started() + summary + ended(), writer=answer_writer())
    told = json.loads(b"".join(reading.result()))
    assert told["content"] == [{"type": "compaction", "content": "so far", "n": 2, "new": [1]}]


def test_a_call_that_was_cut_by_a_full_context_is_left_out() -> None:
    cut = block(1, USE, {"type": "input_json_delta", "partial_json": '{"a'})
    told = started() + said("a") + cut + ended("model_context_window_exceeded")
    reading, _ = read(told, writer=answer_writer())
    assert [b["type"] for b in json.loads(b"".join(reading.result()))["content"]] == ["text"]
    reading, _ = read(started() + said("a") + cut + ended("tool_use"), writer=answer_writer())
    assert reading.fault is Fault.UNFINISHED


def test_a_continuation_by_such_an_upstream_goes_on_with_the_text_that_the_client_has() -> None:
    begun = started() + OPEN + WORD
    _, before = read_on(begun, stream_writer())
    joined = stream_writer(joined=True)
    reading = EventReader(writer=joined, seam=Splice("a"))
    after = reading.feed(started() + said(" b", "c") + ended()) + reading.close()
    assert reading.fault is None
    assert whole(before + after)["content"] == [{"type": "text", "text": "a bc"}]


def read_on(told: bytes, writer: Writer) -> tuple[EventReader, bytes]:
    """Read a part of a stream, whose upstream then dies."""
    reading = EventReader(writer=writer)
    return reading, reading.feed(told)


# ------------------------------------------------------------------ faults

TEXT = {"type": "text", "text": ""}
OPEN = sent("content_block_start", index=0, content_block=TEXT)
WORD = sent("content_block_delta", index=0, delta={"type": "text_delta", "text": "a"})
CLOSE = sent("content_block_stop", index=0)
GRAMMAR = {
    "two_starts": started() + OPEN + WORD + started(),
    "overlapping_blocks": started() + OPEN + WORD + OPEN.replace(b'"index": 0', b'"index": 1'),
    "a_reused_index": started() + OPEN + WORD + CLOSE + OPEN,
    "a_skipped_index": started() + OPEN.replace(b'"index": 0', b'"index": 1'),
    "no_index": started() + OPEN.replace(b'"index": 0, ', b""),
    "a_block_before_the_message": OPEN,
    "a_delta_for_no_block": started() + OPEN + WORD + CLOSE + WORD,
    "a_delta_for_another_block": started() + OPEN + WORD.replace(b'"index": 0', b'"index": 7'),
    "a_stop_of_no_block": started() + OPEN + WORD + CLOSE + CLOSE,
    "an_end_with_a_block_open": started() + OPEN + WORD + ended(),
    "an_end_before_the_message": ended(),
    "a_stop_without_a_reason": started() + said("a") + STOP,
    "a_reason_that_is_null": started() + said("a") + ended(None),
    "a_block_after_the_end": started() + said("a") + ended()[: -len(STOP)] + said("b", index=1),
}


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("name", GRAMMAR)
def test_an_upstream_that_breaks_the_grammar_has_lost_a_piece(name: str, *, native: bool) -> None:
    """Rows 8, 9 and 14, at the upstream: a failure like any other, never a whole answer."""
    reading, written = read(GRAMMAR[name], writer=stream_writer() if native else None)
    assert reading.fault is Fault.MALFORMED
    assert b"message_stop" not in written
    assert b"[DONE]" not in written


@pytest.mark.parametrize("native", [True, False])
def test_an_answer_that_breaks_off_is_never_whole(*, native: bool) -> None:
    """Row 14, at every byte: message_stop and [DONE] stand behind whole answers only."""
    told_why = RICH.index(b"event: message_stop") - 2
    for at in range(0, len(RICH), 7):
        reading, written = read(RICH[:at], writer=stream_writer() if native else None)
        has_end = b"message_stop" in written or b"[DONE]" in written
        assert (reading.fault is None) == has_end, at
        assert not has_end or at >= told_why, at


def test_an_end_without_message_stop_but_with_its_reason_is_whole() -> None:
    told = started() + said("a") + ended()[: -len(STOP)]
    for last in (b"", b"data: [DONE]\n\n"):
        reading, written = read(told + last, writer=stream_writer())
        assert reading.fault is None
        assert whole(written)["stop_reason"] == "end_turn"


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("overloaded_error", Fault.BUSY),
        ("rate_limit_error", Fault.BUSY),
        ("api_error", Fault.ERROR_EVENT),
        ("timeout_error", Fault.ERROR_EVENT),
        ("authentication_error", Fault.BAD_KEY),
        ("billing_error", Fault.BAD_KEY),
        ("not_found_error", Fault.NOT_PLACED),
        ("invalid_request_error", Fault.REJECTED),
    ],
)
def test_an_error_event_is_judged_by_its_type(kind: str, fault: Fault) -> None:
    """Row 24."""
    words = "model: claude-x" if kind == "not_found_error" else "no"
    error = sent("error", error={"type": kind, "message": words})
    reading, written = read(started() + error)
    assert (reading.fault, written) == (fault, b"")
    reading, written = read(started() + said("a") + error, writer=stream_writer())
    assert reading.fault is Fault.ERROR_EVENT
    assert b"event: error" not in written  # it is the front that ends the stream, in its own words


def test_an_error_event_that_cannot_be_read_is_one_too() -> None:
    reading, _ = read(started() + b"event: error\ndata: {\n\n")
    assert reading.fault is Fault.ERROR_EVENT


@pytest.mark.parametrize(
    "lost",
    [
        b"event: content_block_delta\ndata: {\n\n",
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_d\n\n',
        b'data: {"type":"message_delta"\n\n',
        b'event: content_block_delta\ndata: {"type":"content_block_delta","x":"\xff"}\n\n',
        b"event: message_stop\ndata: nonsense\n\n",
    ],
)
def test_a_malformed_delta_or_end_is_a_lost_piece(lost: bytes) -> None:
    reading, _ = read(started() + OPEN + WORD + lost)
    assert reading.fault is Fault.MALFORMED


def test_malformed_events_that_held_nothing_are_counted() -> None:
    nothing = b"data: nonsense\n\ndata: {}\n\ndata: [1]\n\n"
    reading, _ = read(started() + said("a") + nothing + ended())
    assert (reading.fault, reading.malformed) == (None, 3)
    reading, _ = read(started() + b"data: nonsense\n\n" * (MAX_MALFORMED + 1))
    assert reading.fault is Fault.MALFORMED


def test_an_empty_answer_is_a_failure() -> None:
    assert read(started() + ended())[0].fault is Fault.EMPTY
    assert read(b"")[0].fault is Fault.EMPTY
    assert read(started() + ended("max_tokens"))[0].fault is None


def test_an_event_that_is_too_large_to_gather_is_a_failure() -> None:
    reading, _ = read(RICH, writer=OpenAIAnswer(id="x", created=1, most_bytes=200))
    assert reading.fault is Fault.OVERSIZED


def test_a_data_line_in_parts_is_one_event() -> None:
    parted = b'data: {"type":"content_block_delta","index":0,\ndata: "delta":{"type":'
    parted += b'"text_delta","text":"b"}}\n\n'
    _, written = read(started() + OPEN + WORD + parted + CLOSE + ended(), writer=stream_writer())
    assert whole(written)["content"][0]["text"] == "ab"


def test_an_event_without_a_type_has_that_of_its_line() -> None:
    bare = WORD.replace(b'"type": "content_block_delta", ', b"")
    assert deltas(started() + OPEN + bare + CLOSE + ended())[0]["content"] == "a"


# ------------------------------------------------------------------ one JSON object


WHOLE: Json = {
    "id": "msg_theirs", "type": "message", "role": "assistant", "model": "claude-x",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "text", "text": "It is so"},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": 1}},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"z": 1, "a": 2}},
    ],
    "stop_reason": "tool_use", "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 5},
}  # fmt: skip


def read_whole(body: bytes, writer: Writer) -> tuple[BodyReader, bytes]:
    reading = BodyReader(writer=writer)
    assert reading.feed(body[:9]) + reading.feed(body[9:]) == b""
    return reading, reading.close() + b"".join(reading.result())


def test_a_message_that_came_whole_is_told_to_every_client() -> None:
    body = json.dumps(WHOLE).encode()
    _, told = read_whole(body, answer_writer())
    assert json.loads(told) == WHOLE | {"id": "msg_r1"}
    _, written = read_whole(body, stream_writer())
    assert whole(written)["content"] == WHOLE["content"]
    _, told = read_whole(body, openai_answer())
    message = json.loads(told)["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["arguments"] == '{"z": 1, "a": 2}'
    reading, written = read_whole(body, openai_stream())
    assert written.endswith(b"[DONE]\n\n")
    assert reading.held == len(body)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", Fault.EMPTY),
        (b"{", Fault.PAYLOAD),
        (b"[]", Fault.PAYLOAD),
        (b'{"content":[]}', Fault.MALFORMED),
        (b'{"content":["x"],"stop_reason":"end_turn"}', Fault.MALFORMED),
        (b'{"content":[{"type":"text","text":"\xff"}]}', Fault.PAYLOAD),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"no"}}', Fault.BUSY),
        (b'{"content":[' + b"{}," * 100_001 + b"{}]}", Fault.OVERSIZED),
        (b" " * (MAX_BODY_BYTES + 1), Fault.OVERSIZED),
    ],
)
def test_a_body_that_is_no_message_is_a_failure(body: bytes, fault: Fault) -> None:
    reading, told = read_whole(body, stream_writer())
    assert (reading.fault, told) == (fault, b"")


# ------------------------------------------------------------------ wherever it is split


@given(st.integers(0, len(RICH)), st.integers(0, len(RICH)), st.sampled_from([True, False]))
def test_a_stream_says_the_same_wherever_it_is_split(a: int, b: int, native: bool) -> None:  # noqa: FBT001 - hypothesis gives it by position
    first, second = sorted((a, b))
    cut = [RICH[:first], RICH[first:second], RICH[second:]]
    make = stream_writer if native else openai_stream
    assert read(*cut, writer=make())[1] == read(RICH, writer=make())[1]


def test_a_translation_there_and_back_says_the_same() -> None:
    """Messages to OpenAI's dialect, and that back to Messages, through all four of ours."""
    from tests.wire.anthropic.test_stream_writer import message as read_back  # noqa: PLC0415

    told = started() + THOUGHT + said("It", " is so", index=1)
    told += block(2, USE, *ARGUMENTS) + ended("tool_use")
    _, openai = read(told)
    back = read_back(openai)
    _, direct = read(told, writer=stream_writer())
    expected = whole(direct)
    expected["content"][0]["signature"] = ""  # no other dialect has a word for it
    assert back["content"] == expected["content"]
    assert back["stop_reason"] == "tool_use"
    assert (back["usage"]["input_tokens"], back["usage"]["output_tokens"]) == (10, 5)
