"""One JSON object that comes in pieces is read at its end, and never without a bound."""

import pytest

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.answer import DONE, Answer
from exo_supervisor.wire.whole import MOST_BYTES, Whole

BODY = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'
PIECE = b" " * (MOST_BYTES // 4)


def answer() -> Answer:
    return Answer(id="ours", created=7, generation=None, include_usage=False)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_pieces_say_nothing_before_the_end(size: int) -> None:
    reading = answer()
    whole = Whole(reading)
    for place in range(0, len(BODY), size):
        assert whole.feed(BODY[place : place + size]) == b""
        assert not reading.content
    told = whole.close()
    assert told.endswith(DONE)
    assert b'"hi"' in told
    assert (reading.fault, reading.done) == (None, True)


def test_an_answer_may_have_all_the_bytes_that_are_allowed() -> None:
    reading = answer()
    whole = Whole(reading)
    for _ in range(3):
        whole.feed(PIECE)
    whole.feed(PIECE[len(BODY) :])
    whole.feed(BODY)
    assert whole.close().endswith(DONE)
    assert reading.fault is None


def test_one_byte_more_is_a_fault_that_stays_and_lets_go_of_what_came() -> None:
    reading = answer()
    whole = Whole(reading)
    whole.feed(BODY)
    for _ in range(4):
        whole.feed(PIECE)
    said = reading.message
    assert (reading.fault, str(MOST_BYTES) in said) == (Fault.OVERSIZED, True)
    assert vars(whole)["_parts"] == []
    assert whole.feed(BODY) == b""
    assert vars(whole)["_parts"] == []
    assert whole.close() == b""
    assert (reading.fault, reading.message, reading.content) == (Fault.OVERSIZED, said, False)


@pytest.mark.parametrize("nothing", ["null", '""', "false", "{}", "[]", "0"])
def test_an_error_member_without_an_error_is_none(nothing: str) -> None:
    reading = answer()
    whole = Whole(reading)
    whole.feed(b'{"error":' + nothing.encode() + b"," + BODY[1:])
    assert whole.close().endswith(DONE)
    assert reading.fault is None
    whole = Whole(empty := answer())
    whole.feed(b'{"error":' + nothing.encode() + b"}")
    assert whole.close() == b""
    assert empty.fault is Fault.EMPTY
