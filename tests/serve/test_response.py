"""A client can tell an answer that is whole from one that is not, byte by byte."""

import asyncio
import json
from collections.abc import Callable
from math import inf

import anyio
import pytest
import uvloop
from anyio.abc import SocketAttribute

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.http.server_connection import ServerConnection
from exo_supervisor.serve.dispatch_head import DispatchHead
from exo_supervisor.serve.heads import Served, harmless, served_lines
from exo_supervisor.serve.listener import Begin
from exo_supervisor.serve.response import PIECE, SMALL, Response, in_pieces
from exo_supervisor.wire.dialect import Reply
from exo_supervisor.wire.openai.framing import FRAMING
from exo_supervisor.wire.openai.inbound import read_chat
from tests.demo.raw import exchanged, heard, replayed, taken_apart
from tests.serve.listening import HOST, listening
from tests.serve.virtual import Browser, Loop

pytestmark = pytest.mark.real_time

Talk = Callable[[Response], object]
SERVED = Served("mac:52415", 2, "busy", "m")
REPLY = Reply(
    "req-1", 1, "m", read_chat(b'{"model":"m","messages":[{"role":"user","content":"hi"}]}')
)
LINE = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
ASK = LINE + b"content-length: 0\r\n\r\n"
LAST = LINE + b"content-length: 0\r\nconnection: close\r\n\r\n"
OLD = ASK.replace(b"HTTP/1.1", b"HTTP/1.0")
TERMINATOR = b"0\r\n\r\n"
PART = b'data: {"n":1}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Both loops, since they close and flush in different ways."""
    assert uvloop.Loop is not asyncio.SelectorEventLoop
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


class Talking:
    """Answers a request by talking to its client."""

    def __init__(self, talk: Talk, connection: ServerConnection) -> None:
        self._talk, self._connection = talk, connection
        self.response = Response(connection, "req-1", FRAMING)

    def end(self) -> None:
        self._talk(self.response)

    def writable(self) -> None:
        self.response.send_on()

    def gone(self) -> None:
        GONE.append(self)

    def data(self, data: bytes) -> None:
        raise AssertionError(data)

    def broken(self) -> None:
        raise AssertionError


GONE: list[Talking] = []


@pytest.mark.parametrize("size", [SMALL, SMALL + 1])
def test_what_is_small_goes_out_with_its_end_and_what_is_not_as_it_is_taken(size: int) -> None:
    """Of what is not small no end is told before the client has taken the rest."""
    body = b"x" * size
    sends: list[Talk] = [
        lambda response: response.send_whole([body[:1], body[1:]], SERVED),
        lambda response: (response.commit(SERVED, REPLY), response.finish(body)),
    ]
    for send in sends:
        client = Browser(Loop(), blocks={0: inf})
        send(Response(client, "req-1", FRAMING))
        assert client.end == ("whole" if size == SMALL else "")


def replying(talk: Talk) -> Begin:
    def begin(connection: ServerConnection, _: DispatchHead, __: int | None) -> Talking:
        return Talking(talk, connection)

    return begin


def refusal(status: int = 503, retry_after: float | None = None) -> Refusal:
    return Refusal(status, "no_target", "nobody can", "model", retry_after)


def answers(response: Response) -> None:
    response.write(response.commit(SERVED, REPLY) + PART)
    response.write(DONE)
    response.finish(b"")


def breaks_off(response: Response) -> None:
    response.write(response.commit(SERVED, REPLY) + PART)
    response.refuse(Refusal(502, "attempts_failed", "it broke off"))


async def test_a_whole_stream_has_its_head_its_parts_and_its_terminator() -> None:
    async with listening(begin=replying(answers)) as port:
        raw = await exchanged(LAST, HOST, port)
    told = taken_apart(raw)
    assert (told.status, told.body, told.whole) == (200, PART + DONE, True)
    assert raw.endswith(TERMINATOR)
    assert raw.count(TERMINATOR) == 1
    shown = {name: told.headers[name] for name in told.headers if name.startswith("x-")}
    assert shown == {
        "x-request-id": "req-1",
        "x-accel-buffering": "no",
        "x-supervisor-target": "mac:52415",
        "x-supervisor-attempts": "2",
        "x-supervisor-shift": "busy",
        "x-supervisor-model": "m",
    }
    assert told.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert told.headers["server"] == "exo-supervisor"


async def test_an_answer_that_broke_off_has_an_error_event_and_no_terminator() -> None:
    async with listening(begin=replying(breaks_off)) as port:
        raw = await exchanged(ASK, HOST, port)
    told = taken_apart(raw)
    assert not told.whole
    assert TERMINATOR not in raw
    part, error, rest = told.body.split(b"\n\n")
    assert (part + b"\n\n", rest) == (PART, b"")
    assert json.loads(error.removeprefix(b"data: "))["error"]["code"] == "attempts_failed"


async def test_a_long_answer_that_broke_off_loses_none_of_what_was_written() -> None:
    def talk(response: Response) -> None:
        response.write(response.commit(SERVED, REPLY) + PART * 100_000)
        response.refuse(Refusal(502, "attempts_failed", "it broke off"))

    async with listening(begin=replying(talk)) as port:
        raw = await exchanged(ASK, HOST, port)
    told = taken_apart(raw)
    assert told.body.count(PART) == 100_000
    assert b"attempts_failed" in told.body
    assert not told.whole


async def test_a_refusal_after_the_head_is_an_event_and_a_cut() -> None:
    def talk(response: Response) -> None:
        response.send_keepalive(REPLY)
        response.send_keepalive(REPLY)
        response.refuse(refusal())

    async with listening(begin=replying(talk)) as port:
        raw = await exchanged(ASK, HOST, port)
    told = taken_apart(raw)
    assert (told.status, told.whole) == (200, False)
    assert TERMINATOR not in raw
    assert told.body.startswith(b": keep-alive\n\n" * 2 + b'data: {"error":')
    assert b"no_target" in told.body


async def test_a_head_that_went_out_early_is_followed_by_who_answers() -> None:
    def talk(response: Response) -> None:
        response.send_keepalive(REPLY)
        response.write(response.commit(SERVED, REPLY) + DONE)
        response.finish(b"")

    async with listening(begin=replying(talk)) as port:
        told = await replayed(LAST, HOST, port)
    alive, comment, *rest = told.body.split(b"\n\n")
    assert (alive, rest) == (b": keep-alive", [b"data: [DONE]", b""])
    assert json.loads(comment.removeprefix(b": supervisor ")) == {
        "target": "mac:52415",
        "attempts": 2,
        "shift": "busy",
        "model": "m",
    }
    assert told.whole
    assert "x-supervisor-target" not in told.headers


async def test_a_plain_refusal_is_an_error_and_its_connection_goes_on() -> None:
    def talk(response: Response) -> None:
        response.refuse(refusal(retry_after=1.2))

    async with listening(begin=replying(talk)) as port:
        raw = await exchanged(ASK + LAST, HOST, port)
    first, second = raw.split(b"HTTP/1.1 503")[1:]
    for each in (first, second):
        told = taken_apart(b"HTTP/1.1 503" + each)
        assert (told.status, told.whole) == (503, True)
        assert told.headers["retry-after"] == "2", "sooner than it can be would be a lie"
        error = json.loads(told.body)["error"]
        assert (error["code"], error["param"]) == ("no_target", "model")


async def test_a_whole_json_answer_has_its_length() -> None:
    async with listening(
        begin=replying(lambda response: response.send_whole([b'{"a"', b":1}"], SERVED))
    ) as port:
        raw = await exchanged(ASK + LAST, HOST, port)
    assert raw.count(b"HTTP/1.1 200") == 2
    told = taken_apart(raw[: raw.index(b"HTTP/1.1", 1)])
    assert (told.body, told.headers["content-length"]) == (b'{"a":1}', "7")
    assert told.headers["x-supervisor-target"] == "mac:52415"


async def test_a_large_json_answer_comes_whole_at_the_pace_of_its_client() -> None:
    parts = [b'"%b"' % (b"x" * size) for size in (3, 5 * PIECE, 9, PIECE - 2, 2 * PIECE)]
    said = b"".join(parts)
    async with listening(
        begin=replying(lambda response: response.send_whole(parts, SERVED))
    ) as port:
        told = await replayed(LAST, HOST, port)
    assert (told.body == said, told.whole) == (True, True)
    assert parts == [], "what the client has taken is held no more"


def test_pieces_are_neither_many_nor_large() -> None:
    pieces = list(in_pieces([b"a"] * 1000 + [b"b" * (3 * PIECE)]))
    assert list(map(len, pieces)) == [PIECE + 1000, PIECE, PIECE]
    exact = [b"a" * (PIECE - 1), b"b"] * 2
    assert list(map(len, in_pieces(exact))) == [PIECE, PIECE]
    assert list(in_pieces([])) == []


async def test_an_old_client_gets_no_chunks_and_an_end_that_closes() -> None:
    """HTTP/1.0 knows no chunks (RFC 9112, section 7): its body ends with the connection."""
    async with listening(begin=replying(answers)) as port:
        raw = await exchanged(OLD, HOST, port)
        told = taken_apart(raw)
        assert (told.body, TERMINATOR in raw) == (PART + DONE, False)
        assert "transfer-encoding" not in told.headers
    async with listening(begin=replying(breaks_off)) as port:
        told = taken_apart(await exchanged(OLD, HOST, port))
    assert b"attempts_failed" in told.body
    assert b"[DONE]" not in told.body


@pytest.mark.parametrize("ending", ["abort", "refuse"])
async def test_a_client_that_does_not_read_never_sees_an_end(ending: str) -> None:
    """It may read again later: what it finds must not look like a whole answer."""
    ended = anyio.Event()
    written = 0

    def talk(response: Response) -> None:
        nonlocal written
        written = len(PART) * 1_000_000
        response.write(response.commit(SERVED, REPLY) + PART * 1_000_000)
        assert response.client.full
        if ending == "abort":
            response.abort()
        else:
            response.refuse(Refusal(504, "deadline", "the deadline passed"))
        ended.set()

    async with (
        listening(begin=replying(talk)) as port,
        await anyio.connect_tcp(HOST, port) as client,
    ):
        await client.send(ASK)
        with anyio.fail_after(60):
            await ended.wait()
            await anyio.sleep(0.05)  # the server's own end of the response comes after
        received = bytearray()
        try:
            async for data in client:
                received += data
        except anyio.BrokenResourceError:
            pass
    assert not received.endswith(TERMINATOR)
    if ending == "abort":
        assert len(received) < written, "what nobody reads is not kept"
    else:
        assert b'"deadline"' in received[-300:]


async def test_a_client_that_left_is_told_of_and_what_is_written_is_lost() -> None:
    GONE.clear()
    writes: list[int] = []

    def talk(response: Response) -> None:
        response.write(response.commit(SERVED, REPLY) + PART * 1000)
        writes.append(1)

    async with listening(begin=replying(talk)) as port:
        async with await anyio.connect_tcp(HOST, port) as client:
            raw = client.extra_attributes[SocketAttribute.raw_socket]()
            raw.setsockopt(1, 13, b"\x01\0\0\0\0\0\0\0")  # SO_LINGER: a reset
            await client.send(ASK)
            await client.receive()
        with anyio.fail_after(60):
            while not GONE:  # noqa: ASYNC110 -- nobody tells
                await anyio.sleep(0.005)
        GONE[0].response.write(PART)
    assert writes == [1]


async def test_a_stream_that_waits_shows_its_head_at_once() -> None:
    async with listening(begin=replying(lambda response: response.send_keepalive(REPLY))) as port:
        raw = await heard(ASK, HOST, port, 0.2)
    assert raw.startswith(b"HTTP/1.1 200 OK\r\n")
    assert raw.endswith(b": keep-alive\n\n\r\n")


def test_a_strangers_model_name_is_harmless_in_a_header() -> None:
    assert harmless("a\r\nx: y\u00e9") == "a??x: y?"
    assert len(harmless("m" * 1000)) == 256
    assert served_lines(Served("t", 1, None, "\n" * 5)) == (
        b"x-supervisor-target: t\r\nx-supervisor-attempts: 1\r\nx-supervisor-model: ?????\r\n"
    )
