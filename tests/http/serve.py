"""A server connection over a transport that only remembers, on a loop that is stepped by hand."""

import asyncio
import heapq
import socket
from collections import deque
from collections.abc import Callable
from itertools import count
from types import TracebackType
from typing import Any, Self, cast

from exo_supervisor.http.head import Head
from exo_supervisor.http.server import Server
from exo_supervisor.http.server_connection import ServerConnection
from exo_supervisor.http.service import Handler

NOW = 1_700_000_000.0
DATE = b"date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
OK = b"HTTP/1.1 200 OK\r\na: b\r\n"


class Timer:
    """What a call in the future gives back."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call, self.cancelled = call, False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """Calls soon and later, when it is told to; `now` is its clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.made = 0
        """How many timers were ever made."""
        self.ready: deque[Callable[[], object]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._count = count()

    def call_soon(self, callback: Callable[..., object], *args: Any) -> asyncio.Handle:  # noqa: ANN401
        self.ready.append(lambda: callback(*args))
        return cast("asyncio.Handle", None)

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401
    ) -> asyncio.TimerHandle:
        timer = Timer(lambda: callback(*args))
        self.made += 1
        heapq.heappush(self._timers, (self.now + delay, next(self._count), timer))
        return cast("asyncio.TimerHandle", timer)

    def time(self) -> float:
        return self.now

    @property
    def typed(self) -> asyncio.AbstractEventLoop:
        return cast("asyncio.AbstractEventLoop", self)

    @property
    def timers(self) -> int:
        return sum(not timer.cancelled for _, _, timer in self._timers)

    def run(self) -> None:
        """Make all calls that are due, and those that they lead to."""
        while self.ready:
            self.ready.popleft()()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        self.run()
        while self._timers and self._timers[0][0] <= until:
            self.now, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled:
                timer.call()
            self.run()
        self.now = until


class Transport(asyncio.Transport):
    """Keeps what is written; `room` bytes are taken before the protocol is told to pause."""

    def __init__(self, near: socket.socket, loop: Loop) -> None:
        super().__init__({"socket": near})
        self.loop = loop
        self.sent = b""
        self.writes = 0
        self.done: list[str] = []
        self.room = 2**30
        self.unsent = 0
        self.protocol: asyncio.BaseProtocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.done.append("set_protocol")
        self.protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert data
        assert not self.is_closing()
        self.writes += 1
        self.sent += bytes(data)
        self.room -= len(data)
        if self.room <= 0 and self.protocol is not None:
            self.unsent = -self.room
            self.protocol.pause_writing()

    def take_all(self) -> None:
        """Let the client read what it was sent."""
        self.room, self.unsent = 2**30, 0
        if self.protocol is not None:
            self.protocol.resume_writing()
        if "close" in self.done:
            self._lose()

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        self.done.append("pause")

    def resume_reading(self) -> None:
        self.done.append("resume")

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.done.append("eof")

    def is_closing(self) -> bool:
        return "abort" in self.done or "close" in self.done

    def close(self) -> None:
        if not self.is_closing():
            self.done.append("close")
            if not self.unsent:
                self._lose()

    def abort(self) -> None:
        lost = "abort" in self.done or ("close" in self.done and not self.unsent)
        self.done.append("abort")
        if not lost:
            self._lose()

    def _lose(self) -> None:
        protocol = cast("asyncio.Protocol", self.protocol)
        self.loop.call_soon(protocol.connection_lost, None)


class Asked:
    """A handler that keeps what it is told; `answer` is done when its request is whole."""

    def __init__(
        self, connection: ServerConnection, head: Head, length: int | None,
        answer: "Callable[[Asked], None]",
    ) -> None:  # fmt: skip
        self.connection, self.headed, self.length = connection, head, length
        self.calls: list[str] = []
        self.body = b""
        self._answer = answer

    def data(self, data: bytes) -> None:
        assert data
        self.body += data
        self.calls.append("data")

    def end(self) -> None:
        self.calls.append("end")
        self._answer(self)

    def broken(self) -> None:
        self.calls.append("broken")
        self.connection.start(b"HTTP/1.1 400 Bad Request\r\n", length=0)
        self.connection.finish()

    def writable(self) -> None:
        self.calls.append("writable")

    def gone(self) -> None:
        self.calls.append("gone")


class Other(asyncio.Protocol):
    """Who takes over what is handed over."""

    def __init__(self, *, stays: bool = True) -> None:
        self.got = b""
        self.transport: asyncio.BaseTransport | None = None
        self.stays = stays
        self.eof = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got += data

    def eof_received(self) -> bool:
        self.eof = True
        return self.stays


def echo(asked: Asked) -> None:
    """Answer with the request's body."""
    asked.connection.start(OK, length=len(asked.body))
    asked.connection.finish(asked.body)


def wait(_: Asked) -> None:
    """Answer later."""


class Served:
    """A connection of a client, and everything around it; it is service and visitor."""

    def __init__(
        self,
        answer: Callable[[Asked], None] = echo,
        *,
        family: socket.AddressFamily = socket.AF_UNIX,
        place: bool = True,
    ) -> None:
        self.near, self.far = pair(family)
        self.loop = Loop()
        self.answer, self.place = answer, place
        self.asked: list[Asked] = []
        self.refused: list[str] = []
        self.other = Other()
        self.left = 0
        self.head_first: Callable[[ServerConnection], None] | None = None
        self.server = Server(self, loop=self.loop.typed, clock=lambda: NOW)
        self.connection = ServerConnection(self.server)
        self.transport = Transport(self.near, self.loop)
        self.transport.protocol = self.connection
        self.connection.connection_made(self.transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.near.close()
        self.far.close()

    @property
    def state(self) -> str:
        return repr(self.connection)

    @property
    def sent(self) -> bytes:
        """What was sent, without what is the same in every answer."""
        return self.transport.sent.replace(DATE, b"")

    def feed(self, *pieces: bytes, run: bool = True) -> None:
        """Let pieces come, each in a turn of the loop of its own."""
        for piece in pieces:
            if piece and not self.transport.is_closing():
                cast("asyncio.Protocol", self.transport.protocol).data_received(piece)
            if run:
                self.loop.run()

    # ---------------------------------------------------------------- the service

    def enter(self, connection: ServerConnection) -> Self | None:
        assert repr(connection) == "<ServerConnection IDLE, 0 requests>"
        return self if self.place else None

    def leave(self) -> None:
        self.left += 1

    def accept(self, head: Head, length: int | None) -> Handler | None:
        if head.target != b"/x":
            return None
        self.asked.append(Asked(self.connection, head, length, self.answer))
        if self.head_first is not None:
            self.head_first(self.connection)
        return self.asked[-1]

    def refuse(self, message: str) -> None:
        self.refused.append(message)
        self.connection.start(b"HTTP/1.1 400 Bad Request\r\n", length=3)
        self.connection.finish(b"bad")

    def hand_over(self) -> asyncio.Protocol:
        return self.other


def pair(family: socket.AddressFamily) -> tuple[socket.socket, socket.socket]:
    """Return both ends of a connection, ours first."""
    if family == socket.AF_UNIX:
        return socket.socketpair()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        far = socket.create_connection(listening.getsockname())
        return listening.accept()[0], far
