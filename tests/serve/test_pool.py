"""A connection brings no words of an older request, and our own want blames no target."""

import asyncio
import os
import resource
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Literal

import anyio
import msgspec
import pytest
import uvloop
from anyio.abc import SocketAttribute, SocketStream
from structlog.testing import capture_logs

from exo_supervisor.core.names import RequestId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.serve.upstream import Upstream, open_sessions
from exo_supervisor.wire.openai.inbound import read_chat
from tests.serve.asking import FailedError, opened
from tests.serve.talking import DONE, HEAD, STOP, TERMINATOR, attempt, text

pytestmark = pytest.mark.real_time

CHAT = read_chat(b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}')


def answer(content: str) -> bytes:
    return HEAD + text(content) + STOP + DONE + TERMINATOR


STRAY = {
    "an answer": answer("stale"),
    "half a head": b"HTTP/1.1 2",
    "a 408": b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n",
    "no HTTP": b"\r\n",
    "nothing": b"",
}
Target = Literal["node", "cloud"]


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Both loops, since they read and close in different ways."""
    assert uvloop.Loop is not asyncio.SelectorEventLoop
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


class Talker:
    """An upstream that answers each request with the number of its connection."""

    def __init__(self) -> None:
        self.connections: list[SocketStream] = []
        self.glued = b""

    async def handle(self, stream: SocketStream) -> None:
        self.connections.append(stream)
        mine = len(self.connections)
        async with stream:
            with suppress(anyio.BrokenResourceError):  # closed with something unread
                async for _ in stream:
                    head, end = answer(f"from {mine}").split(STOP)
                    await stream.send(head)
                    await anyio.sleep(0.02)  # so that the end comes while the body is read
                    await stream.send(STOP + end + self.glued)


@asynccontextmanager
async def talker() -> AsyncGenerator[tuple[Talker, str]]:
    one = Talker()
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        port = listener.extra_attributes[SocketAttribute.local_port]()
        tasks.start_soon(listener.serve, one.handle)
        yield one, f"http://127.0.0.1:{port}"
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def upstream() -> AsyncGenerator[Upstream]:
    nodes, clouds = open_sessions()
    async with nodes, clouds:
        yield Upstream(nodes, clouds, {"n:1": (None,)}.copy)


async def asked(house: Upstream, url: str, target: Target) -> bytes:
    """Send one chat and read its answer to the end."""
    start = attempt(url, RequestId("r"))
    if target == "cloud":
        start = msgspec.structs.replace(start, generation=None)
    answer = await opened(house, start, CHAT)
    said = b""
    while part := await answer.read():
        said += part
    answer.close()
    return said


@pytest.mark.parametrize("target", ["node", "cloud"])
@pytest.mark.parametrize("name", STRAY)
@pytest.mark.parametrize("seen", [True, False], ids=["read", "unread"])
async def test_what_comes_unasked_is_nobodys_answer(
    name: str, target: Target, *, seen: bool
) -> None:
    """Whether the loop has read it by then or not; and a silent connection is used again."""
    async with talker() as (one, url), upstream() as house:
        assert b"from 1" in await asked(house, url, target)
        if stray := STRAY[name]:
            raw = one.connections[0].extra_attributes[SocketAttribute.raw_socket]()
            os.write(raw.fileno(), stray)  # at once, so that the loop has not seen it
            if seen:
                await anyio.sleep(0.05)
        wanted = b"from 2" if stray else b"from 1"
        assert wanted in await asked(house, url, target)
        assert len(one.connections) == (2 if stray else 1)


@pytest.mark.parametrize("target", ["node", "cloud"])
async def test_an_answer_written_twice_in_one_piece_is_nobodys_answer(target: Target) -> None:
    async with talker() as (one, url), upstream() as house:
        one.glued = STRAY["an answer"]
        assert b"from 1" in await asked(house, url, target)
        assert b"from 2" in await asked(house, url, target)


@contextmanager
def no_descriptor_left() -> Generator[None]:
    """Use up every descriptor that this process may have, for a moment."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[socket.socket] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(200, hard), hard))
    try:
        with suppress(OSError):
            while True:
                held.append(socket.socket())
        yield
    finally:
        for each in held:
            each.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_our_own_want_of_descriptors_blames_no_target_and_is_told_once(host: str) -> None:
    faults: list[tuple[Fault, float | None]] = []
    async with upstream() as house:
        with capture_logs() as lines, no_descriptor_left():
            for _ in range(2):
                with pytest.raises(FailedError) as raised:
                    await asked(house, f"http://{host}:9", "node")
                faults.append((raised.value.fault, raised.value.retry_after))
        with pytest.raises(FailedError) as raised:
            await asked(house, f"http://{host}:9", "node")
    assert faults == [(Fault.BUSY, 1.0)] * 2
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("descriptors_exhausted", "warning")
    ]
    assert raised.value.fault is Fault.CONNECT
