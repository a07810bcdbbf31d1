"""A fast upstream in a process of its own: an Exo node of generation C, and clouds beside it.

The cloud at `/cloud` streams where it is asked to; the one at `/whole` answers with one JSON object
whatever it is asked. It says its port on standard output and ends with its standard input. A chat's
`max_tokens` says how many tokens are answered and `pace` how many of them a second, each in a write
of its own; without it they are one write. With `"step":true` each waits until `held` is called.
"""

import asyncio
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import cast

import uvloop

from tests.benchmarks import answers

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TOKENS = re.compile(rb'"max_tokens":(\d+)')
_PACE = re.compile(rb'"pace":(\d+)')
_INDEX = "/state/lastEventAppliedIdx"
_MISSING = answers.as_json({"detail": "Not Found"}, b"404 ")


Held = deque[Callable[[], None]]
"""What writes the next piece of each stream that goes step by step."""


class Connection(asyncio.Protocol):
    """Answers one request after the other."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, mark, rest = self._buffer.partition(b"\r\n\r\n")
        if not mark:
            return
        length = _LENGTH.search(head)
        size = int(length[1]) if length else 0
        if len(rest) < size:
            return
        self._buffer = rest[size:]
        path = head.split(b" ", 2)[1].decode()
        if path.endswith("/chat/completions"):
            self._chat(rest[:size], path)
        else:
            self._write(_index() if path == _INDEX else answers.small(path) or _MISSING)

    def _chat(self, body: bytes, path: str) -> None:
        tokens = _TOKENS.search(body)
        count = int(tokens[1]) if tokens else 1
        if b'"stream":true' not in body or path.startswith("/whole"):
            self._write(answers.plain(count))
            return
        cloud = path.startswith("/cloud")
        pieces = answers.stream(count, cloud=cloud)
        if b'"step":true' in body:
            self._write(pieces[0])
            self._step(iter(pieces[1:]))
        elif pace := _PACE.search(body):
            self._write(pieces[0])  # the first word follows at once: what is waited for is ours
            self._go_on(iter(pieces[1:]), 1 / int(pace[1]))
        else:
            self._write(answers.at_once(count, cloud=cloud))

    def _step(self, pieces: Iterator[bytes]) -> None:
        if (piece := next(pieces, None)) is not None:
            self._held.append(lambda: self._step(pieces))
            self._write(piece)

    def _go_on(self, pieces: Iterator[bytes], pause: float) -> None:
        piece = next(pieces, None)
        if piece is None or self._transport is None:
            return
        self._transport.write(piece)
        asyncio.get_running_loop().call_later(pause, self._go_on, pieces, pause)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's name
        self._transport = None


def _index() -> bytes:
    """Count on, as a healthy cluster does: one whose events stand still serves nobody."""
    return answers.as_json(int(asyncio.get_running_loop().time()))


async def listen(held: Held) -> asyncio.Server:
    """Listen on a port of loopback."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(held), "127.0.0.1", 0, backlog=4096)


async def _serve() -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, ended.set)
    server = await listen(Held())
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await ended.wait()


if __name__ == "__main__":
    uvloop.run(_serve())
