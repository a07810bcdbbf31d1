"""One request of a client, from before it has a connection until its answer has ended."""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from exo_supervisor.http.connection import Connection
from exo_supervisor.http.faults import HttpError
from exo_supervisor.http.headers import Headers
from exo_supervisor.http.url import Origin, Proxy

Key = tuple[Origin, Proxy | None]
"""Where a request goes: connections to one place are used again for another."""


class Listener(Protocol):
    """Who waits for an answer: a head, then data, then one end or one loss; nothing after it."""

    def head(self, status: int, headers: Headers) -> None:
        """Take the head in."""

    def data(self, data: bytes) -> None:
        """Take in what one read brought of the body; it is not empty."""

    def end(self) -> None:
        """Take in that the answer was whole."""

    def lost(self, error: HttpError) -> None:
        """Take in that no more comes, and why."""


class Call(Struct, eq=False):
    """What its sender may do about a request; once the answer has ended, nothing happens.

    Whoever has closed or left it is told nothing more.
    """

    listener: Listener
    key: Key
    head: bytes
    body: bytes
    connect_timeout: float | None
    stop_connecting: "Callable[[Call], None] | None" = None
    """Set while it has yet to get a connection."""
    connection: Connection | None = None
    is_over: bool = False
    """Whether it was closed or left."""
    is_paused: bool = False
    connected: float | None = None
    """Seconds that a new connection took, where it got one."""
    sent: int = 0
    """Bytes that connections were given of it: once more where it was sent again."""
    take_chunk: Callable[[bytes, bytes, int], bool] | None = None
    """Takes in a read that may be one whole chunk, given with the head and the size it would have.

    Set by whoever has been told of a part of the body. False: the listener is told as ever; true
    only if the read has that head, and CRLF at its end.
    """

    def __repr__(self) -> str:
        if self.stop_connecting is not None:
            return f"<Call {self.key[0]} connecting>"
        return f"<Call {self.key[0]} {self._mine()}>"

    # ---------------------------------------------------------------- what its sender does

    def pause_reading(self) -> None:
        """Read no more of the answer for now."""
        self.is_paused = True
        if (connection := self._mine()) is not None:
            connection.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self.is_paused = False
        if (connection := self._mine()) is not None:
            connection.resume_reading()

    def leave(self) -> None:
        """Let a body that has said everything end by itself; its connection is then used again."""
        self.is_over = True
        if (connection := self._mine()) is not None:
            connection.leave()

    def close(self) -> None:
        """Give the request up, and close its connection."""
        self.is_over = True
        if self.stop_connecting is not None:
            self.stop_connecting(self)
        elif (connection := self._mine()) is not None:
            connection.close()

    # ---------------------------------------------------------------- what its client does

    def send(self, connection: Connection) -> None:
        """Send it over a connection that was made for it, unless it was given up meanwhile."""
        if self.is_over:
            connection.close()
            return
        connection.send(self)
        if self.is_paused:
            connection.pause_reading()

    def fail(self, error: HttpError) -> None:
        """Tell of a request that no connection took."""
        if not self.is_over:
            self.is_over = True
            self.listener.lost(error)

    def _mine(self) -> Connection | None:
        """Return its connection, while that brings its answer and nobody else's."""
        connection = self.connection
        return connection if connection is not None and connection.call is self else None
