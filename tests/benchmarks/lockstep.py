"""A client with one request in flight, one piece of its stream at a time, in the fake's process.

Each piece is written when the client has read the one before, so that how many reads the service
makes depends on no clock: the instructions that it takes repeat.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import cast

from tests.benchmarks.fake import Held
from tests.benchmarks.processes import BenchmarkError

_ANSWERS_WITHIN = 60.0


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._transport: asyncio.Transport | None = None
        self._told = bytearray()
        self.seen = 0
        """Words of a stream that have come so far."""
        self._stream = False
        self._over = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's name
        self._over.set()

    async def ask(self, request: bytes, *, stream: bool) -> bytes:
        """Ask, and return the whole answer with its head."""
        assert self._transport is not None
        self._told.clear()
        self._held.clear()
        self._over.clear()
        self.seen, self._stream = 0, stream
        self._transport.write(request)
        async with asyncio.timeout(_ANSWERS_WITHIN):
            await self._over.wait()
        return bytes(self._told)

    def data_received(self, data: bytes) -> None:
        self._told += data
        if self._stream:
            seen = self._told.count(b'"content":"dog "')
            while self.seen < seen and self._held:
                self.seen += 1
                self._held.popleft()()
        if self._is_whole():
            self._over.set()

    def _is_whole(self) -> bool:
        head, mark, body = bytes(self._told).partition(b"\r\n\r\n")
        if not mark:
            return False
        _, found, rest = head.lower().partition(b"\r\ncontent-length:")
        if found:
            return len(body) >= int(rest.partition(b"\r\n")[0])
        return body.endswith(b"0\r\n\r\n")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def connect(path: Path, held: Held) -> Client:
    """Connect to a service's socket."""
    make: Callable[[], Client] = lambda: Client(held)  # noqa: E731 -- a factory, for its type
    _, client = await asyncio.get_running_loop().create_unix_connection(make, str(path))
    return client


async def answered(client: Client, request: bytes, *, stream: bool, words: int) -> None:
    """Ask, and raise BenchmarkError unless every word came, and its end."""
    answer = await client.ask(request, stream=stream)
    ended = b"data: [DONE]" in answer if stream else b'"finish_reason":"stop"' in answer
    if not answer.startswith(b"HTTP/1.1 200 ") or answer.count(b"dog ") != words or not ended:
        raise BenchmarkError(f"an answer that is not whole: {answer[-400:]!r}")
