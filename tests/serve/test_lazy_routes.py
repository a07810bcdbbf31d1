"""The first request imports who answers it, is held meanwhile, and then answered whole."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from exo_supervisor.serve.control.lazy_routes import LazyRoutes
from exo_supervisor.serve.token import NO_HEAD, Judgement
from tests.budget import EVER

pytestmark = pytest.mark.real_time


class Echo(asyncio.Protocol):
    """Answers with what it got, and ends; an `!` says that it was told of an end."""

    def __init__(self, left: Callable[[], None]) -> None:
        self._left = left

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(data)
        if data.endswith(b"."):
            self._transport.close()

    def eof_received(self) -> bool:
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(b"!")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._left()


JUDGED = Judgement(NO_HEAD)


class Echoes:
    """Takes connections on."""

    drained = taken = 0
    seconds = 0.0

    def connection(self, judgement: Judgement, left: Callable[[], None]) -> Echo:
        assert judgement is JUDGED
        self.taken += 1
        return Echo(left)

    async def drain(self, seconds: float) -> None:
        self.seconds = seconds
        self.drained += 1


async def held(late: LazyRoutes, left: asyncio.Event) -> socket.socket:
    """Hand a connection over, with a request, as the listener does; return its client's end."""
    return (await held_back(late, left, b"GET /."))[0]


async def held_back(
    late: LazyRoutes, left: asyncio.Event, said: bytes
) -> tuple[socket.socket, asyncio.Protocol]:
    """Hand a connection over; return its client's end, and what holds it."""
    near, far = socket.socketpair()
    near.setblocking(False)  # noqa: FBT003 -- the library's own form
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, far)
    protocol = late.connection(JUDGED, left.set)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    protocol.data_received(said)
    return near, protocol


async def heard(near: socket.socket) -> bytes:
    loop, got = asyncio.get_running_loop(), b""
    while data := await loop.sock_recv(near, 100):
        got += data
    near.close()
    return got


class House:
    """Others that come when they are let; `late` runs while the `async with` block does."""

    def __init__(self) -> None:
        self.asked, self.come = anyio.Event(), anyio.Event()
        self.echoes = Echoes()
        self.late = LazyRoutes(self._bring)

    async def _bring(self) -> Echoes:
        self.asked.set()
        await self.come.wait()
        return self.echoes

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[LazyRoutes]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.late.run)
            yield self.late
            tasks.cancel_scope.cancel()


async def test_nothing_is_brought_before_somebody_asks() -> None:
    house = House()
    async with house.running():
        await anyio.wait_all_tasks_blocked()
        assert not house.asked.is_set()


async def test_what_came_early_is_answered_once_somebody_can() -> None:
    house, left = House(), asyncio.Event()
    async with house.running() as late:
        early = await held(late, left)
        await house.asked.wait()
        with pytest.raises(BlockingIOError):
            early.recv(1)
        house.come.set()
        assert await heard(early) == b"GET /."
        await left.wait()
        assert await heard(await held(late, asyncio.Event())) == b"GET /.", "who comes later, too"


async def test_who_leaves_meanwhile_is_counted_out_and_not_answered() -> None:
    house, left = House(), asyncio.Event()
    async with house.running() as late:
        near, far = socket.socketpair()
        protocol = late.connection(JUDGED, left.set)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, far)
        transport.abort()
        await left.wait()
        house.come.set()
        await late.drain(EVER)
        near.close()
    assert (house.echoes.taken, house.echoes.seconds) == (0, pytest.approx(EVER, rel=0.5))


@pytest.mark.parametrize("half", [True, False])
async def test_what_follows_its_hand_over_reaches_who_took_it_on(*, half: bool) -> None:
    """One that said meanwhile that it sends no more is told of, and closed."""
    house, left = House(), asyncio.Event()
    async with house.running() as late:
        near, protocol = await held_back(late, left, b"GET /")
        if half:
            assert protocol.eof_received(), "it is not closed over that"
        house.come.set()
        loop = asyncio.get_running_loop()
        assert await loop.sock_recv(near, 5) == b"GET /"
        if not half:
            await loop.sock_sendall(near, b"more.")
        assert await heard(near) == (b"!" if half else b"more.")
        await left.wait()


async def test_an_end_before_that_waits_for_it_and_answers_who_is_held() -> None:
    house = House()
    async with house.running() as late, anyio.create_task_group() as tasks:
        near = await held(late, asyncio.Event())
        tasks.start_soon(late.drain, EVER)
        await house.asked.wait()
        house.come.set()
        assert await heard(near) == b"GET /."
    assert house.echoes.drained == 1


async def test_an_end_that_waited_in_vain_cuts_who_is_held() -> None:
    house, left = House(), asyncio.Event()
    async with house.running() as late:
        near = await held(late, left)
        await late.drain(0.01)
        await left.wait()
        assert await heard(near) == b""


async def test_an_end_of_which_nobody_asked_anything_brings_nothing() -> None:
    house = House()
    async with house.running() as late:
        await late.drain(EVER)
    assert not house.asked.is_set()
