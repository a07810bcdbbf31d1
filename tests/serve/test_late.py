"""A request that comes before who answers it was imported is held, and then answered whole."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from exo_supervisor.serve.late import Late
from exo_supervisor.serve.token import Judgement

pytestmark = pytest.mark.real_time


class Echo(asyncio.Protocol):
    """Answers with what it got, and ends."""

    def __init__(self, left: Callable[[], None]) -> None:
        self._left = left

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(data)
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._left()


class Echoes:
    """Takes connections on."""

    drained = 0

    def connection(self, judgement: Judgement | None, left: Callable[[], None]) -> Echo:
        assert judgement is None
        return Echo(left)

    async def drain(self, seconds: float) -> None:
        del seconds
        self.drained += 1


async def held(late: Late, left: asyncio.Event) -> socket.socket:
    """Hand a connection over, with a request, as the listener does; return its client's end."""
    near, far = socket.socketpair()
    near.setblocking(False)  # noqa: FBT003 -- the library's own form
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, far)
    protocol = late.connection(None, left.set)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    protocol.data_received(b"GET /")
    return near


async def heard(near: socket.socket) -> bytes:
    loop, got = asyncio.get_running_loop(), b""
    while data := await loop.sock_recv(near, 100):
        got += data
    near.close()
    return got


async def test_what_came_early_is_answered_once_somebody_can() -> None:
    late, left = Late(), asyncio.Event()
    early = await held(late, left)
    with pytest.raises(BlockingIOError):
        early.recv(1)
    late.arrive(Echoes())
    assert await heard(early) == b"GET /"
    await left.wait()
    assert await heard(await held(late, asyncio.Event())) == b"GET /", "who comes later, too"


async def test_who_leaves_meanwhile_is_counted_out_and_not_answered() -> None:
    late, left = Late(), asyncio.Event()
    near, far = socket.socketpair()
    protocol = late.connection(None, left.set)
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, far)
    transport.abort()
    await left.wait()
    late.arrive(Echoes())
    near.close()


async def test_an_end_before_that_cuts_who_is_held() -> None:
    late, left = Late(), asyncio.Event()
    near = await held(late, left)
    await late.drain(1.0)
    await left.wait()
    assert await heard(near) == b""


async def test_an_end_after_it_is_theirs() -> None:
    late, echoes = Late(), Echoes()
    late.arrive(echoes)
    await late.drain(1.0)
    assert echoes.drained == 1
