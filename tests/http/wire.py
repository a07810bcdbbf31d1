"""A connection over a transport that only remembers, and a listener that does."""

import asyncio
import socket
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from exo_supervisor.http.call import Call, Key, Listener
from exo_supervisor.http.connection import Connection
from exo_supervisor.http.faults import HttpError
from exo_supervisor.http.url import Origin

KEY: Key = (Origin("http", "n", 1), None)


class Remembering(asyncio.Transport):
    """What a loop gives a protocol: bytes go nowhere, and everything done is kept."""

    def __init__(self, near: socket.socket) -> None:
        super().__init__({"socket": near})
        self.sent = b""
        self.done: list[str] = []
        self.room = 2**30
        self.protocol: asyncio.Protocol | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)
        self.room -= len(data)
        if self.room <= 0 and self.protocol is not None:
            self.protocol.pause_writing()

    def pause_reading(self) -> None:
        self.done.append("pause")

    def resume_reading(self) -> None:
        self.done.append("resume")

    def is_closing(self) -> bool:
        return "abort" in self.done

    def abort(self) -> None:
        self.done.append("abort")


class Wired:
    """A connection, what its owner was told, and the other end of its socket."""

    def __init__(self, key: Key = KEY) -> None:
        self.near, self.far = socket.socketpair()
        self.rests, self.ends = 0, 0
        self.resent: list[Call] = []
        self.transport = Remembering(self.near)
        self.connection = Connection(key, self._rest, self._end, self.resent.append)
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

    def send(self, listener: Listener, head: bytes, body: bytes) -> None:
        """Send a request over it."""
        self.connection.send(Call(listener, self.connection.key, head, body, None))

    def _rest(self, _: Connection) -> None:
        self.rests += 1

    def _end(self, _: Connection) -> None:
        self.ends += 1


class Heard:
    """A listener that keeps what it is told; `during` is done at each call."""

    def __init__(self, during: Callable[[str], None] = lambda _: None) -> None:
        self.calls: list[str] = []
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.body = b""
        self.error: HttpError | None = None
        self._during = during

    @property
    def story(self) -> tuple[object, ...]:
        """What came of it all, however it was cut into pieces."""
        fault = None if self.error is None else (self.error.fault, self.error.stage)
        return self.status, self.headers, self.body, self.calls[-1:] == ["end"], fault

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self.status, self.headers = status, headers
        self._call("head")

    def data(self, data: bytes) -> None:
        self.body += data
        self._call("data")

    def end(self) -> None:
        self._call("end")

    def lost(self, error: HttpError) -> None:
        self.error = error
        self._call("lost")

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self._during(name)
