"""Each request gets its own answer, in order, and a client that leaves or lingers costs nothing."""

import os
import socket
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.http.leaving import LEFT_EVERY
from exo_supervisor.http.response_writer import frame_head
from exo_supervisor.http.server_connection import LINGER, MAX_PIPELINED, ServerConnection
from exo_supervisor.http.server_transport import LAST_READ, LAST_TAKE
from tests.http.serve import OK, Asked, Other, Served, echo, wait
from tests.http.test_request_reader import BAD_BODIES, BAD_HEADS, CHUNKED, HOST, TE, cut

LENGTH = b"content-length: %d\r\n"
CLOSE = b"connection: close\r\n"
EXPECT = b"expect: 100-continue\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BAD = b"HTTP/1.1 400 Bad Request\r\n" + LENGTH % 3 + CLOSE + b"\r\nbad"
BAD_BODY = b"HTTP/1.1 400 Bad Request\r\n" + LENGTH % 0 + CLOSE + b"\r\n"
OTHER = b"GET /y HTTP/1.1\r\nhost: a\r\n\r\n"
TCP = socket.AF_INET


def post(body: bytes, more: bytes = b"") -> bytes:
    return HOST + more + LENGTH % len(body) + b"\r\n" + body


def said(body: bytes, more: bytes = b"") -> bytes:
    """Return what the echo says."""
    return OK + LENGTH % len(body) + more + b"\r\n" + body


def later(parts: list[bytes]) -> Callable[[Asked], None]:
    """Answer in chunks."""

    def answer(asked: Asked) -> None:
        asked.connection.start(OK)
        for part in parts:
            asked.connection.write(part)
        asked.connection.finish()

    return answer


# -------------------------------------------------------------------- one after the other


def test_a_request_is_answered_and_the_connection_goes_on() -> None:
    with Served() as one:
        assert one.state == "<ServerConnection IDLE, 0 requests>"
        one.feed(post(b"hello")[:20])
        assert one.state == "<ServerConnection HEAD, 0 requests>"
        one.feed(post(b"hello")[20:-3])
        assert one.state == "<ServerConnection BODY, 1 requests>"
        one.feed(post(b"hello")[-3:])
        assert one.state == "<ServerConnection IDLE, 1 requests>"
        assert one.sent == said(b"hello")
        assert one.asked[0].calls == ["data", "data", "end"]
        assert one.transport.writes == 1
        one.feed(post(b""))
        assert one.sent == said(b"hello") + said(b"")
        assert one.asked[1].calls == ["end"]


def test_what_a_whole_request_leads_to_waits_for_the_loops_next_turn() -> None:
    with Served() as one:
        one.feed(post(b"hello"), run=False)
        assert (one.asked[0].calls, one.state) == (
            ["data"],
            "<ServerConnection WHOLE, 1 requests>",
        )
        one.loop.run()
        assert one.sent == said(b"hello")


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5), st.sets(st.integers(0)))
def test_pipelined_requests_in_any_pieces_are_answered_in_order(
    bodies: list[bytes], at: set[int]
) -> None:
    with Served() as one:
        one.feed(*cut(b"".join(map(post, bodies)), at))
        assert one.sent == b"".join(map(said, bodies))
        assert one.state == f"<ServerConnection IDLE, {len(bodies)} requests>"


@given(st.lists(st.sampled_from([post(b"hello"), CHUNKED]), max_size=3), st.sets(st.integers(0)))
def test_a_pipelined_request_of_somebody_else_goes_there_whole_with_all_behind_it(
    ours: list[bytes], at: set[int]
) -> None:
    with Served() as one:
        behind = OTHER + post(b"not ours any more") + b"junk"
        one.feed(*cut(b"".join(ours) + behind, at))
        assert one.sent == said(b"hello") * len(ours)
        assert one.other.got == behind
        assert one.other.transport is one.transport
        assert "HANDED_OVER" in one.state
        assert one.left == 0
        one.loop.advance(1000)
        assert one.transport.done == ["set_protocol"]


def test_a_pipelined_request_waits_for_the_answer_before_it() -> None:
    with Served(wait) as one:
        one.feed(post(b"one") + post(b"two") + post(b"three"))
        assert len(one.asked) == 1
        echo(one.asked[0])
        one.loop.run()
        assert [each.body for each in one.asked] == [b"one", b"two"]
        one.feed(post(b"four")[:-1])
        echo(one.asked[1])
        one.feed(post(b"four")[-1:], run=False)
        one.loop.run()
        for asked in (2, 3):
            echo(one.asked[asked])
            one.loop.run()
        assert one.sent == b"".join(map(said, (b"one", b"two", b"three", b"four")))


def test_what_is_pipelined_has_a_bound() -> None:
    with Served(wait) as one:
        large = post(b"x" * MAX_PIPELINED)
        one.feed(post(b"one"), large, large)
        assert one.transport.done == ["pause"]
        echo(one.asked[0])
        one.loop.run()
        assert one.transport.done == ["pause", "resume", "pause"]
        echo(one.asked[1])
        one.loop.run()
        assert one.transport.done == ["pause", "resume", "pause", "resume"]
        assert [len(each.body) for each in one.asked] == [3, MAX_PIPELINED, MAX_PIPELINED]


def test_a_client_that_reads_nothing_is_not_served_its_next_request() -> None:
    with Served() as one:
        one.transport.room = 1
        one.feed(post(b"one"))
        assert one.connection.full
        one.feed(post(b"two"))
        assert len(one.asked) == 1
        one.transport.take_all()
        one.loop.run()
        assert one.sent == said(b"one") + said(b"two")


def test_a_client_that_fills_up_with_two_requests_waiting_gets_them_one_by_one() -> None:
    with Served() as one:
        one.transport.room = 1
        one.feed(post(b"one") + post(b"two"))
        assert len(one.asked) == 1
        one.transport.take_all()
        one.transport.room = 1
        one.loop.run()
        assert [each.body for each in one.asked] == [b"one", b"two"]


# -------------------------------------------------------------------- what an answer is


def test_an_answer_without_a_length_goes_in_chunks_one_write_each() -> None:
    with Served(later([b"one", b"x" * 20])) as one:
        one.feed(post(b""))
        head = OK + b"transfer-encoding: chunked\r\n\r\n"
        assert one.sent == head + b"3\r\none\r\n14\r\n" + b"x" * 20 + b"\r\n0\r\n\r\n"
        assert one.transport.writes == 3
        assert one.state == "<ServerConnection IDLE, 1 requests>"


def test_the_last_part_of_an_answer_and_its_end_are_one_write() -> None:
    def answer(asked: Asked) -> None:
        asked.connection.start(OK)
        asked.connection.finish(b"all")

    with Served(answer) as one:
        one.feed(post(b""))
        assert one.sent.endswith(b"\r\n\r\n3\r\nall\r\n0\r\n\r\n")
        assert one.transport.writes == 1


def test_an_answer_with_a_length_may_come_in_parts() -> None:
    def answer(asked: Asked) -> None:
        asked.connection.start(OK, length=6)
        asked.connection.write(b"abc")
        asked.connection.finish(b"def")

    with Served(answer) as one:
        one.feed(post(b""), post(b""))
        assert one.sent == said(b"abcdef") * 2


@pytest.mark.parametrize("body", [b"", b"abcd"])
def test_an_answer_that_is_not_as_long_as_promised_is_cut(body: bytes) -> None:
    with Served(wait) as one:
        one.feed(post(b""))
        one.asked[0].connection.start(OK, length=3)
        with pytest.raises(RuntimeError, match="another length"):
            one.asked[0].connection.finish(body)
        assert (one.sent, one.transport.done) == (b"", ["abort"])


def test_there_is_one_answer_to_a_request_and_none_to_nothing() -> None:
    with Served(wait) as one:
        for act in (
            lambda: one.connection.start(OK),
            lambda: one.connection.write(b"x"),
            one.connection.finish,
        ):
            with pytest.raises(RuntimeError, match="no "):
                act()
        one.feed(post(b""))
        one.connection.start(OK)
        with pytest.raises(RuntimeError, match="no request"):
            one.connection.start(OK)


@pytest.mark.parametrize(
    ("version", "more", "answer", "wanted"),
    [
        (b"1.1", CLOSE, echo, said(b"hi", CLOSE)),
        (b"1.0", b"", echo, said(b"hi", CLOSE)),
        (b"1.0", b"connection: keep-alive\r\n", echo, said(b"hi", b"connection: keep-alive\r\n")),
        (b"1.0", b"connection: keep-alive\r\n", later([b"a", b"b"]), OK + CLOSE + b"\r\nab"),
        (b"1.1", CLOSE, later([b"a"]), OK + TE + CLOSE + b"\r\n1\r\na\r\n0\r\n\r\n"),
    ],
)
def test_a_client_that_is_old_or_goes_gets_an_answer_of_its_kind(
    version: bytes, more: bytes, answer: Callable[[Asked], None], wanted: bytes
) -> None:
    with Served(answer) as one:
        one.feed(post(b"hi", more).replace(b"1.1", version, 1))
        assert one.sent == wanted.replace(b"HTTP/1.1", b"HTTP/" + version)
        state = "IDLE" if b"keep-alive" in wanted else "CLOSED"
        assert one.state == f"<ServerConnection {state}, 1 requests>"


def test_an_old_client_is_told_its_version_and_no_word_of_the_fields_is_changed() -> None:
    head = b"HTTP/1.1 200 OK\r\nvia: HTTP/1.1 x\r\n"
    framed = frame_head(head, b"", 0, is_old=True, keep=False)
    assert framed.startswith(b"HTTP/1.0 200 OK\r\nvia: HTTP/1.1 x\r\n")


def test_behind_the_last_request_of_a_client_nothing_is_served() -> None:
    with Served() as one:
        one.feed(post(b"hi", CLOSE) + post(b"dropped"), post(b"dropped"))
        assert (one.sent, len(one.asked)) == (said(b"hi", CLOSE), 1)


def test_the_last_bytes_of_a_closing_connection_have_a_time_to_be_taken() -> None:
    with Served(wait) as one:
        one.feed(post(b"hi", CLOSE))
        one.transport.room = 1
        echo(one.asked[0])
        one.feed(b"more", post(b"x"))
        assert one.state == "<ServerConnection CLOSING, 1 requests>"
        one.loop.advance(LAST_TAKE - 1)
        assert one.transport.done == ["close"]
        one.loop.advance(2)
        assert one.transport.done == ["close", "abort"]
        assert (one.state, one.left) == ("<ServerConnection CLOSED, 1 requests>", 1)


# -------------------------------------------------------------------- bodies


def test_a_client_that_waits_to_be_asked_is_asked_once_its_body_is_wanted() -> None:
    with Served() as one:
        one.head_first = ServerConnection.send_continue
        one.feed(post(b"hi", EXPECT)[:-2])
        assert one.sent == CONTINUE
        one.feed(b"hi")
        assert one.sent == CONTINUE + said(b"hi")
        one.feed(post(b"hi", EXPECT)[:-2])
        assert one.sent == CONTINUE + said(b"hi") + CONTINUE
    for request in (post(b"hi"), post(b"", EXPECT), post(b"hi", EXPECT).replace(b"1.1", b"1.0")):
        with Served() as one:
            one.head_first = ServerConnection.send_continue
            one.feed(request)
            assert CONTINUE not in one.sent
            assert one.asked[0].calls[-1] == "end"


def refuse(connection: ServerConnection) -> None:
    connection.start(b"HTTP/1.1 413 X\r\n", length=0)
    connection.finish()


def test_a_refused_body_that_was_not_asked_for_ends_the_connection() -> None:
    """What comes next might be the body, or the next request."""
    with Served() as one:
        one.head_first = refuse
        one.feed(post(b"hi", EXPECT)[:-2])
        assert one.sent == b"HTTP/1.1 413 X\r\n" + LENGTH % 0 + CLOSE + b"\r\n"
        one.feed(b"hi", post(b"dropped"))
        assert (len(one.asked), one.asked[0].calls) == (1, [])
        assert one.transport.done == ["eof"]
        one.connection.eof_received()
        one.loop.run()
        assert one.transport.done == ["eof", "close"]
        assert one.loop.timers == 1, "the server's own"


def test_a_body_that_was_asked_for_excuses_none_that_comes_later() -> None:
    with Served() as one:
        one.head_first = ServerConnection.send_continue
        one.feed(post(b"hi", EXPECT)[:-2], b"hi")
        one.head_first = refuse
        one.feed(post(b"hi", EXPECT)[:-2])
        assert one.sent.endswith(LENGTH % 0 + CLOSE + b"\r\n")
        assert one.transport.done == ["eof"]


@pytest.mark.parametrize("request_bytes", [post(b"hello"), CHUNKED])
def test_after_a_refusal_by_the_head_the_rest_of_the_body_is_passed_over(
    request_bytes: bytes,
) -> None:
    wanted = b"HTTP/1.1 413 X\r\n" + LENGTH % 0 + b"\r\n"
    for at in range(1, len(request_bytes)):
        with Served() as one:
            one.head_first = refuse
            one.feed(request_bytes[:at], request_bytes[at:])
            assert (one.sent, one.asked[0].calls) == (wanted, [])
            assert one.state == "<ServerConnection IDLE, 1 requests>"
            one.head_first = None
            one.feed(post(b"next"))
            assert one.sent == wanted + said(b"next")
            assert one.loop.timers == 1


@pytest.mark.parametrize("request_bytes", [HOST + b"\r\n", post(b"hi"), CHUNKED])
def test_of_many_that_are_refused_at_once_each_waits_for_a_turn(request_bytes: bytes) -> None:
    """Thousands fit in one read, and were answered in one turn while everybody else waited."""
    with Served() as one:
        one.head_first = refuse
        one.feed(request_bytes * 3, run=False)
        assert len(one.asked) == 1
        one.far.shutdown(socket.SHUT_WR)
        assert one.connection.eof_received(), "those that have come whole are answered"
        for turn in (2, 3):
            one.loop.ready.popleft()()
            assert len(one.asked) == turn
        one.loop.run()
        assert one.sent.count(b"HTTP/1.1 413 X\r\n") == 3
        assert one.state == "<ServerConnection CLOSED, 3 requests>"


def test_a_refusal_in_front_of_a_body_that_never_comes_whole_is_read_before_the_end() -> None:
    with Served(wait) as one:
        one.feed(post(b"one") + post(b"two")[:-1])
        one.far.shutdown(socket.SHUT_WR)
        assert one.connection.eof_received()
        one.head_first = refuse
        echo(one.asked[0])
        one.loop.run()
        assert b"413" in one.sent
        assert one.transport.done == ["close"]


def test_a_body_that_nobody_reads_has_a_time_to_come() -> None:
    with Served() as one:
        one.head_first = refuse
        one.feed(post(b"hello")[:-1])
        assert one.state == "<ServerConnection REST, 1 requests>"
        one.loop.advance(LINGER - 1)
        assert one.transport.done == []
        one.loop.advance(2)
        assert one.transport.done == ["abort"]


def test_who_refuses_in_the_middle_of_a_body_hears_no_more_of_it() -> None:
    class Strict(Asked):
        def data(self, data: bytes) -> None:
            super().data(data)
            refuse(self.connection)

    for whole in (True, False):
        with Served() as one:
            make = Strict(one.connection, None, None, echo)  # type: ignore[arg-type]
            one.accept = lambda _head, _length, it=make: it  # type: ignore[method-assign]
            one.feed(post(b"hello")[: None if whole else -2], b"" if whole else b"lo")
            assert make.calls == ["data"]
            assert one.state == "<ServerConnection IDLE, 1 requests>"


@pytest.mark.parametrize("name", BAD_HEADS)
def test_a_bad_head_is_refused_behind_a_good_request_too(name: str) -> None:
    whole = post(b"hello") + BAD_HEADS[name] + b"\r\n\r\n" + post(b"dropped")
    for pieces in ([whole], [whole[i : i + 1] for i in range(len(whole))]):
        with Served() as one:
            one.feed(*pieces)
            assert one.sent == said(b"hello") + BAD
            assert (len(one.asked), len(one.refused)) == (1, 1)
            assert one.transport.done == ["eof"]
            one.loop.advance(LAST_READ)
            assert one.transport.done == ["eof", "abort"]
            assert one.left == 1


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_broken_body_is_told_to_its_handler_whose_answer_is_the_last(name: str) -> None:
    whole = BAD_BODIES[name] + b"\r\n\r\n" + post(b"dropped")
    for pieces in ([whole], [whole[i : i + 1] for i in range(len(whole))]):
        with Served() as one:
            one.feed(*pieces)
            assert one.sent == BAD_BODY
            assert one.asked[0].calls[-1] == "broken"
            assert len(one.asked) == 1
            assert one.transport.done == ["eof"]


def told_of(asked: Asked) -> None:
    """Be told of a broken body, and answer later."""
    asked.calls.append("broken")


@pytest.mark.parametrize("name", BAD_BODIES)
def test_what_comes_behind_a_broken_body_is_not_read_while_its_answer_is_awaited(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = BAD_BODIES[name]
    with Served() as one:
        for at in range(len(whole)):
            one.feed(whole[at : at + 1])
            if len(one.asked) == 1 and not one.asked[0].calls:
                monkeypatch.setattr(one.asked[0], "broken", partial(told_of, one.asked[0]))
        one.feed(whole, whole)
        assert one.asked[0].calls.count("broken") == 1
        assert (len(one.asked), one.sent) == (1, b"")


def test_a_broken_body_that_nobody_reads_ends_the_connection() -> None:
    with Served() as one:
        one.head_first = refuse
        one.feed(BAD_BODIES["no size"])
        assert one.sent.count(b"HTTP/1.1") == 1
        assert one.transport.done == ["close"]


# -------------------------------------------------------------------- ends


def test_cutting_an_answer_calls_nobody_back() -> None:
    with Served(wait) as one:
        one.feed(post(b"") + post(b"dropped"))
        one.connection.start(OK)
        one.connection.write(b"half")
        one.connection.abort()
        one.loop.run()
        assert one.sent == OK + TE + b"\r\n4\r\nhalf\r\n"
        assert (one.asked[0].calls, one.left, len(one.asked)) == (["end"], 1, 1)
        one.connection.abort()
        one.connection.write(b"late")
        assert b"late" not in one.sent


def test_last_words_are_sent_without_an_end() -> None:
    for takes in (True, False):
        with Served(wait) as one:
            one.feed(post(b""))
            one.connection.start(OK)
            one.transport.room = 10**9 if takes else 1
            one.connection.abort_after(b"error", 1.0)
            one.loop.run()
            assert one.sent == OK + TE + b"\r\n5\r\nerror\r\n"
            assert one.transport.done == ["close"]
            one.loop.advance(1.0)
            assert one.transport.done == (["close"] if takes else ["close", "abort"])
            assert one.asked[0].calls == ["end"]


def test_a_handler_hears_that_its_client_left_and_that_it_reads_again() -> None:
    with Served(wait) as one:
        one.feed(post(b""))
        one.connection.start(OK)
        one.transport.room = 1
        one.connection.write(b"x")
        assert one.connection.full
        one.transport.take_all()
        assert not one.connection.full
        one.transport.abort()
        one.loop.run()
        assert one.asked[0].calls == ["end", "writable", "gone"]
        one.connection.write(b"x")
        one.connection.finish()
        one.connection.drain()
        one.connection.drop()
        one.connection.close_idle()
        assert one.state == "<ServerConnection CLOSED, 1 requests>"


def test_a_request_whose_client_left_in_the_same_turn_is_not_whole() -> None:
    with Served() as one:
        one.feed(post(b""), run=False)
        one.transport.abort()
        one.loop.ready.rotate(1)
        one.loop.run()
        assert one.asked[0].calls == ["gone"]


@pytest.mark.parametrize("family", [socket.AF_UNIX, TCP])
@pytest.mark.parametrize("begun", [b"", post(b"hi")[:9], post(b"hi")[:-1]])
def test_an_end_without_a_whole_request_is_the_connections_end(
    begun: bytes, family: socket.AddressFamily
) -> None:
    with Served(family=family) as one:
        one.feed(begun)
        one.connection.eof_received()
        one.loop.run()
        assert one.state.startswith("<ServerConnection CLOSED")
        assert [each.calls[-1] for each in one.asked] == ["gone"] * (begun[-1:] == b"h")
        assert one.sent == b""


def test_on_tcp_an_end_is_a_leave_however_full_the_client_is() -> None:
    with Served(wait, family=TCP) as one:
        assert one.connection.on_tcp
        assert one.connection.uid is None
        one.feed(post(b"hi"))
        one.connection.start(OK)
        one.transport.room = 1
        one.connection.write(b"x")
        one.connection.eof_received()
        one.loop.run()
        assert one.asked[0].calls == ["data", "end", "gone"]


def test_a_half_closed_unix_client_gets_all_its_answers_and_then_the_end() -> None:
    with Served(wait) as one:
        one.feed(post(b"one") + post(b"two") + post(b"three")[:-1])
        one.far.shutdown(socket.SHUT_WR)
        assert one.connection.eof_received()
        one.loop.advance(1.0)
        for asked in (0, 1):
            assert one.transport.done == []
            echo(one.asked[asked])
            one.loop.run()
        assert one.sent == said(b"one") + said(b"two")
        assert one.transport.done == ["abort"], "the third can never be whole"


def test_a_half_close_between_two_answers_loses_none() -> None:
    with Served(wait) as one:
        one.feed(post(b"one") + post(b"two"))
        echo(one.asked[0])
        one.far.shutdown(socket.SHUT_WR)
        assert one.connection.eof_received(), "the second is about to be read"
        one.loop.run()
        echo(one.asked[1])
        one.loop.run()
        assert one.sent == said(b"one") + said(b"two", CLOSE)
        assert one.state == "<ServerConnection CLOSED, 2 requests>"


def test_a_unix_client_that_leaves_after_its_half_close_is_let_go() -> None:
    with Served(wait) as one:
        one.feed(post(b"one"))
        one.far.shutdown(socket.SHUT_WR)
        assert one.connection.eof_received()
        one.loop.advance(10 * LEFT_EVERY)
        assert one.asked[0].calls == ["data", "end"]
        one.far.close()
        one.loop.advance(LEFT_EVERY)
        assert one.asked[0].calls == ["data", "end", "gone"]


def test_one_that_has_left_already_is_not_waited_for() -> None:
    with Served(wait) as one:
        one.feed(post(b"one"))
        one.far.close()
        one.connection.eof_received()
        one.loop.run()
        assert one.asked[0].calls == ["data", "end", "gone"]


@pytest.mark.parametrize("family", [socket.AF_UNIX, TCP])
def test_one_that_leaves_while_it_is_not_read_from_is_let_go(family: socket.AddressFamily) -> None:
    with Served(wait, family=family) as one:
        one.feed(post(b"one"), b"x" * (MAX_PIPELINED + 1))
        one.loop.advance(3 * LEFT_EVERY)
        assert one.asked[0].calls == ["data", "end"]
        one.far.close()
        one.loop.advance(LEFT_EVERY)
        assert one.asked[0].calls == ["data", "end", "gone"]


def test_nobody_looks_any_more_when_it_is_read_again() -> None:
    with Served(wait) as one:
        one.feed(post(b"one"), b"\r\n" * MAX_PIPELINED)
        echo(one.asked[0])
        one.loop.run()
        assert one.transport.done == ["pause", "resume"]
        one.loop.advance(LEFT_EVERY)
        assert one.loop.timers == 1, "the server's own"


# -------------------------------------------------------------------- handing over


def test_a_handed_over_connection_is_told_of_an_end_that_came_before() -> None:
    for stays in (True, False):
        with Served(wait) as one:
            one.other = Other(stays=stays)
            one.feed(post(b"one") + OTHER)
            one.far.shutdown(socket.SHUT_WR)
            assert one.connection.eof_received()
            echo(one.asked[0])
            one.loop.run()
            assert (one.other.got, one.other.eof) == (OTHER, True)
            assert ("close" in one.transport.done) is not stays
            one.loop.advance(1)


def test_a_handed_over_connection_can_be_dropped() -> None:
    with Served() as one:
        one.feed(OTHER)
        one.connection.drop()
        assert one.transport.done == ["set_protocol", "abort"]


def test_a_connection_that_is_lost_is_not_handed_over() -> None:
    with Served() as one:
        one.head_first = None
        one.accept = lambda _head, _length: one.connection.connection_lost(None)  # type: ignore[method-assign]
        one.feed(OTHER)
        assert one.other.got == b""


# -------------------------------------------------------------------- coming in


def test_who_finds_no_place_is_cut() -> None:
    with Served(place=False) as one:
        one.loop.run()
        assert (one.transport.done, one.left) == (["abort"], 0)


def test_on_tcp_a_head_has_a_time_to_come() -> None:
    with Served(family=TCP) as one:
        one.feed(post(b"")[:-1])
        one.loop.advance(9.9)
        assert one.transport.done == []
        assert not one.connection.has_head
        one.loop.advance(0.2)
        assert one.transport.done == ["abort"]
    with Served(wait, family=TCP) as one:
        one.feed(post(b""))
        one.loop.advance(30)
        assert (one.transport.done, one.connection.has_head) == ([], True)
    with Served() as one:
        one.loop.advance(30)
        assert one.transport.done == [], "a Unix client may take its time"
    with Served(family=TCP) as one:
        one.transport.abort()
        one.loop.advance(30)
        assert one.transport.done == ["abort"]


def test_a_head_that_waits_in_the_socket_of_a_stopped_process_is_read_first() -> None:
    for read in (True, False):
        with Served(family=TCP) as one:
            one.far.send(post(b""))
            one.loop.advance(10.0)
            assert one.transport.done == []
            if read:
                one.feed(one.near.recv(1000))
            one.loop.advance(1.0)
            assert one.transport.done == ([] if read else ["abort"])


def test_the_user_at_the_other_end_is_known() -> None:

    with Served() as one:
        assert one.connection.uid == os.getuid()


def test_a_half_close_while_an_answer_is_on_its_way_ends_the_connection_behind_it() -> None:
    with Served(wait) as one:
        one.feed(post(b""))
        one.connection.start(OK)
        one.connection.write(b"half")
        one.far.shutdown(socket.SHUT_WR)
        assert one.connection.eof_received()
        one.connection.finish()
        one.loop.run()
        assert one.sent.endswith(b"0\r\n\r\n")
        assert one.state == "<ServerConnection CLOSED, 1 requests>"


def test_what_is_no_http_behind_a_half_close_is_refused_and_nothing_more_is_read() -> None:
    with Served(wait) as one:
        one.feed(post(b"one") + b"junk\r\n\r\n")
        one.far.shutdown(socket.SHUT_WR)
        assert one.connection.eof_received()
        echo(one.asked[0])
        one.loop.run()
        assert one.sent == said(b"one") + BAD
        assert one.transport.done == ["close"]


def test_that_a_client_reads_again_is_told_in_the_next_turn_if_it_still_holds() -> None:
    with Served(wait) as one:
        one.feed(post(b""))
        one.connection.resume_writing()
        one.connection.pause_writing()
        one.loop.run()
        assert one.asked[0].calls == ["end"]
        one.connection.resume_writing()
        one.loop.run()
        assert one.asked[0].calls == ["end", "writable"]
        one.connection.resume_writing()
        one.connection.start(OK, length=0)
        one.connection.finish()
        one.loop.run()
        assert one.asked[0].calls == ["end", "writable"]


def test_what_a_request_was_for_is_known_from_its_head_on() -> None:
    with Served() as one:
        assert one.connection.target == b""
        one.feed(post(b"hello")[:-1])
        assert one.connection.target == b"/x"
    for junk, target in ((b"POST /y HTTP/1.9\r\n\r\n", b"/y"), (b"junk\r\n\r\n", b"")):
        with Served() as one:
            one.feed(junk)
            assert one.connection.target == target


def test_who_is_at_the_other_end_is_read_once() -> None:
    with Served() as one:
        assert one.connection.uid == os.geteuid()
        groups = one.connection.groups
        assert os.getegid() in groups
        assert one.connection.groups is groups
    with Served(family=TCP) as one:
        assert (one.connection.uid, one.connection.groups) == (None, frozenset())


def test_what_comes_with_a_head_whose_handler_cuts_the_connection_is_not_read() -> None:
    with Served() as one:
        one.head_first = ServerConnection.drop
        one.feed(post(b"hello"), run=False)
        assert one.state == "<ServerConnection CLOSING, 1 requests>"
        assert one.asked[0].calls == []


def test_who_was_asked_for_its_body_and_answered_before_it_goes_on() -> None:
    for asks, keeps in ((True, True), (False, False)):
        with Served(wait) as one:
            one.head_first = ServerConnection.send_continue if asks else None
            one.feed(post(b"hello", EXPECT)[:-5])
            echo(one.asked[0])
            assert one.sent == (CONTINUE if asks else b"") + said(b"", b"" if keeps else CLOSE)
            if keeps:
                one.feed(b"hello" + post(b""))
                assert len(one.asked) == 2
