"""One request of a client, from before it has a connection until its answer has ended."""

from collections.abc import Callable

import anyio

from exo_supervisor.http.connection import Connection, Listener
from exo_supervisor.http.faults import HttpError
from exo_supervisor.http.pool import Key


class Call:
    """What its sender may do about a request; once the answer has ended, nothing happens.

    Whoever has closed or left it is told nothing more.
    """

    __slots__ = (
        "_again", "_connection", "_paused", "body", "connect_timeout", "connecting", "head", "key",
        "listener",
    )  # fmt: skip

    def __init__(
        self,
        listener: Listener,
        key: Key,
        head: bytes,
        body: bytes,
        connect_timeout: float | None,
        again: "Callable[[Call], None]",
    ) -> None:
        self.listener: Listener | None = listener
        self.key, self.head, self.body = key, head, body
        self.connect_timeout = connect_timeout
        self.connecting: anyio.CancelScope | None = None
        self._again = again
        self._connection: Connection | None = None
        self._paused = False

    def __repr__(self) -> str:
        if self.connecting is not None:
            return f"<Call {self.key[0]} connecting>"
        return f"<Call {self.key[0]} {self._mine()}>"

    # ---------------------------------------------------------------- what its sender does

    def pause_reading(self) -> None:
        """Read no more of the answer for now."""
        self._paused = True
        if (connection := self._mine()) is not None:
            connection.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._paused = False
        if (connection := self._mine()) is not None:
            connection.resume_reading()

    def leave(self) -> None:
        """Let a body that has said everything end by itself; its connection is then used again."""
        self.listener = None
        if (connection := self._mine()) is not None:
            connection.leave()

    def close(self) -> None:
        """Give the request up, and close its connection."""
        self.listener = None
        if self.connecting is not None:
            self.connecting.cancel()
        elif (connection := self._mine()) is not None:
            connection.close()

    # ---------------------------------------------------------------- what its client does

    def send(self, connection: Connection) -> None:
        """Send it over a connection, unless it was given up meanwhile."""
        listener = self.listener
        if listener is None:
            connection.close()
            return
        self._connection = connection
        connection.send(listener, self.head, self.body, self)
        if self._paused:
            connection.pause_reading()

    def send_again(self) -> None:
        """Take in that a connection that was kept turned out to be dead."""
        self._connection = None
        self._again(self)

    def fail(self, error: HttpError) -> None:
        """Tell of a request that no connection took."""
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.lost(error)

    def _mine(self) -> Connection | None:
        """Return its connection, while that brings its answer and nobody else's."""
        connection = self._connection
        return connection if connection is not None and connection.call is self else None
