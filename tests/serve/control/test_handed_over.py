"""What answers other routes than chats: a slow reader, a crash, and what is no HTTP."""

import asyncio
import socket

import anyio
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.http.head import Head
from exo_supervisor.serve.control.handed_over import HandedOver
from exo_supervisor.serve.token import Judgement
from tests.serve.listening import HOST, Serve, listening

pytestmark = pytest.mark.real_time
ASK = b"GET /x?a=b#c HTTP/1.1\r\nhost: a\r\n\r\n"
PART = b"x" * 250_000


async def answered(serve: Serve, request: bytes = ASK) -> bytes:
    """Ask, and read to the end."""
    said = b""
    async with listening(serve) as port, await anyio.connect_tcp(HOST, port) as stream:
        await stream.send(request)
        with anyio.fail_after(60):
            async for part in stream:
                said += part
    return said


async def test_a_wait_for_a_slow_reader_may_be_cut_short_again_and_again() -> None:
    """And what was written meanwhile comes whole, once it reads."""
    parts, waited, read = [0], [0], anyio.Event()

    async def serve(request: web.BaseRequest, _: Refusal | None) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while waited[0] < 3:
            with anyio.move_on_after(0.001) as scope:
                await response.write(PART)
            parts[0] += 1
            waited[0] += scope.cancelled_caught
        read.set()
        await response.write_eof()
        return response

    async with listening(serve) as port, await anyio.connect_tcp(HOST, port) as stream:
        await stream.send(ASK)
        with anyio.fail_after(60):
            await read.wait()
            said = 0
            async for part in stream:
                said += part.count(b"x")
    assert said == parts[0] * len(PART)


async def test_a_request_is_its_connections_last_and_is_told_as_it_was_sent() -> None:
    async def serve(request: web.BaseRequest, _: Refusal | None) -> web.StreamResponse:
        return web.json_response([request.path, request.query_string])

    said = await answered(serve, ASK + ASK)
    assert said.count(b"HTTP/1.1 200 OK") == 1
    assert b"connection: close\r\n" in said.lower()
    assert said.endswith(b'["/x", "a=b"]')
    double = await answered(serve, ASK.replace(b"/x", b"//host/x"))
    assert double.endswith(b'["//host/x", "a=b"]'), "`//` begins no host here"


async def test_a_route_that_crashes_says_so_to_the_client_and_the_log_and_no_word_of_why() -> None:
    async def serve(_: web.BaseRequest, __: Refusal | None) -> web.StreamResponse:
        raise ZeroDivisionError("secret")

    with capture_logs() as lines:
        said = await answered(serve)
    assert said.startswith(b"HTTP/1.1 500 ")
    assert b'"code":"internal"' in said
    assert b"ZeroDivisionError" in said
    [line] = [line for line in lines if line["event"] == "connection_crashed"]
    assert line["crash"]
    assert b"secret" not in said


async def test_a_crash_in_the_midst_of_an_answer_is_a_cut() -> None:
    async def serve(request: web.BaseRequest, _: Refusal | None) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        raise ZeroDivisionError

    said = await answered(serve)
    assert said.startswith(b"HTTP/1.1 200 OK")
    assert b"half" in said
    assert b"internal" not in said


async def test_a_body_that_is_no_chunked_one_is_told_without_a_word_of_it() -> None:
    async def serve(request: web.BaseRequest, _: Refusal | None) -> web.StreamResponse:
        return web.Response(body=await request.read())

    head = b"PUT /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    said = await answered(serve, head + b"5\r\nhello\r\n0\r\n\r\n")
    assert said.endswith(b"hello")
    broken = await answered(serve, head + b"zz\r\nsecret\r\n")
    assert b'"code":"bad_http"' in broken
    assert b"secret" not in broken


POST = b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "answers"), [(ASK, True), (POST + b"hell", False), (POST + b"hello", True)]
)
async def test_an_end_that_comes_with_the_request_is_one_of_a_half_close_if_that_is_whole(
    said: bytes, *, answers: bool
) -> None:
    """The request has begun to be served by nobody yet."""

    async def serve(request: web.BaseRequest, _: Refusal | None) -> web.StreamResponse:
        return web.Response(body=b"got " + await request.read())

    near, far = socket.socketpair(socket.AF_UNIX)
    near.setblocking(False)  # noqa: FBT003 -- the library's own form
    loop, left = asyncio.get_running_loop(), asyncio.Event()
    transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, far)
    judged = Judgement(Head(b"GET", b"/x", {}, (), is_old=False))
    protocol = HandedOver(serve).connection(judged, left.set)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    protocol.data_received(said)
    assert bool(protocol.eof_received()) is answers
    if answers:
        assert (await loop.sock_recv(near, 9)).startswith(b"HTTP/1.1")
    else:
        transport.close()
    await left.wait()
    near.close()
