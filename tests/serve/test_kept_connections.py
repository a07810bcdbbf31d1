"""A target whose kept connections are dead, or that says much in its head, is a healthy target."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import msgspec
import pytest
import uvloop
from anyio.abc import SocketAttribute, SocketStream

from exo_supervisor.core.names import RequestId
from exo_supervisor.serve.upstream import Upstream, open_sessions
from exo_supervisor.wire.openai.inbound import read_chat
from tests.serve.asking import FailedError, opened
from tests.serve.talking import DONE, HEAD, STOP, TERMINATOR, attempt, text

pytestmark = pytest.mark.real_time

CHAT = read_chat(b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}')
ANSWER = text("here") + STOP + DONE + TERMINATOR
MANY = 5


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Both loops, since they read and close in different ways."""
    assert uvloop.Loop is not asyncio.SelectorEventLoop
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


class Target:
    """Answers each request; those over the connections of before it forgets with a reset."""

    def __init__(self, head: bytes = HEAD) -> None:
        self.head = head
        self.streams: list[SocketStream] = []
        self.old = 0
        self.resets = 0
        self.met = anyio.Event()

    async def handle(self, stream: SocketStream) -> None:
        self.streams.append(stream)
        mine = len(self.streams)
        async with stream:
            async for _ in stream:
                if mine <= self.old:
                    self.resets += 1
                    raw = stream.extra_attributes[SocketAttribute.raw_socket]()
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                    return
                if mine == MANY:
                    self.met.set()
                await self.met.wait()  # so that each of the first has its own connection
                await stream.send(self.head + ANSWER)


@asynccontextmanager
async def house(target: Target) -> AsyncGenerator[tuple[Upstream, str]]:
    nodes, clouds = open_sessions()
    async with (
        nodes,
        clouds,
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, target.handle)
        port = listener.extra_attributes[SocketAttribute.local_port]()
        yield Upstream(nodes, clouds, {"n:1": (None,)}.copy), f"http://127.0.0.1:{port}"
        tasks.cancel_scope.cancel()


async def ask(upstream: Upstream, url: str, *, cloud: bool = True) -> bytes:
    start = attempt(url, RequestId("r"))
    if cloud:
        start = msgspec.structs.replace(start, generation=None)
    answer = await opened(upstream, start, CHAT)
    said = b""
    while part := await answer.read():
        said += part
    answer.close()
    return said


@pytest.mark.parametrize("cloud", [True, False])
async def test_a_pool_full_of_dead_connections_fails_no_attempt(*, cloud: bool) -> None:
    target = Target()
    async with house(target) as (upstream, url):
        async with anyio.create_task_group() as tasks:
            for _ in range(MANY):
                tasks.start_soon(ask, upstream, url)
        assert len(target.streams) == MANY
        target.old = MANY
        for _ in range(MANY):
            assert b"here" in await ask(upstream, url, cloud=cloud)
    assert target.resets == (1 if cloud else 0), "those that rest beside a dead one are not tried"


@pytest.mark.parametrize(("size", "good"), [(9_000, True), (60_000, True), (70_000, False)])
async def test_a_head_may_say_much_but_not_without_end(size: int, *, good: bool) -> None:
    head = HEAD.replace(b"\r\n\r\n", b"\r\nset-cookie: " + b"x" * size + b"\r\n\r\n", 1)
    target = Target(head)
    target.met.set()  # one is enough here
    async with house(target) as (upstream, url):
        if good:
            assert b"here" in await ask(upstream, url)
            return
        with pytest.raises(FailedError):
            await ask(upstream, url)
