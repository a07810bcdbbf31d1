"""A client can tell an answer that is whole from one that is not, byte by byte."""

import asyncio
import json
from collections.abc import Callable, Coroutine

import anyio
import pytest
import uvloop
from aiohttp import web
from anyio.abc import SocketAttribute

from exo_supervisor.core.effects import Refuse
from exo_supervisor.core.names import RequestId
from exo_supervisor.serve.response import Reply, Served, harmless, served_headers
from tests.demo.raw import exchanged, heard, replayed, taken_apart
from tests.serve.listening import HOST, listening, replying

pytestmark = pytest.mark.real_time

Talk = Callable[[Reply], Coroutine[None, None, None]]
SERVED = Served("mac:52415", 2, "busy", "m")
ASK = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"
TERMINATOR = b"0\r\n\r\n"
PART = b'data: {"n":1}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Both loops, since they close and flush in different ways."""
    assert uvloop.Loop is not asyncio.SelectorEventLoop
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


def refusal(status: int = 503, retry_after: float | None = None) -> Refuse:
    return Refuse(
        request=RequestId("r"),
        status=status,
        code="no_target",
        message="nobody can",
        param="model",
        retry_after=retry_after,
    )


async def answers(reply: Reply) -> None:
    await reply.commit(SERVED)
    await reply.write(PART)
    await reply.write(DONE)
    await reply.finish()


async def refuses(reply: Reply) -> None:
    await reply.refuse(refusal())


async def breaks_off(reply: Reply) -> None:
    await reply.commit(SERVED)
    await reply.write(PART)
    await reply.break_off(502, "attempts_failed", "it broke off")


async def test_a_whole_stream_has_its_head_its_parts_and_its_terminator() -> None:
    async with listening(replying(answers)) as port:
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


async def test_an_answer_that_broke_off_has_an_error_event_and_no_terminator() -> None:
    async with listening(replying(breaks_off)) as port:
        raw = await exchanged(ASK, HOST, port)
    told = taken_apart(raw)
    assert not told.whole
    assert TERMINATOR not in raw
    part, error, rest = told.body.split(b"\n\n")
    assert (part + b"\n\n", rest) == (PART, b"")
    assert json.loads(error.removeprefix(b"data: "))["error"]["code"] == "attempts_failed"


async def test_a_long_answer_that_broke_off_loses_none_of_what_was_written() -> None:
    async def talk(reply: Reply) -> None:
        await reply.commit(SERVED)
        for _ in range(200):
            await reply.write(PART * 1000)
        await reply.break_off(502, "attempts_failed", "it broke off")

    async with listening(replying(talk)) as port:
        raw = await exchanged(ASK, HOST, port)
    told = taken_apart(raw)
    assert told.body.count(PART) == 200_000
    assert b"attempts_failed" in told.body
    assert not told.whole


async def test_a_refusal_after_the_head_is_an_event_and_a_cut() -> None:
    async def talk(reply: Reply) -> None:
        await reply.beat()
        await reply.beat()
        await reply.refuse(refusal())

    async with listening(replying(talk)) as port:
        raw = await exchanged(ASK, HOST, port)
    told = taken_apart(raw)
    assert (told.status, told.whole) == (200, False)
    assert TERMINATOR not in raw
    assert told.body.startswith(b": keep-alive\n\n" * 2 + b'data: {"error":')
    assert b"no_target" in told.body


async def test_a_head_that_went_out_early_is_followed_by_who_answers() -> None:
    async def talk(reply: Reply) -> None:
        await reply.beat()
        await reply.commit(SERVED)
        await reply.beat()
        await reply.write(DONE)
        await reply.finish()
        await reply.beat()

    async with listening(replying(talk)) as port:
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


@pytest.mark.parametrize("after", [answers, refuses])
async def test_a_beat_and_what_follows_it_at_once_never_mix(after: Talk) -> None:
    """Whoever comes first, there is one head, and no keep-alive inside of the answer."""

    async def talk(reply: Reply) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(reply.beat)
            tasks.start_soon(after, reply)
            tasks.start_soon(reply.beat)

    async with listening(replying(talk)) as port:
        told = await replayed(LAST, HOST, port)
    assert told.status == 200
    first, _, rest = told.body.partition(b"data: ")
    assert first.startswith(b": keep-alive\n\n")
    assert b": keep-alive" not in rest


async def test_a_plain_refusal_is_an_error_and_its_connection_goes_on() -> None:
    async def talk(reply: Reply) -> None:
        await reply.refuse(refusal(retry_after=1.2))
        await reply.beat()

    async with listening(replying(talk)) as port:
        raw = await exchanged(ASK + LAST, HOST, port)
    first, second = raw.split(b"HTTP/1.1 503")[1:]
    for each in (first, second):
        told = taken_apart(b"HTTP/1.1 503" + each)
        assert (told.status, told.whole) == (503, True)
        assert told.headers["retry-after"] == "2", "sooner than it can be would be a lie"
        error = json.loads(told.body)["error"]
        assert (error["code"], error["param"]) == ("no_target", "model")


async def test_a_whole_json_answer_has_its_length() -> None:
    async def talk(reply: Reply) -> None:
        await reply.whole([b'{"a":1}'], SERVED)
        await reply.finish()

    async with listening(replying(talk)) as port:
        raw = await exchanged(ASK + LAST, HOST, port)
    assert raw.count(b"HTTP/1.1 200") == 2
    told = taken_apart(raw[: raw.index(b"HTTP/1.1", 1)])
    assert (told.body, told.headers["content-length"]) == (b'{"a":1}', "7")
    assert told.headers["x-supervisor-target"] == "mac:52415"


async def test_an_old_client_gets_no_chunks_and_an_end_that_closes() -> None:
    """HTTP/1.0 knows no chunks (RFC 9112, section 7): its body ends with the connection."""
    async with listening(replying(answers)) as port:
        raw = await exchanged(OLD, HOST, port)
        told = taken_apart(raw)
        assert (told.body, TERMINATOR in raw) == (PART + DONE, False)
        assert "transfer-encoding" not in told.headers
    async with listening(replying(breaks_off)) as port:
        told = taken_apart(await exchanged(OLD, HOST, port))
    assert b"attempts_failed" in told.body
    assert b"[DONE]" not in told.body


@pytest.mark.parametrize("ending", ["drop", "break_off"])
async def test_a_client_that_does_not_read_never_sees_an_end(ending: str) -> None:
    """It may read again later: what it finds must not look like a whole answer."""
    ended = anyio.Event()
    written = 0

    async def talk(reply: Reply) -> None:
        nonlocal written
        await reply.commit(SERVED)
        with anyio.move_on_after(0.2):
            while True:
                written += len(PART * 10_000)
                await reply.write(PART * 10_000)
        if ending == "drop":
            reply.drop()
        else:
            await reply.break_off(504, "deadline", "the deadline passed")
        ended.set()

    async with listening(replying(talk)) as port, await anyio.connect_tcp(HOST, port) as client:
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
    assert received
    assert not received.endswith(TERMINATOR)
    if ending == "drop":
        assert len(received) < written, "what nobody reads is not kept"
    else:
        assert b'"deadline"' in received[-300:]


async def test_writing_to_a_client_that_left_says_so_and_waits_for_nothing() -> None:
    noticed = anyio.Event()

    async def talk(reply: Reply) -> None:
        await reply.commit(SERVED)
        try:
            while True:
                await reply.write(PART * 1000)
        finally:
            noticed.set()

    async with listening(replying(talk)) as port:
        async with await anyio.connect_tcp(HOST, port) as client:
            raw = client.extra_attributes[SocketAttribute.raw_socket]()
            raw.setsockopt(1, 13, b"\x01\0\0\0\0\0\0\0")  # SO_LINGER: a reset
            await client.send(ASK)
            await client.receive()
        with anyio.fail_after(60):
            await noticed.wait()


async def test_a_beat_of_a_client_that_left_is_quiet() -> None:
    over: list[bool] = []

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        reply = Reply(request, "req-1")
        assert request.transport is not None
        request.transport.abort()
        await reply.beat()
        over.append(reply.over)
        return reply.response

    async with listening(serve) as port:
        assert await exchanged(ASK, HOST, port) == b""
    assert over == [True]


async def test_a_stream_that_waits_shows_its_head_at_once() -> None:
    async def talk(reply: Reply) -> None:
        await reply.beat()
        await anyio.sleep_forever()

    async with listening(replying(talk)) as port:
        raw = await heard(ASK, HOST, port, 0.2)
    assert raw.startswith(b"HTTP/1.1 200 OK\r\n")
    assert raw.endswith(b": keep-alive\n\n\r\n")


def test_a_strangers_model_name_is_harmless_in_a_header() -> None:
    assert harmless("a\r\nx: y\u00e9") == "a??x: y?"
    assert len(harmless("m" * 1000)) == 256
    shown = served_headers(Served("t", 1, None, "\n" * 5))
    assert shown == {
        "x-supervisor-target": "t",
        "x-supervisor-attempts": "1",
        "x-supervisor-model": "?????",
    }
