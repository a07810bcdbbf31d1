"""A fast upstream in a process of its own: an Exo node of generation C, and a cloud at `/cloud`.

It says its port on standard output and ends with its standard input. A chat's `max_tokens` says
how many tokens are answered and `pace` how many of them a second, each in a write of its own;
without it they follow each other without a pause.
"""

import asyncio
import re
import sys
from collections.abc import Iterator
from typing import cast

import uvloop

from tests.benchmarks import answers

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TOKENS = re.compile(rb'"max_tokens":(\d+)')
_PACE = re.compile(rb'"pace":(\d+)')
_INDEX = "/state/lastEventAppliedIdx"
_MISSING = answers.as_json({"detail": "Not Found"}, b"404 ")


class _Connection(asyncio.Protocol):
    """Answers one request after the other."""

    def __init__(self) -> None:
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
            self._chat(rest[:size], cloud=path.startswith("/cloud"))
        else:
            self._write(_index() if path == _INDEX else answers.small(path) or _MISSING)

    def _chat(self, body: bytes, *, cloud: bool) -> None:
        tokens = _TOKENS.search(body)
        count = int(tokens[1]) if tokens else 1
        if b'"stream":true' not in body:
            self._write(answers.plain(count))
            return
        pace = _PACE.search(body)
        pause = 1 / int(pace[1]) if pace else 0.0
        self._go_on(iter(answers.stream(count, cloud=cloud)), pause)

    def _go_on(self, pieces: Iterator[bytes], pause: float) -> None:
        piece = next(pieces, None)
        if piece is None or self._transport is None:
            return
        self._transport.write(piece)
        loop = asyncio.get_running_loop()
        if pause:
            loop.call_later(pause, self._go_on, pieces, pause)
        else:
            loop.call_soon(self._go_on, pieces, pause)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's name
        self._transport = None


def _index() -> bytes:
    """Count on, as a healthy cluster does: one whose events stand still serves nobody."""
    return answers.as_json(int(asyncio.get_running_loop().time()))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(0, ended.set)
    server = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await ended.wait()


if __name__ == "__main__":
    uvloop.run(_serve())
