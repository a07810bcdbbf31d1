"""An answer that is waited for: what a connection calls back with, kept until it is read."""

import asyncio
from collections.abc import Mapping

from exo_supervisor.http.call import Call
from exo_supervisor.http.client import Client
from exo_supervisor.http.faults import HttpError
from exo_supervisor.http.url import Proxy

HIGH = 65_536
"""Bytes that wait to be read, beyond which nothing more is taken from the network."""
MAX_READ = 32_768
"""Bytes that are read at once: a loop brings eight times as many, and each step on the way to a
client who takes nothing holds a copy of what it was given last."""


async def request(
    client: Client,
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: bytes = b"",
    connect_timeout: float | None = None,
    proxy: Proxy | None = None,
    fresh: bool = False,
) -> "Answer":
    """Send a request and wait for its answer's head. Raises HttpError."""
    answer = Answer()
    answer.call = client.send(
        answer, method, url, headers=headers, body=body,
        connect_timeout=connect_timeout, proxy=proxy, reuse="never" if fresh else "young",
    )  # fmt: skip
    assert not answer.status
    try:
        await answer.opened()
    except BaseException:
        answer.close()
        raise
    return answer


class Answer:
    """One answer; exactly one task waits for its head and then for its body."""

    __slots__ = (
        "_ended", "_error", "_parts", "_size", "_waiter", "call", "headers", "status",
    )  # fmt: skip

    def __init__(self) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.call: Call | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._ended = False
        self._error: HttpError | None = None
        self._waiter: asyncio.Future[None] | None = None

    # ---------------------------------------------------------------- what the connection calls

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the head in."""
        self.status, self.headers = status, headers
        self._wake()

    def data(self, data: bytes) -> None:
        """Keep a part of the body; too much of it stops the reading."""
        self._parts.append(data)
        self._size += len(data)
        if self._size > HIGH and self.call is not None:
            self.call.pause_reading()
        self._wake()

    def end(self) -> None:
        """Take the end in."""
        self._ended = True
        self._wake()

    def lost(self, error: HttpError) -> None:
        """Take in that no more comes."""
        self._error = error
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
        if was > HIGH >= self._size and self.call is not None:
            self.call.resume_reading()
        return data

    def abandon(self) -> None:
        """Let the body end by itself: how and when is the connection's business from here on."""
        if self.call is not None:
            self.call.leave()

    def close(self) -> None:
        """Let go; a connection whose answer has not ended is closed, unless it was left."""
        if self.call is not None:
            self.call.close()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
