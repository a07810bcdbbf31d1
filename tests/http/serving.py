"""Real servers of raw bytes on loopback, a CONNECT proxy, an authority that signs certificates."""

import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import cast

import anyio
import trustme
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSListener, TLSStream

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: "
GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


def said(text: str) -> bytes:
    return HEAD + b"%d\r\n\r\n%b" % (len(text), text.encode())


class Server:
    """Answers each request with the number of its connection; what it was sent is kept."""

    def __init__(self) -> None:
        self.url = ""
        self.port = 0
        self.streams: list[SocketStream] = []
        self.asked: list[bytes] = []
        self.closed = anyio.Event()

    @property
    def connections(self) -> int:
        return len(self.streams)

    async def handle(self, stream: SocketStream) -> None:
        self.streams.append(stream)
        mine = self.connections
        async with stream:
            with suppress(*GONE):
                while True:
                    await self.answer(stream, mine)
        self.closed.set()

    async def answer(self, stream: SocketStream, mine: int) -> None:
        """Take a request of one piece and answer it."""
        self.asked.append(await stream.receive())
        await stream.send(said(f"from {mine}"))

    def raw(self, which: int) -> socket.socket:
        return self.streams[which].extra_attributes[SocketAttribute.raw_socket]()

    def reset(self, which: int) -> None:
        """Let a connection end with a reset."""
        raw = self.raw(which)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


@asynccontextmanager
async def serving(
    server: Server | None = None, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncGenerator[Server]:
    """Serve on loopback until the block ends."""
    one = server or Server()
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        one.port = listener.extra_attributes[SocketAttribute.local_port]()
        one.url = f"{'https' if tls else 'http'}://{host}:{one.port}"
        if tls is None:
            tasks.start_soon(listener.serve, one.handle)
        else:
            wrapped = TLSListener(listener, tls, standard_compatible=False)
            tasks.start_soon(wrapped.serve, cast("Handle", one.handle))
        yield one
        tasks.cancel_scope.cancel()


class ConnectProxy:
    """A CONNECT proxy of a few lines: `way` maps what is asked for to where it really is."""

    def __init__(self, way: dict[str, int], answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> None:
        self.way, self.answer = way, answer
        self.url = ""
        self.asked: list[bytes] = []

    async def handle(self, client: SocketStream) -> None:
        async with client:
            with suppress(*GONE):
                head = await client.receive()
                self.asked.append(head)
                await client.send(self.answer)
                if not self.answer.endswith(b"200 OK\r\n\r\n"):
                    return
                port = self.way[head.split(b" ")[1].decode()]
                async with (
                    await anyio.connect_tcp("127.0.0.1", port) as server,
                    anyio.create_task_group() as tasks,
                ):
                    tasks.start_soon(_pump, client, server)
                    await _pump(server, client)
                    tasks.cancel_scope.cancel()


async def _pump(source: SocketStream, sink: SocketStream) -> None:
    with suppress(*GONE):
        async for data in source:
            await sink.send(data)


@asynccontextmanager
async def proxying(proxy: ConnectProxy) -> AsyncGenerator[ConnectProxy]:
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        port = listener.extra_attributes[SocketAttribute.local_port]()
        proxy.url = f"http://127.0.0.1:{port}"
        tasks.start_soon(listener.serve, proxy.handle)
        yield proxy
        tasks.cancel_scope.cancel()


class Authority:
    """A certificate authority that signs for some names, and the trust in it."""

    def __init__(self, *names: str) -> None:
        ca = trustme.CA()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with ca.issue_cert(*names).private_key_and_cert_chain_pem.tempfile() as path:
            self.server.load_cert_chain(path)
        self._ca = ca

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self._ca.cert_pem.bytes().decode())


Talk = Callable[[SocketStream], Awaitable[None]]
Handle = Callable[[TLSStream], Awaitable[None]]


class Talker(Server):
    """A server that says its own thing after each request."""

    def __init__(self, talk: Talk) -> None:
        super().__init__()
        self._talk = talk

    async def answer(self, stream: SocketStream, mine: int) -> None:  # noqa: ARG002 -- all alike
        """Take a request of one piece and talk."""
        self.asked.append(await stream.receive())
        await self._talk(stream)
