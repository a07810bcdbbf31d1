"""Holds handed-over connections until what takes them on is imported, which the first asks for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, cast

import anyio

from exo_supervisor.serve.token import Judgement

Left = Callable[[], None]


class OtherRoutes(Protocol):
    """Takes connections on."""

    def connection(self, judgement: Judgement, left: Left) -> asyncio.Protocol:
        """Make a protocol for one request that was judged; `left` is called at its end."""
        ...

    async def drain(self, seconds: float) -> None:
        """Let what runs end for so many seconds, then cut it."""


class LazyRoutes:
    """Routes that `bring` imports; the door bounds how many connections are held until then."""

    name = "other_routes"

    def __init__(self, bring: Callable[[], Awaitable[OtherRoutes]]) -> None:
        self._bring = bring
        self._others: OtherRoutes | None = None
        self._held: list[tuple[_Held, Judgement, Left]] = []
        self._wanted, self._here = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Bring the others once a connection is there for them, and hand on all that is held."""
        await self._wanted.wait()
        self._others = others = await self._bring()
        self._here.set()
        waiting, self._held = self._held, []
        for held, judgement, left in waiting:
            if held.transport is not None:
                held.go_on(held.transport, others.connection(judgement, left))

    def connection(self, judgement: Judgement, left: Left) -> asyncio.Protocol:
        """Hand a connection on, or hold it."""
        if self._others is not None:
            return self._others.connection(judgement, left)
        held = _Held(left)
        self._held.append((held, judgement, left))
        self._wanted.set()
        return held

    async def drain(self, seconds: float) -> None:
        """Let the others end, and who is held be answered; who then still is has waited in vain."""
        until = anyio.current_time() + seconds
        if self._held:
            with anyio.move_on_at(until):
                await self._here.wait()
        if self._others is not None:
            await self._others.drain(until - anyio.current_time())
        for held, _, _ in self._held:
            if held.transport is not None:
                held.transport.abort()
        self._held = []


class _Held(asyncio.Protocol):
    """One connection, of which no more is read; its request is kept."""

    def __init__(self, left: Left) -> None:
        self._left = left
        self.transport: asyncio.Transport | None = None
        self._data = b""
        self._saw_eof = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self._data += data

    def eof_received(self) -> bool:
        self._saw_eof = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.transport = None
        self._left()

    def go_on(self, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        """Let a protocol have the connection."""
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(self._data)
        if self._saw_eof and not protocol.eof_received():
            transport.close()
        elif not transport.is_closing():
            transport.resume_reading()
