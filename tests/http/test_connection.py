"""An answer reads the same however it is cut, and nothing unasked is ever read as one."""

import asyncio
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.http.call import Call
from exo_supervisor.http.connection import LARGE_READ, PART
from exo_supervisor.http.faults import HttpError, NetworkFault, Stage
from exo_supervisor.http.response_reader import (
    MAX_HEAD_BYTES,
    MAX_INTERIM,
    Outcome,
    ResponseReader,
)
from exo_supervisor.http.state import State
from tests.http.wire import KEY, Heard, Wired

ASK = b"GET / HTTP/1.1\r\nhost: n:1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
HINT = b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n"
SHORT = OK + b"Content-Length: 5\r\nX-A: b\r\n\r\nhello"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
PAYLOAD_HEAD = (NetworkFault.PAYLOAD, Stage.HEAD)
PAYLOAD_BODY = (NetworkFault.PAYLOAD, Stage.BODY)
RESET_HEAD = (NetworkFault.RESET, Stage.HEAD)

REUSED = {
    "a length": SHORT,
    "chunks": CHUNKED,
    "trailers": CHUNKED[:-2] + b"X-Late: no header\r\n\r\n",
    "hints": HINT * MAX_INTERIM + SHORT,
    "nothing to say": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not modified": b"HTTP/1.1 304 X\r\ncontent-length: 5\r\n\r\n",
    "an error": b"HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\nno",
    "1.0 that stays": b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\nx",
}
CLOSED = {
    "1.0": b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
    "said so": OK + b"connection: close\r\ncontent-length: 2\r\n\r\nhi",
    "until its end": OK + b"\r\nall there is",
    "a coding that is not chunked": OK + b"transfer-encoding: x\r\n\r\nall there is",
}
BROKEN = {
    "nothing": (b"", RESET_HEAD),
    "half a head": (OK + b"content-len", RESET_HEAD),
    "hints and nothing": (HINT, RESET_HEAD),
    "garbage": (b"garbage\r\n\r\n", PAYLOAD_HEAD),
    "TLS": (b"\x16\x03\x01\0\0\0", PAYLOAD_HEAD),
    "no HTTP": (b"RTSP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", PAYLOAD_HEAD),
    "no HTTP that names it": (
        b"ICE/1.0 200 OK\r\nvia: HTTP/1.1 x\r\ncontent-length: 0\r\n\r\n", PAYLOAD_HEAD,
    ),
    "no status": (b"HTTP/1.1 abc X\r\n\r\n", PAYLOAD_HEAD),
    "status 99": (b"HTTP/1.1 099 X\r\n\r\n", PAYLOAD_HEAD),
    "another protocol": (
        b"HTTP/1.1 101 X\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", PAYLOAD_HEAD,
    ),
    "101 without a word": (b"HTTP/1.1 101 X\r\n\r\n", PAYLOAD_HEAD),
    "a negative length": (OK + b"content-length: -5\r\n\r\n", PAYLOAD_HEAD),
    "two lengths": (OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab", PAYLOAD_HEAD),
    "chunks and a length": (
        OK + b"transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n1\r\na\r\n0\r\n\r\n",
        PAYLOAD_HEAD,
    ),
    "a folded line": (OK + b"a: b\r\n c: d\r\ncontent-length: 0\r\n\r\n", PAYLOAD_HEAD),
    "bare newlines": (b"HTTP/1.1 200 OK\ncontent-length: 0\n\n", PAYLOAD_HEAD),
    "hints without end": (HINT * (MAX_INTERIM + 1) + SHORT, PAYLOAD_HEAD),
    "too short": (OK + b"content-length: 50\r\n\r\nhalf", PAYLOAD_BODY),
    "half a chunk": (OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhe", PAYLOAD_BODY),
    "no last chunk": (CHUNKED[:-5], PAYLOAD_BODY),
    "no chunk": (OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n", PAYLOAD_BODY),
    "generation A's second head": (
        CHUNKED[:-5] + b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n", PAYLOAD_BODY,
    ),
}  # fmt: skip


def fed(wired: Wired, pieces: list[bytes], *, eof: bool = False) -> Heard:
    """Send a request and feed its answer."""
    heard = Heard()
    wired.send(heard, ASK, b"")
    for piece in pieces:
        if wired.connection.state is not State.CLOSED:
            wired.connection.data_received(piece)
    if eof and wired.connection.state is not State.CLOSED:
        wired.connection.eof_received()
    return heard


def cut(whole: bytes, at: set[int]) -> list[bytes]:
    edges = sorted({0, len(whole)} | {each % (len(whole) + 1) for each in at})
    return [whole[a:b] for a, b in pairwise(edges)]


@pytest.mark.parametrize("name", REUSED)
def test_at_each_single_split_an_answer_is_the_same_and_its_connection_rests(name: str) -> None:
    whole = REUSED[name]
    with Wired() as wired:
        wanted = fed(wired, [whole]).story
        assert wanted[3:] == (True, None)
        assert "x-late" not in str(wanted)
        assert wired.rests == 1
        for at in range(len(whole)):
            assert fed(wired, [whole[:at], whole[at:]]).story == wanted, at
        assert wired.rests == len(whole) + 1
        assert repr(wired.connection) == f"<Connection http://n:1 IDLE, {len(whole) + 1} requests>"


@pytest.mark.parametrize("name", CLOSED)
def test_at_each_single_split_an_answer_that_ends_its_connection_is_the_same(name: str) -> None:
    whole = CLOSED[name]
    stories: list[tuple[object, ...]] = []
    for at in range(len(whole)):
        with Wired() as wired:
            stories.append(fed(wired, [whole[:at], whole[at:]], eof=True).story)
            assert (wired.rests, wired.ends, wired.connection.state) == (0, 1, State.CLOSED)
    assert stories[0][3:] == (True, None)
    assert all(story == stories[0] for story in stories)


@pytest.mark.parametrize("name", BROKEN)
def test_at_each_single_split_a_broken_answer_is_broken(name: str) -> None:
    whole, wanted = BROKEN[name]
    for at in range(len(whole) + 1):
        with Wired() as wired:
            heard = fed(wired, [whole[:at], whole[at:]], eof=True)
            assert (heard.calls.count("lost"), heard.calls.count("end")) == (1, 0)
            assert heard.story[4] == wanted, at
            assert (wired.rests, wired.ends) == (0, 1)


@given(st.sampled_from(sorted(REUSED)), st.sampled_from(sorted(REUSED)), st.sets(st.integers(0)))
def test_two_answers_in_any_pieces(first: str, second: str, at: set[int]) -> None:
    with Wired() as wired:
        for name in (first, second):
            assert fed(wired, cut(REUSED[name], at)).story == fed(wired, [REUSED[name]]).story
        assert wired.rests == 4


@given(st.sampled_from(sorted(BROKEN)), st.sets(st.integers(0)))
def test_a_broken_answer_in_any_pieces(name: str, at: set[int]) -> None:
    whole, wanted = BROKEN[name]
    with Wired() as wired:
        assert fed(wired, cut(whole, at), eof=True).story[4] == wanted


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_bytes_of_any_kind_end_in_one_word_and_no_exception(pieces: list[bytes]) -> None:
    with Wired() as wired:
        heard = fed(wired, [each for each in pieces if each], eof=True)
        assert heard.calls.count("lost") + heard.calls.count("end") == 1
        assert wired.connection.state is State.CLOSED


def test_one_read_is_told_in_one_head_one_data_and_one_end() -> None:
    with Wired() as wired:
        heard = fed(wired, [CHUNKED])
        assert heard.calls == ["head", "data", "end"]
        assert heard.headers == {"transfer-encoding": "chunked"}
        assert fed(wired, [SHORT]).headers == {"content-length": "5", "x-a": "b"}


def test_what_came_before_a_break_is_told_first() -> None:
    with Wired() as wired:
        heard = fed(wired, [BROKEN["generation A's second head"][0]])
        assert heard.calls == ["head", "data", "lost"]
        assert heard.body == b"hello"


@pytest.mark.parametrize("stray", [b"HTTP/1.1 2", SHORT, b"HTTP/1.1 408 X\r\n\r\n", b"junk"])
def test_what_comes_glued_to_an_answer_ends_the_connection_and_not_the_answer(stray: bytes) -> None:
    with Wired() as wired:
        heard = fed(wired, [SHORT + stray])
        assert (heard.calls, heard.body) == (["head", "data", "end"], b"hello")
        assert (wired.rests, wired.connection.state) == (0, State.CLOSED)


@pytest.mark.parametrize("stray", [b"\r\n", b"H", SHORT])
def test_what_comes_at_rest_ends_the_connection(stray: bytes) -> None:
    with Wired() as wired:
        fed(wired, [SHORT])
        wired.connection.data_received(stray)
        assert (wired.connection.state, wired.ends) == (State.CLOSED, 1)
    with Wired() as fresh:
        fresh.connection.data_received(stray)
        assert (fresh.connection.state, fresh.ends) == (State.CLOSED, 1)


def test_a_connection_is_fit_as_long_as_nothing_waits_in_its_socket() -> None:
    with Wired() as wired:
        assert wired.connection.is_fit()
        fed(wired, [SHORT])
        assert wired.connection.is_fit()
        wired.far.send(b"\n")
        assert not wired.connection.is_fit()
    with Wired() as wired:
        wired.far.close()
        assert not wired.connection.is_fit()
    with Wired() as wired:
        wired.send(Heard(), ASK, b"")
        assert not wired.connection.is_fit()
        wired.connection.fail(NetworkFault.RESET)
        assert not wired.connection.is_fit()


def test_a_head_has_a_bound_however_it_comes() -> None:
    fits = OK + b"content-length: 0\r\na: " + b"x" * (MAX_HEAD_BYTES - 60) + b"\r\n\r\n"
    over = OK + b"content-length: 0\r\na: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n"
    many = OK + b"".join(b"a%d: b\r\n" % n for n in range(20_000))
    with Wired() as wired:
        assert fed(wired, [fits]).story[3:] == (True, None)
        assert fed(wired, [over]).story[4] == PAYLOAD_HEAD
    for endless in (over[:-2], many, OK[:-2] + b"x" * MAX_HEAD_BYTES):
        pieces = [endless[i : i + 1000] for i in range(0, len(endless), 1000)]
        with Wired() as wired:
            assert fed(wired, pieces).story[4] == PAYLOAD_HEAD


def test_of_an_interim_head_nothing_is_kept_once_it_is_read() -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nlink: %b\r\n\r\n" % (b"x" * 50_000)
    reader = ResponseReader()
    tracemalloc.start()
    try:
        for _ in range(MAX_INTERIM):
            reader.feed(hint)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * len(hint)
    reader.feed(SHORT)
    assert (reader.outcome, reader.headers["x-a"]) == (Outcome.WHOLE, "b")


def read(*pieces: bytes) -> Outcome:
    """Read an answer on a connection that has had one."""
    reader = ResponseReader()
    reader.feed(SHORT)
    reader.got.clear()
    reader.reset()
    for piece in pieces:
        reader.feed(piece)
        reader.got.clear()
    return reader.outcome


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\na: b\n\n", b"HTTP/1.1 200 OK\r\na: b\n\n", b"HTTP/1.1 200 OK\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\r\n\n", b"HTTP/1.1 200 OK\r\na: b\nc: d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n", b"HTTP/1.1 200 OK\r\na:\r\n\tb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\r\n \r\n\r\n",
    ],
)  # fmt: skip
def test_a_line_that_ends_in_less_than_crlf_or_is_folded_is_no_http(head: bytes) -> None:
    assert read(head) is Outcome.BROKEN
    assert read(HINT, head) is Outcome.BROKEN


def test_a_head_whose_end_is_not_seen_is_refused_whatever_a_parser_says() -> None:
    reader = ResponseReader()
    reader.feed(OK)
    with pytest.raises(Exception, match=r"^$"):
        reader.on_headers_complete()
    assert (reader.status, len(reader.headers)) == (0, 0)


def test_what_is_no_body_has_an_exact_bound_anew_after_each_head() -> None:
    """Half a head, behind a hint or not, and what chunks say beside their data."""
    for over, outcome in ((0, Outcome.UNDER_WAY), (1, Outcome.BROKEN)):
        half = OK + b"a: " + b"x" * (MAX_HEAD_BYTES - len(OK) - 3 + over)
        said = b"5;a=" + b"x" * (MAX_HEAD_BYTES - 4 + over)
        assert read(half[:9], half[9:]) is outcome
        assert read(HINT, half) is outcome
        for data in (b"", b"2\r\nhe\r\n"):
            assert read(OK + b"transfer-encoding: chunked\r\n\r\n" + data, said) is outcome


def test_a_head_that_came_with_much_of_its_body_is_measured_without_that() -> None:
    for over, outcome in ((0, Outcome.UNDER_WAY), (1, Outcome.BROKEN)):
        begun = OK + b"content-length: 99999\r\na: "
        value = b"x" * (MAX_HEAD_BYTES - len(begun) + over)
        assert read(b"\r\n\r\n" + begun + value + b"\r\n\r\n" + b"x" * 90_000) is outcome


def test_what_chunks_say_beside_their_data_has_a_bound() -> None:
    """An extension, or trailers, that never end."""
    begun = OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
    for rest in (b"5;a=", b"0\r\nlate: "):
        with Wired() as wired:
            heard = fed(wired, [begun, rest, *[b"x" * 1000] * 70])
            assert heard.story[4] == PAYLOAD_BODY


def test_a_large_body_is_sent_in_parts_as_there_is_room() -> None:
    body = bytes(range(256)) * 4096
    with Wired() as wired:
        heard = Heard()
        wired.transport.room = 1
        wired.send(heard, ASK, body)
        assert (wired.transport.sent, wired.connection.state) == (ASK, State.SENDING)
        for sent in range(PART, len(body) + PART, PART):
            wired.transport.room = PART
            wired.connection.resume_writing()
            assert len(wired.transport.sent) == len(ASK) + min(sent, len(body))
        assert wired.transport.sent == ASK + body
        assert wired.connection.state is State.READING
        wired.connection.resume_writing()
        wired.connection.data_received(SHORT)
        assert (heard.body, wired.rests) == (b"hello", 1)


def test_an_answer_that_does_not_wait_for_the_body_is_whole_and_ends_the_connection() -> None:
    with Wired() as wired:
        heard = Heard()
        wired.transport.room = 1
        wired.send(heard, ASK, bytes(2 * PART))
        wired.connection.data_received(SHORT)
        assert (heard.calls[-1], wired.connection.state, wired.rests) == ("end", State.CLOSED, 0)
        wired.connection.resume_writing()
        assert wired.transport.sent == ASK


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (None, NetworkFault.RESET),
        (ConnectionResetError(), NetworkFault.RESET),
        (TimeoutError(110, "no acknowledgement"), NetworkFault.TIMEOUT),
        (OSError(113, "no route"), NetworkFault.RESET),
    ],
)
def test_a_lost_connection_tells_its_listener_once(
    error: Exception | None, fault: NetworkFault
) -> None:
    with Wired() as wired:
        heard = Heard()
        wired.send(heard, ASK, b"")
        wired.connection.connection_lost(error)
        wired.connection.connection_lost(None)
        assert heard.story[4] == (fault, Stage.HEAD)
        assert (heard.calls, wired.ends) == (["lost"], 1)


def test_a_connection_that_was_closed_loses_what_is_sent_and_one_at_work_takes_nothing() -> None:
    with Wired() as wired:
        fed(wired, [SHORT])
        wired.connection.close()
        heard = Heard()
        wired.send(heard, ASK, b"")
        assert heard.story[4] == RESET_HEAD
    with Wired() as wired:
        wired.send(Heard(), ASK, b"")
        with pytest.raises(RuntimeError, match="READING"):
            wired.send(Heard(), ASK, b"")


def test_who_closes_is_not_called_back_whatever_else_the_read_brought() -> None:
    for when in ("head", "data"):
        with Wired() as wired:

            def during(name: str, at: str = when, one: Wired = wired) -> None:
                if name == at:
                    one.connection.close()

            heard = Heard(during)
            wired.send(heard, ASK, b"")
            wired.connection.data_received(SHORT)
            assert heard.calls[-1] == when
            assert (wired.rests, wired.ends) == (0, 1)


@pytest.mark.real_time
async def test_a_large_read_is_followed_by_the_next_in_another_turn() -> None:
    """A loop reads on in the same turn, while whoever sends keeps up: 8 MB of tiny events."""
    head = OK + b"content-length: 10000000\r\n\r\n"
    with Wired() as wired:
        wired.send(Heard(), ASK, b"")
        wired.connection.data_received(head + b"x" * 1_000)
        assert wired.transport.done == []
        wired.connection.data_received(b"x" * LARGE_READ)
        assert wired.transport.done == ["pause"]
        await asyncio.sleep(0)
        assert wired.transport.done == ["pause", "resume"]
        wired.connection.data_received(b"x" * LARGE_READ)
        wired.connection.pause_reading()
        await asyncio.sleep(0)
        assert wired.transport.done[2:] == ["pause", "pause"], "whoever listens cannot keep up"
        wired.connection.resume_reading()
        wired.connection.data_received(b"x" * LARGE_READ)
        wired.connection.close()
        await asyncio.sleep(0)
        assert wired.transport.done[4:] == ["resume", "pause", "abort"]


def test_a_paused_connection_reads_on_when_its_answer_is_over() -> None:
    with Wired() as wired:
        heard = Heard()
        wired.send(heard, ASK, b"")
        wired.connection.resume_reading()
        wired.connection.data_received(SHORT[:-1])
        wired.connection.pause_reading()
        wired.connection.data_received(SHORT[-1:])
        assert wired.transport.done == ["pause", "resume"]


def test_failing_tells_and_closing_does_not() -> None:
    with Wired() as wired:
        heard = Heard()
        wired.send(heard, ASK, b"")
        wired.connection.fail(NetworkFault.RESET)
        assert isinstance(heard.error, HttpError)
        wired.connection.fail(NetworkFault.RESET)
        wired.connection.close()
        assert (heard.calls, wired.ends, wired.transport.done) == (["lost"], 1, ["abort"])
        wired.connection.pause_reading()
        wired.connection.resume_reading()
        wired.connection.option(lambda _: None)
        wired.connection.data_received(b"late")


def test_what_was_handed_to_connections_is_counted_once_for_each() -> None:
    body = bytes(2 * PART + 5)
    call = Call(Heard(), KEY, ASK, b"hello", None)
    for times in (1, 2):
        with Wired() as wired:
            wired.connection.send(call)
            assert call.sent == times * (len(ASK) + 5)
    for leaves in (False, True):
        with Wired() as wired:
            call = Call(Heard(), KEY, ASK, body, None)
            wired.transport.room = 1
            wired.connection.send(call)
            assert call.sent == len(ASK)
            wired.transport.room = PART
            wired.connection.resume_writing()
            assert call.sent == len(ASK) + PART
            if leaves:
                continue
            wired.transport.room = 2**30
            wired.connection.resume_writing()
            assert call.sent == len(ASK) + len(body)


def test_one_that_leaves_a_body_whose_end_came_with_it_sets_no_timer() -> None:
    with Wired() as wired:

        def leave(told: str) -> None:
            if told == "data":
                wired.connection.leave()  # a timer would want a loop: there is none

        heard = Heard(leave)
        wired.send(heard, ASK, b"")
        wired.connection.data_received(CHUNKED)
        assert heard.calls == ["head", "data"]
        assert (wired.connection.state, wired.rests) == (State.IDLE, 1)


@pytest.mark.real_time
async def test_one_that_leaves_in_the_midst_of_its_body_has_sent_all_of_it() -> None:
    with Wired() as wired:
        call = Call(Heard(), KEY, ASK, bytes(2 * PART), None)
        wired.transport.room = 1
        wired.connection.send(call)
        wired.connection.leave()
        assert (wired.connection.state, call.sent) == (State.LEAVING, len(ASK) + 2 * PART)
        wired.transport.room = 2**30
        wired.connection.resume_writing()
        assert len(wired.transport.sent) == call.sent
        wired.connection.data_received(SHORT)
        assert (wired.connection.state, wired.rests) == (State.IDLE, 1)
