"""The server: connections that are accepted, kept while they are idle, and let go at the end.

It answers what its service accepts; every other request it hands over, with its connection.
"""

import asyncio
from collections.abc import Callable, Iterable
from email.utils import formatdate
from socket import socket
from time import time
from typing import Any, Protocol

import anyio

from exo_supervisor.http.head import Head
from exo_supervisor.http.request_reader import KnownHeads
from exo_supervisor.http.server_connection import Handler, ServerConnection

BACKLOG = 4096
"""Connections that may wait to be accepted: a burst of clients must not see EAGAIN."""
IDLE = 75.0
"""Seconds that a client's idle connection is kept; the next head must have come by then."""
HEAD_WAIT = 10.0
"""Seconds in which the first head has to come on TCP."""


class Service(Protocol):
    """What stands behind a server; nothing here is awaited."""

    def enter(self, connection: ServerConnection) -> bool:
        """Let a connection in, or say that there is no place."""
        ...

    def leave(self, connection: ServerConnection) -> None:
        """Count a connection out; not called for one that was handed over."""
        ...

    def accept(self, head: Head, connection: ServerConnection) -> Handler | None:
        """Handle a request, or None: it is handed over. May answer at once."""
        ...

    def refuse(self, connection: ServerConnection, message: str) -> None:
        """Answer what is no HTTP with a 400 (start, finish); the message repeats nothing of it."""
        ...

    def hand_over(self, connection: ServerConnection) -> asyncio.Protocol:
        """Make the protocol that takes a connection on, with all bytes of a request."""
        ...


class Loop(Protocol):
    """What is used of an event loop."""

    def call_soon(self, callback: Callable[..., object], *args: Any) -> asyncio.Handle:  # noqa: ANN401
        """Call in the next turn."""
        ...

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401
    ) -> asyncio.TimerHandle:
        """Call after so many seconds."""
        ...

    def time(self) -> float:
        """Return the loop's clock."""
        ...


class Server:
    """Owns the connections of its sockets; made within the loop that runs them."""

    def __init__(
        self,
        service: Service,
        *,
        idle: float = IDLE,
        head_wait: float = HEAD_WAIT,
        loop: Loop | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        self.service = service
        self.loop = loop or asyncio.get_running_loop()
        self.head_wait = head_wait
        self.draining = False
        self.known = KnownHeads()
        self._idle_seconds, self._clock = idle, clock
        self._servers: list[asyncio.Server] = []  # uvloop closes one that nobody refers to
        self._open: set[ServerConnection] = set()
        self.resting: dict[ServerConnection, float] = {}
        """Who waits for a next request, since when; the longest first. A connection leaves it by
        itself when a head has come."""
        self.is_watching = False
        self._empty: anyio.Event | None = None
        self._second, self._date = 0, b""

    def __repr__(self) -> str:
        return f"<Server {len(self._open)} connections, {len(self.resting)} idle>"

    async def listen(self, sockets: Iterable[socket]) -> None:
        """Begin to accept on sockets that are bound already; none of their files is removed."""
        loop = asyncio.get_running_loop()
        for listening in sockets:
            self._servers.append(
                await loop.create_server(
                    lambda: ServerConnection(self), sock=listening, backlog=BACKLOG
                )
            )

    async def drain(self, seconds: float) -> None:
        """Accept no more, let what runs end for so many seconds, then cut it."""
        self.draining = True
        for server in self._servers:
            server.close()
        for connection in tuple(self._open):
            connection.drain()
        with anyio.move_on_after(seconds):
            await self._wait_empty()
        for connection in tuple(self._open):
            connection.drop()
        await self._wait_empty()

    async def _wait_empty(self) -> None:
        while self._open:
            self._empty = anyio.Event()
            await self._empty.wait()

    # ---------------------------------------------------------------- what connections call

    def date(self) -> bytes:
        """Return the time as the `date` header says it."""
        now = int(self._clock())
        if now != self._second:
            self._second, self._date = now, formatdate(now, usegmt=True).encode()
        return self._date

    def enter(self, connection: ServerConnection) -> bool:
        """Count a connection in, if the service lets it."""
        self._open.add(connection)
        self.resting[connection] = self.loop.time()
        self.watch_idle()
        return not self.draining and self.service.enter(connection)

    def leave(self, connection: ServerConnection) -> None:
        """Count a connection out."""
        self._forget(connection)
        self.service.leave(connection)

    def hand_over(self, connection: ServerConnection) -> asyncio.Protocol:
        """Count a connection out that lives on elsewhere."""
        self._forget(connection)
        return self.service.hand_over(connection)

    def watch_idle(self) -> None:
        """See to it that those who rest are looked at."""
        if not self.is_watching:
            self.is_watching = True
            self.loop.call_later(self._idle_seconds, self._close_idle)

    def _forget(self, connection: ServerConnection) -> None:
        self._open.discard(connection)
        self.resting.pop(connection, None)
        if self._empty is not None and not self._open:
            self._empty.set()

    def _close_idle(self) -> None:
        """Close those that waited for too long, and come back for the next."""
        now, self.is_watching = self.loop.time(), False
        for connection, since in tuple(self.resting.items()):
            if now - since < self._idle_seconds:
                break
            if not connection.close_idle():  # bytes are about to be read
                del self.resting[connection]
                self.resting[connection] = now
        oldest = next(iter(self.resting.values()), None)
        if oldest is not None:
            left = max(0.0, oldest + self._idle_seconds - now)
            self.is_watching = True
            self.loop.call_later(left, self._close_idle)
