"""The machine's only way out: to the package registries, as this machine itself reaches them.

The machine stands on a network without a way out. `door` listens inside of it and hands each
connection on, through a Unix socket, to `proxy`, which runs outside and speaks HTTP's CONNECT and
absolute URLs (RFC 9110, 9.3.6 and 7.1): enough for pip and apt.
"""

import asyncio
import os
import sys
from contextlib import suppress
from urllib.parse import urlsplit

PORT = 3128
"""Where `door` listens, on the machine's loopback."""
_PIECE = 65536
_MOST_HEAD = 65536


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.write_eof()


async def _join(
    near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Carry bytes both ways until both sides have ended."""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_pump(near[0], far[1]))
            tasks.create_task(_pump(far[0], near[1]))
    finally:
        near[1].close()
        far[1].close()


async def door(path: str) -> None:
    """Listen on the machine's loopback; each connection goes on to the proxy's socket."""

    async def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await _join((reader, writer), await asyncio.open_unix_connection(path))

    server = await asyncio.start_server(enter, "127.0.0.1", PORT)
    sys.stdout.write("up\n")
    sys.stdout.flush()
    await server.serve_forever()


async def proxy(path: str) -> None:
    """Carry out what pip and apt ask for."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError, asyncio.IncompleteReadError):
            await _serve(reader, writer)
        writer.close()

    server = await asyncio.start_unix_server(serve, path, limit=_MOST_HEAD)
    sys.stdout.write("up\n")
    sys.stdout.flush()
    await server.serve_forever()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, _, rest = head.partition(b"\r\n")
    method, target, version = first.decode("ascii").split(" ")
    if method == "CONNECT":
        host, _, port = target.rpartition(":")
        far = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    else:
        url = urlsplit(target)
        far = await asyncio.open_connection(url.hostname, url.port or 80)
        path = url.path + (f"?{url.query}" if url.query else "")
        lines = [each for each in rest.split(b"\r\n") if not each.lower().startswith(b"connection")]
        # One request a connection: the next one may be for another host.
        asked = f"{method} {path or '/'} {version}".encode()
        far[1].write(b"\r\n".join([asked, b"Connection: close", *lines]))
    await _join((reader, writer), far)


if __name__ == "__main__":
    role, where = sys.argv[1:]
    if role == "proxy":
        with suppress(FileNotFoundError):
            os.unlink(where)  # noqa: PTH108 - a socket of our own
    asyncio.run({"proxy": proxy, "door": door}[role](where))
