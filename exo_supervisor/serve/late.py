"""Holds handed-over connections until what takes them on is imported; chats do not wait for it."""

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from exo_supervisor.serve.token import Judgement

Left = Callable[[], None]


class Others(Protocol):
    """Takes connections on."""

    def connection(self, judgement: Judgement | None, left: Left) -> asyncio.Protocol:
        """Make a protocol for one request that was judged; `left` is called at its end."""
        ...

    async def drain(self, seconds: float) -> None:
        """Let what runs end for so many seconds, then cut it."""
        ...


class Late:
    """Others that may come later; the door bounds how many connections are held until then."""

    def __init__(self) -> None:
        self._others: Others | None = None
        self._held: list[tuple[_Held, Judgement | None, Left]] = []

    def connection(self, judgement: Judgement | None, left: Left) -> asyncio.Protocol:
        """Hand a connection on, or hold it."""
        if self._others is not None:
            return self._others.connection(judgement, left)
        held = _Held(left)
        self._held.append((held, judgement, left))
        return held

    def arrive(self, others: Others) -> None:
        """Hand on all that is held, and what comes from now on."""
        self._others, waiting = others, self._held
        self._held = []
        for held, judgement, left in waiting:
            if held.transport is not None:
                held.go_on(held.transport, others.connection(judgement, left))

    async def drain(self, seconds: float) -> None:
        """Let the others end; who is still held has waited in vain."""
        if self._others is not None:
            await self._others.drain(seconds)
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
