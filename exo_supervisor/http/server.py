"""The server: connections that are accepted, kept while they are idle, and let go at the end.

It answers what its service accepts; every other request it hands over, with its connection.
"""

import asyncio
from collections.abc import Callable, Iterable
from socket import socket
from time import gmtime, strftime, time

import anyio

from exo_supervisor.http.request_reader import KnownHeads
from exo_supervisor.http.server_connection import ServerConnection
from exo_supervisor.http.service import Service, Visitor

BACKLOG = 4096
"""Connections that may wait to be accepted: a burst of clients must not see EAGAIN."""
IDLE = 75.0
"""Seconds that a client's idle connection is kept; the next head must have come by then."""
LOOK_EVERY = 1.0
"""Seconds between two looks at who is idle, at least: each looks at all connections."""
HEAD_WAIT = 10.0
"""Seconds in which the first head has to come on TCP."""


class Server:
    """Owns the connections of its sockets; made within the loop that runs them."""

    def __init__(
        self,
        service: Service,
        *,
        idle: float = IDLE,
        head_wait: float = HEAD_WAIT,
        loop: asyncio.AbstractEventLoop | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        self._service = service
        self.loop = loop or asyncio.get_running_loop()
        self.head_wait = head_wait
        self.draining = False
        self.known = KnownHeads()
        self._idle_seconds, self._clock = idle, clock
        self._servers: list[asyncio.Server] = []  # uvloop closes one that nobody refers to
        self._open: set[ServerConnection] = set()
        self._is_watching = False
        self._empty: anyio.Event | None = None
        self._second, self._date = 0, b""

    def __repr__(self) -> str:
        return f"<Server {len(self._open)} connections, {len(self._idle())} idle>"

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
        """Return the `date` header's line, with its CRLF."""
        now = int(self._clock())
        if now != self._second:
            # In English, since nobody sets a locale; `email` would be 0.8 MiB for these names.
            said = strftime("date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime(now))
            self._second, self._date = now, said.encode()
        return self._date

    def enter(self, connection: ServerConnection) -> Visitor | None:
        """Count a connection in, if the service lets it."""
        self._open.add(connection)
        if not self._is_watching:
            self._watch_idle(self._idle_seconds)
        return None if self.draining else self._service.enter(connection)

    def leave(self, connection: ServerConnection) -> None:
        """Count a connection out, or one that lives on elsewhere."""
        self._open.discard(connection)
        if self._empty is not None and not self._open:
            self._empty.set()

    def _idle(self) -> list[ServerConnection]:
        return [each for each in self._open if each.is_idle]

    def _watch_idle(self, seconds: float) -> None:
        self._is_watching = True
        self.loop.call_later(seconds, self._close_idle)

    def _close_idle(self) -> None:
        """Close those that waited for too long, and come back for the next.

        Who is at work now cannot have waited for long enough any sooner than from now on.
        """
        now = self.loop.time()
        for connection in self._idle():
            if now - connection.idle_since >= self._idle_seconds and not connection.close_idle():
                connection.idle_since = now  # bytes are about to be read
        oldest = min((each.idle_since for each in self._idle()), default=now)
        self._is_watching = bool(self._open)
        if self._is_watching:
            self._watch_idle(max(LOOK_EVERY, oldest + self._idle_seconds - now))
