"""Who only says that it will send no more gets its answer; who leaves is let go."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import anyio
import pytest
import uvloop
from aiohttp import web

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.serve.clients import Clients
from exo_supervisor.serve.control.handed_over import HandedOver
from exo_supervisor.serve.door import Door
from exo_supervisor.serve.listener import Listener
from tests.budget import budget
from tests.serve.listening import no_dispatch

pytestmark = pytest.mark.real_time
GET = b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n"
SOON = budget(0.3)


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Both loops, since they tell of an end in different ways."""
    assert uvloop.Loop is not asyncio.SelectorEventLoop
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


class House:
    """Answers a request with its path once it may; who was let go is counted."""

    def __init__(self) -> None:
        self.asked = anyio.Event()
        self.may = anyio.Event()
        self.left = anyio.Event()

    async def serve(self, request: web.BaseRequest, _: Refusal | None) -> web.StreamResponse:
        try:
            self.asked.set()
            await request.read()
            await self.may.wait()
        except BaseException:
            self.left.set()
            raise
        return web.Response(text=f"<{request.path}>")


@asynccontextmanager
async def house(family: int = socket.AF_UNIX) -> AsyncGenerator[tuple[House, socket.socket]]:
    """Serve on one socket, and connect to it."""
    one = House()
    others, door = HandedOver(one.serve), Door(monotonic)
    listener = Listener(no_dispatch, (), others, door, clients=Clients(), drain_timeout=0.1)
    with TemporaryDirectory() as directory, socket.socket(family) as bound:
        unix = family == socket.AF_UNIX
        bound.bind(str(Path(directory) / "s") if unix else ("127.0.0.1", 0))
        await listener.listen([bound])
        with socket.socket(family) as client:
            client.setblocking(False)  # noqa: FBT003 -- the library's own form
            await asyncio.get_running_loop().sock_connect(client, bound.getsockname())
            yield one, client
        await listener.drain()


async def rest(client: socket.socket) -> bytes:
    """Read to the end, which must come without a wait for a next request."""
    loop, said = asyncio.get_running_loop(), b""
    with anyio.fail_after(60):
        while part := await loop.sock_recv(client, 65_536):
            said += part
    return said


async def test_a_half_closed_unix_client_gets_its_answer() -> None:
    async with house() as (one, client):
        client.send(GET % 1)
        client.shutdown(socket.SHUT_WR)
        await one.asked.wait()
        await anyio.sleep(0.05)  # the end comes while it waits
        one.may.set()
        said = await rest(client)
        assert b"</1>" in said
        assert b"connection: close\r\n" in said.lower()
        assert not one.left.is_set()


async def test_it_may_also_end_while_it_waits() -> None:
    async with house() as (one, client):
        client.send(GET % 1)
        await one.asked.wait()
        client.shutdown(socket.SHUT_WR)
        await anyio.sleep(0.05)
        one.may.set()
        assert b"</1>" in await rest(client)


@SOON
@pytest.mark.parametrize("half", [True, False])
async def test_one_that_leaves_is_let_go_at_once_or_after_its_half_close(
    within: float, *, half: bool
) -> None:
    async with house() as (one, client):
        client.send(GET % 1)
        await one.asked.wait()
        if half:
            client.shutdown(socket.SHUT_WR)
            await anyio.sleep(0.05)
            assert not one.left.is_set()
        client.close()
        with anyio.fail_after(within):
            await one.left.wait()


@SOON
async def test_a_body_that_can_never_come_whole_is_a_leave(within: float) -> None:
    async with house() as (one, client):
        client.send(b"POST /1 HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhal")
        await one.asked.wait()
        client.shutdown(socket.SHUT_WR)
        with anyio.fail_after(within):
            await one.left.wait()
        assert await rest(client) == b""


@pytest.mark.parametrize("said", [b"", b"GET / HT"])
async def test_who_asked_for_nothing_is_closed(said: bytes) -> None:
    async with house() as (_, client):
        client.send(said)
        client.shutdown(socket.SHUT_WR)
        assert await rest(client) == b""


@SOON
async def test_on_tcp_an_end_is_a_leave(within: float) -> None:
    async with house(socket.AF_INET) as (one, client):
        client.send(GET % 1)
        await one.asked.wait()
        client.shutdown(socket.SHUT_WR)
        with anyio.fail_after(within):
            await one.left.wait()
