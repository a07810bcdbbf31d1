"""A body is read as far as there is room, and one that is refused spoils nothing else."""

import asyncio
import json
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest
import uvloop
from aiohttp import web
from structlog.testing import capture_logs

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.core.requests.admission import Gate
from exo_supervisor.core.requests.bodies import Bodies
from tests.demo.raw import exchanged, heard, taken_apart
from tests.serve import talking
from tests.serve.listening import HOST, listening
from tests.serve.talking import Node

pytestmark = pytest.mark.real_time

LIMIT = 1000
SECRET = "sk-secret-prompt"
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Both loops, since they read and close in different ways."""
    assert uvloop.Loop is not asyncio.SelectorEventLoop
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@asynccontextmanager
async def housed(gate: Gate) -> AsyncGenerator[int]:
    """Serve a house that nobody can answer in: each request that is read well is left alone."""
    async with talking.housed(Node(), start=False, gate=gate, max_body=LIMIT) as house:
        yield house.port


def post(body: bytes, *more: bytes) -> bytes:
    lines = [b"content-length: %d" % len(body), *more]
    return HEAD + b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def answers(raw: bytes) -> list[tuple[int, str]]:
    """Tell each answer's status and code."""
    told: list[tuple[int, str]] = []
    for one in raw.split(b"HTTP/1.1 ")[1:]:
        reply = taken_apart(b"HTTP/1.1 " + one)
        assert reply.whole
        body = json.loads(reply.body)
        told.append((reply.status, body.get("error", {}).get("code", "")))
    return told


@pytest.mark.parametrize(
    ("request_bytes", "refused"),
    [
        (post(b"{"), (400, "bad_json")),
        (post(b"\xff"), (400, "bad_json")),
        (post(b"[" * 900), (400, "bad_json")),
        (post(b"x" * (LIMIT + 1)), (413, "body_too_large")),
        (CHUNKED + chunk(b"x" * 600) + chunk(b"x" * 600) + b"0\r\n\r\n", (413, "body_too_large")),
        (post(b"{}", b"x-supervisor-nonsense: 1"), (400, "bad_header")),
    ],
)
async def test_after_a_bad_request_the_connection_serves_the_next(
    request_bytes: bytes, refused: tuple[int, str]
) -> None:
    async with housed(Gate(10)) as port:
        raw = await exchanged(request_bytes + HEALTH, HOST, port)
    assert answers(raw) == [refused, (200, "")]


CLOSE = b"connection: close"
PACKED = CHUNKED.replace(b"transfer", b"content-encoding: compress\r\ntransfer")


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ((CHUNKED + chunk(b"{") + b"zz\r\n" + SECRET.encode(),), "bad_http"),
        ((post(SECRET.encode(), b"content-encoding: compress", CLOSE),), "unsupported_encoding"),
        ((post(SECRET.encode(), b"content-encoding: zstd", CLOSE),), "bad_http"),
        ((post(b"{", b"content-encoding: identity", CLOSE),), "bad_json"),
    ],
)
async def test_a_body_that_cannot_be_read_is_the_clients_fault_and_not_repeated(
    parts: tuple[bytes, ...], code: str
) -> None:
    received = b""
    with capture_logs() as lines:
        async with housed(Gate(10)) as port, await anyio.connect_tcp(HOST, port) as client:
            for part in parts:
                await client.send(part)
                await anyio.sleep(0.05)
            with anyio.fail_after(60):
                async for data in client:
                    received += data
    told = taken_apart(received)
    assert told.status == (415 if code == "unsupported_encoding" else 400)
    assert json.loads(told.body)["error"]["code"] == code
    assert SECRET.encode() not in received
    assert SECRET not in str(lines)
    assert [line["event"] for line in lines] in (["request_done"], [])


async def test_a_coding_that_nobody_knows_is_refused_before_any_of_it_is_there() -> None:
    async with housed(Gate(10)) as port, await anyio.connect_tcp(HOST, port) as client:
        await client.send(PACKED)
        with anyio.fail_after(60):
            raw = await client.receive()
    assert answers(raw) == [(415, "unsupported_encoding")]


async def test_a_body_comes_as_it_was_sent_and_is_never_inflated() -> None:
    """One that is not inflated cannot grow: aiohttp would do that in the loop."""
    packed = zlib.compress(b"x" * 50_000_000)

    async def serve(request: web.BaseRequest, _: Refusal | None) -> web.StreamResponse:
        return web.Response(body=str(len(await request.content.read())).encode())

    asked = post(packed, b"content-encoding: deflate").replace(b"chat/completions", b"other", 1)
    async with listening(serve) as port:
        raw = await exchanged(asked, HOST, port)
    assert raw.endswith(b"\r\n\r\n%d" % len(packed))


@pytest.mark.parametrize("more", [b"zz\r\n" + SECRET.encode(), b"-5\r\n\r\n"])
async def test_a_body_that_breaks_later_on_is_the_clients_fault(more: bytes) -> None:
    gate = Gate(10)
    async with housed(gate) as port, await anyio.connect_tcp(HOST, port) as client:
        await client.send(CHUNKED + chunk(b"{"))
        await counted(lambda: gate.bodies.held == 1)
        await client.send(more)
        with anyio.fail_after(60):
            raw = await client.receive()
        assert answers(raw) == [(400, "bad_http")]
        assert SECRET.encode() not in raw
        assert (gate.bodies.sending, gate.bodies.held) == (0, 0)


async def test_half_sent_bodies_keep_nobody_out() -> None:
    gate = Gate(1)
    async with housed(gate) as port:
        async with AsyncExitStack() as stack:
            for _ in range(3):
                client = await stack.enter_async_context(await anyio.connect_tcp(HOST, port))
                await client.send(HEAD + b"content-length: 900\r\n\r\n" + b"x")
            await counted(lambda: gate.bodies.sending == 3)
            assert answers(await exchanged(post(b"{", CLOSE), HOST, port)) == [(400, "bad_json")]
        await counted(lambda: not gate.bodies.sending)


async def test_a_request_that_has_come_whole_is_refused_if_the_house_filled_up_meanwhile() -> None:
    gate = Gate(1)
    whole = post(b'{"model":"m","messages":[{"role":"user","content":"hi"}]}')
    async with housed(gate) as port, await anyio.connect_tcp(HOST, port) as client:
        await client.send(whole[:-1])
        await counted(lambda: gate.bodies.held > 0)
        assert gate.enter()
        await client.send(whole[-1:])
        with anyio.fail_after(60):
            raw = await client.receive()
        gate.leave()
    assert answers(raw) == [(503, "overloaded")]


async def counted(met: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not met():  # noqa: ASYNC110 -- the gate tells nobody
            await anyio.sleep(0.005)


async def test_a_body_is_announced_before_it_is_sent_if_the_client_likes() -> None:
    large = HEAD + b"expect: 100-continue\r\ncontent-length: 5000\r\n\r\n"
    small = HEAD + b"expect: 100-continue\r\ncontent-length: 50\r\n\r\n"
    async with housed(Gate(10)) as port:
        assert await heard(small, HOST, port, 0.2) == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw = await exchanged(large, HOST, port)
    assert answers(raw) == [(413, "body_too_large")]
    assert b"connection: close\r\n" in raw.lower(), "what follows might be the body or not"


async def test_an_old_client_is_never_told_to_continue() -> None:
    """An HTTP/1.0 client does not know that answer (RFC 9110, section 10.1.1)."""
    old = HEAD.replace(b"1.1", b"1.0") + b"expect: 100-continue\r\ncontent-length: 1\r\n\r\n{"
    async with housed(Gate(10)) as port:
        raw = await exchanged(old, HOST, port)
    assert raw.startswith(b"HTTP/1.0 400")


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_counted_out() -> None:
    gate = Gate(10)
    async with housed(gate) as port:
        async with await anyio.connect_tcp(HOST, port) as client:
            await client.send(HEAD + b"content-length: 900\r\n\r\n" + b"x" * 500)
            await counted(lambda: gate.bodies.held == 500)
        await counted(lambda: not gate.bodies.sending)


async def test_bodies_share_the_room_that_there_is() -> None:
    gate = Gate(10, Bodies(small=0, large=1400))
    async with housed(gate) as port:
        async with await anyio.connect_tcp(HOST, port) as client:
            await client.send(HEAD + b"content-length: 900\r\n\r\n" + b"x" * 500)
            await counted(lambda: gate.bodies.held == 500)
            full = await exchanged(post(b"x" * 300, b"connection: close"), HOST, port)
            assert answers(full) == [(503, "overloaded")]
            assert b"retry-after: 1\r\n" in full.lower()
            assert (gate.bodies.sending, gate.bodies.held) == (1, 500)
        await counted(lambda: not gate.bodies.sending)


async def test_more_requests_than_are_allowed_are_refused() -> None:
    gate = Gate(0)
    async with housed(gate) as port:
        raw = await exchanged(post(b"{}") + HEALTH, HOST, port)
    assert answers(raw) == [(503, "overloaded"), (200, "")]


async def test_a_head_request_has_no_body() -> None:
    head = b"HEAD /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    async with housed(Gate(10)) as port:
        raw = await exchanged(head, HOST, port)
    assert raw.startswith(b"HTTP/1.1 200")
    assert b"connection: close\r\n" in raw.lower()
    assert raw.endswith(b"\r\n\r\n")
