"""One JSON object that comes in pieces is read at its end, and never without a bound."""

import json

import pytest

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.whole_body import MAX_BODY_BYTES
from exo_supervisor.wire.openai.body_reader import BodyReader
from exo_supervisor.wire.openai.stream_writer import DONE
from tests.wire.reading import body_gathered, body_streamed, streamed
from tests.wire.reading import body_streamed as answer
from tests.wire.reading import read_body as told

BODY = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'
PIECE = b" " * (MAX_BODY_BYTES // 4)


def kept(reading: BodyReader) -> bytes:
    return getattr(reading, "_body").join()  # noqa: B009  # what is let go of shows nowhere else


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_pieces_say_nothing_before_the_end(size: int) -> None:
    reading = answer()
    for place in range(0, len(BODY), size):
        assert reading.feed(BODY[place : place + size]) == b""
        assert not reading.content
    shown = reading.close()
    assert shown.endswith(DONE)
    assert b'"hi"' in shown
    assert (reading.fault, reading.done) == (None, True)


def test_an_answer_may_have_all_the_bytes_that_are_allowed() -> None:
    reading = answer()
    for _ in range(3):
        reading.feed(PIECE)
    reading.feed(PIECE[len(BODY) :])
    reading.feed(BODY)
    assert reading.close().endswith(DONE)
    assert reading.fault is None


def test_one_byte_more_is_a_fault_that_stays_and_lets_go_of_what_came() -> None:
    reading = answer()
    reading.feed(BODY)
    for _ in range(4):
        reading.feed(PIECE)
    said = reading.message
    assert (reading.fault, str(MAX_BODY_BYTES) in said) == (Fault.OVERSIZED, True)
    assert kept(reading) == b""
    assert reading.feed(BODY) == b""
    assert kept(reading) == b""
    assert reading.close() == b""
    assert (reading.fault, reading.message, reading.content) == (Fault.OVERSIZED, said, False)


@pytest.mark.parametrize(
    ("error", "fault"),
    [(b"null", None), *((one, Fault.ERROR_EVENT) for one in (b'""', b"false", b"{}", b"[]", b"0"))],
)
def test_an_error_is_one_by_being_there(error: bytes, fault: Fault | None) -> None:
    reading = answer()
    shown = told(b'{"error":' + error + b"," + BODY[1:], reading)
    assert (shown.endswith(DONE), reading.fault) == (fault is None, fault)


DEPTHS = range(900, 1010)


def test_no_depth_of_an_error_makes_it_a_success() -> None:
    for depth in DEPTHS:
        reading = answer()
        error = b'{"message":"boom","x":' + b"[" * depth + b"]" * depth + b"}"
        assert told(b'{"error":' + error + b"}", reading) == b""
        assert reading.fault in {Fault.ERROR_EVENT, Fault.PAYLOAD}


@pytest.mark.parametrize("name", ["usage", "id", "model", "choices", "other"])
def test_no_depth_of_a_member_escapes(name: str) -> None:
    for depth in DEPTHS:
        reading = answer()
        member = b'{"%b":' % name.encode() + b"[" * depth + b"]" * depth
        assert told(member + b"," + BODY[1:], reading).endswith(DONE) == (reading.fault is None)
        assert reading.fault in {None, Fault.PAYLOAD}


def test_what_stands_aside_is_left_out_when_it_is_long() -> None:
    reading = answer()
    shown = told(b'{"id":"%b",' % (b"x" * 70_000) + BODY[1:], reading)
    assert (reading.fault, shown.endswith(DONE)) == (None, True)
    told(b'{"error":"%b"}' % (b"x" * 70_000), reading := answer())
    assert reading.fault is Fault.ERROR_EVENT


ONE = b'{"index":%b,"message":{"content":"hi"},"finish_reason":"stop"}'


@pytest.mark.parametrize(
    "choices",
    [
        ONE % b"0" + b"," + ONE % b"0",
        ONE % b"128",
        ONE % b"-1",
        b'{"message":{"content":"hi","tool_calls":"x"},"finish_reason":"stop"}',
        b'{"message":{"content":"hi","tool_calls":[null]},"finish_reason":"stop"}',
        b'{"message":{"content":"hi","tool_calls":[%b{}]},"finish_reason":"stop"}'
        % (b"{}," * 1024),
        b'{"message":["hi"],"finish_reason":"stop"}',
    ],
)
def test_choices_that_make_no_sense_are_a_payload_fault(choices: bytes) -> None:
    reading = answer()
    assert told(b'{"choices":[%b]}' % choices, reading) == b""
    assert reading.fault is Fault.PAYLOAD


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices":[%b{}]}' % (b"{}," * 2_000_000),
        b'{"choices":[{"message":{"content":[%b0]}}]}' % (b"0," * 2_000_000),
    ],
)
def test_more_values_than_memory_is_good_for_are_a_fault(body: bytes) -> None:
    reading = answer()
    assert told(body, reading) == b""
    assert reading.fault is Fault.OVERSIZED


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_body_of_many_lines_becomes_events_of_one_line(end: bytes) -> None:
    lines = [
        b'{"choices":[{"message":{"content":[', b'{"type":"text",', b'"text":"hi"}]},',
        b'"logprobs":{"content":[', b"]},", b'"finish_reason":"stop"}],"usage":{"prompt_tokens":1,',
        b'"completion_tokens":2,', b'"total_tokens":3}}',
    ]  # fmt: skip
    reading = answer(usage=True)
    shown = told(end.join(lines), reading)
    assert (reading.fault, b"\r" in shown) == (None, False)
    assert [line[:6] for line in shown.split(b"\n") if line] == [b"data: "] * 3


def test_an_end_that_the_engine_itself_calls_an_error_is_one() -> None:
    reading = answer()
    native = b'"finish_reason":"stop","native_finish_reason":"error"'
    assert told(BODY.replace(b'"finish_reason":"stop"', native), reading) == b""
    assert reading.fault is Fault.ERROR_EVENT


def test_nothing_is_told_of_an_answer_without_an_end() -> None:
    reading = answer()
    assert told(BODY.replace(b'"stop"', b"null"), reading) == b""
    assert (reading.fault, reading.done) == (Fault.UNFINISHED, True)


def test_what_its_writer_cannot_hold_or_join_is_a_fault() -> None:
    exact = body_gathered(most_bytes=len(BODY) + 512)  # the name `content` is kept, too
    told(BODY, exact)
    assert exact.fault is None
    small = body_gathered(most_bytes=len(BODY) - 1)
    assert told(BODY, small) == b""
    assert (small.fault, small.held) == (Fault.OVERSIZED, len(BODY))
    odd = body_gathered()
    assert told(BODY.replace(b'"hi"', b'{"x":"hi"}'), odd) == b""
    assert odd.fault is Fault.MALFORMED


def test_a_message_without_nulls_and_calls_is_copied_as_it_came() -> None:
    message = b'{"role":"assistant",  "content":"hi","seen":1.50}'
    body = b'{"choices":[{"message":%b,"finish_reason":"stop"}]}' % message
    assert message in told(body, answer())
    assert b'"refusal"' not in told(BODY.replace(b'"hi"', b'"hi","refusal":null'), answer())


def test_the_bounds_are_the_most_that_is_read() -> None:
    for more, fault in ((0, None), (1, Fault.OVERSIZED)):
        message = b'{"content":"hi","x":[%b0]}' % (b"0," * (99_997 + more))
        reading = answer()
        told(BODY.replace(b'{"content":"hi"}', message), reading)
        assert reading.fault is fault
        counts = b'{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"x":""}'
        usage = counts.replace(b'""', b'"%b"' % (b"x" * (65_536 + more - len(counts))))
        told(b'{"usage":%b,' % usage + BODY[1:], reading := answer())
        assert (reading.usage is None) == bool(more)


BESIDE = b'{"citations":\r\n["u" ],"system_fingerprint":"fp","supervisor":1,"x":null,'


@pytest.mark.parametrize("odd", [b"", b',"logprobs":{"a":-Infinity}'])
def test_members_beside_the_choices_are_passed_on_as_a_streams_are(odd: bytes) -> None:
    body = BESIDE + BODY.replace(b'"stop"', b'"stop"' + odd)[1:]
    whole, made_up, stream = body_gathered(), body_gathered("A"), body_streamed()
    told(body, whole)
    written = json.loads(b"".join(whole.result()))
    first = json.loads(told(body, stream).split(b"\n")[0].removeprefix(b"data: "))
    for shown in (written, first):
        assert (shown["citations"], shown["system_fingerprint"]) == (["u"], "fp")
        assert not {"supervisor", "x"} & set(shown)
    told(body, made_up)
    assert "citations" not in json.loads(b"".join(made_up.result()))


def test_too_much_beside_the_choices_of_a_whole_answer_is_a_fault() -> None:
    many = b"".join(b'"x%d":1,' % number for number in range(257))
    reading = answer()
    assert told(b"{" + many + BODY[1:], reading) == b""
    assert reading.fault is Fault.OVERSIZED


def test_tokens_that_nobody_counted_are_reckoned_and_a_sentence_is_no_model() -> None:
    named = BODY[:-1] + b',"model":"my secret is out"}'
    reading, streaming = body_gathered(), streamed()
    reading.feed(named)
    assert reading.reckoned == len(named) // 4
    reading.close()
    assert reading.served_model is None
    assert streaming.reckoned == 0
