"""Many nodes of generation C, each a cluster of its own: `python -m tests.benchmarks.nodes N`.

Each listens on an address of loopback of its own. Their URLs are a line on standard output; they
end with standard input.
"""

import asyncio
import sys
from functools import partial
from typing import cast

import msgspec
import uvloop

PORT, A_NET = 52_415, 250


class _Node(asyncio.Protocol):
    """One connection to a node."""

    def __init__(self, number: int) -> None:
        name = f"{number:032x}"
        self._answers = {
            b"/node_id": _json(name),
            b"/v1/feature-flags": _json({}),
            b"/v1/models": _json({"object": "list", "data": []}),
            b"/state/instances": _json({}),
            b"/state/runners": _json({}),
            b"/state/topology": _json({"nodes": [name], "connections": {}}),
        }
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        path = data.split(b" ", 2)[1]
        if path == b"/state/lastEventAppliedIdx":
            answer = _json(int(asyncio.get_running_loop().time()))
        else:
            answer = self._answers.get(path) or _json({"detail": "Not Found"}, b"404 ")
        if self._transport is not None:
            self._transport.write(answer)


def _json(value: object, status: bytes = b"200 ") -> bytes:
    body = msgspec.json.encode(value)
    head = b"HTTP/1.1 %b\r\ncontent-length: %d\r\ncontent-type: application/json\r\n\r\n"
    return head % (status, len(body)) + body


async def _serve(count: int) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(0, ended.set)
    servers: list[asyncio.Server] = []
    urls: list[str] = []
    for number in range(count):
        host = f"127.77.{number // A_NET}.{number % A_NET + 1}"
        servers.append(await loop.create_server(partial(_Node, number + 1), host, PORT))
        urls.append(f"http://{host}:{PORT}")
    sys.stdout.write(" ".join(urls) + "\n")
    sys.stdout.flush()
    await ended.wait()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
