"""An answer that is waited for: what a connection calls back with, kept until somebody reads it."""

import asyncio

from exo_supervisor.http.connection import Connection
from exo_supervisor.http.faults import HttpError

HIGH = 65_536
"""Bytes that wait to be read, beyond which nothing more is taken from the network."""
MAX_READ = 32_768
"""Bytes that are read at once: a loop brings eight times as many, and each step on the way to a
client who takes nothing holds a copy of what it was given last."""
LAST_WAIT = 1.5
"""Seconds that a body which has said everything has to end, for its connection to be used again."""
LAST_BYTES = 65_536
"""Bytes that may come in them."""


class Answer:
    """One answer; exactly one task waits for its head and then for its body."""

    __slots__ = (
        "_connection", "_ended", "_error", "_parts", "_size", "_waiter", "headers", "status",
    )  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._connection: Connection | None = connection
        self._parts: list[bytes] = []
        self._size = 0
        self._ended = False
        self._error: HttpError | None = None
        self._waiter: asyncio.Future[None] | None = None

    # ---------------------------------------------------------------- what the connection calls

    def head(self, status: int, headers: dict[str, str]) -> None:
        """Take the head in."""
        self.status, self.headers = status, headers
        self._wake()

    def data(self, data: bytes) -> None:
        """Keep a part of the body; too much of it stops the reading."""
        self._parts.append(data)
        self._size += len(data)
        if self._size > HIGH and self._connection is not None:
            self._connection.pause_reading()
        self._wake()

    def end(self) -> None:
        """Take the end in; the connection may serve another from now on."""
        self._ended, self._connection = True, None
        self._wake()

    def lost(self, error: HttpError) -> None:
        """Take in that no more comes."""
        self._error, self._connection = error, None
        self._wake()

    # ---------------------------------------------------------------- what its reader awaits

    async def opened(self) -> None:
        """Wait for the head; raises HttpError."""
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._wait()

    async def read(self) -> bytes:
        """Read what is there, waiting for at least a byte; nothing is the clean end.

        Raises HttpError.
        """
        while not self._parts:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            await self._wait()
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        if self._size > MAX_READ:
            self._parts.append(data[MAX_READ:])
            data = data[:MAX_READ]
        was, self._size = self._size, self._size - len(data)
        if was > HIGH >= self._size and self._connection is not None:
            self._connection.resume_reading()
        return data

    def leave(self) -> None:
        """Let the body end by itself: how and when is the connection's business from here on."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.take_over(_LastBytes(connection))
            connection.resume_reading()

    def close(self) -> None:
        """Let go; a connection whose answer has not ended is closed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _LastBytes:
    """Whoever listens to a body that nobody reads any more."""

    def __init__(self, connection: Connection) -> None:
        self._size = 0
        self._connection = connection
        self._timer = asyncio.get_running_loop().call_later(LAST_WAIT, connection.close)

    def head(self, status: int, headers: dict[str, str]) -> None:
        """Never comes: an answer is left only after its head."""

    def data(self, data: bytes) -> None:
        """Pass over a little."""
        self._size += len(data)
        if self._size > LAST_BYTES:
            self._timer.cancel()
            self._connection.close()

    def end(self) -> None:
        """Do nothing more: the connection is at rest again."""
        self._timer.cancel()

    def lost(self, error: HttpError) -> None:  # noqa: ARG002 -- nobody minds any more
        """Do nothing more: the connection is gone."""
        self._timer.cancel()
