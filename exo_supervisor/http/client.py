"""The client: requests out, answers in, over connections that are used again where that is safe."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from types import TracebackType
from typing import Final, Literal, Self

from msgspec import Struct

from exo_supervisor.http.call import Call, Key, Listener
from exo_supervisor.http.connect import (
    LOST_AFTER_REUSED,
    ConnectOptions,
    WhyNot,
    connect,
    set_user_timeout,
)
from exo_supervisor.http.connection import Connection
from exo_supervisor.http.faults import HttpError, NetworkFault, Stage
from exo_supervisor.http.pool import Pool
from exo_supervisor.http.resolver import IpAddress, Resolver
from exo_supervisor.http.state import State
from exo_supervisor.http.url import Origin, Proxy, split_url

_METHODS: Final = frozenset({"GET", "POST", "DELETE"})
_NOWHERE: Final = (Origin("http", "", 80), None)


class Statistics(Struct, frozen=True):
    """What a client has done and holds: `retried` counts requests that a kept connection lost."""

    requests: int
    connected: int
    reused: int
    retried: int
    open: int
    idle: int


def encode_headers(headers: Mapping[str, str]) -> bytes:
    """Write header lines; raises ValueError, without a word of it, for what would be two."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers) or "\0" in lines:
        raise ValueError("a header holds a control character")
    return lines.encode()


def _route(
    method: str, url: str, proxy: Proxy | None, headers: bytes, framing: bytes
) -> tuple[Key, bytes]:
    """Say where a request goes, and write its head, as far as it is the same each time.

    Raises HttpError(BAD_URL).
    """
    if method not in _METHODS:
        raise HttpError(NetworkFault.BAD_URL, Stage.CONNECT, "no such method")
    origin, target = split_url(url)
    return (origin, proxy), _line(method, target) + _fields(origin, headers, framing)


@lru_cache(maxsize=256)
def _line(method: str, target: str) -> bytes:
    return f"{method} {target} HTTP/1.1\r\n".encode()


@lru_cache(maxsize=4096)
def _fields(origin: Origin, headers: bytes, framing: bytes) -> bytes:
    return f"host: {origin.authority}\r\n".encode() + headers + framing


# A thousand nodes are asked for ten paths each: kept whole, those would push the few others out.
_kept_route = lru_cache(maxsize=1024)(_route)


async def _allow_all(_: IpAddress, __: int) -> str | None:
    return None


class Client:
    """Owns its connections; `idle` is for how many seconds one is kept for a next request.

    For `kept` and `most_kept` see the pool.

    No redirects, no cookies, no compression, no environment: an answer is what came. To be used
    as a context manager, which owns the tasks that connect.
    """

    def __init__(
        self,
        *,
        idle: float,
        kept: float = 0.0,
        most_kept: int = 0,
        tcp_keepalive: bool = False,
        why_not: WhyNot | None = None,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._pool = Pool(idle, kept=kept, most_kept=most_kept)
        self._options = ConnectOptions(
            Resolver(), why_not or _allow_all, tls or _trust, tcp_keepalive
        )
        # Not anyio's: a task within a scope would be a third of all that connecting costs.
        self._tasks: asyncio.TaskGroup | None = None
        self._open: set[Connection] = set()
        self._connecting: dict[Call, asyncio.Task[None]] = {}
        self._requests = self._connected = self._reused = self._retried = 0
        self._closed = False

    async def __aenter__(self) -> Self:
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()
        for task in self._connecting.values():
            task.cancel()
        if self._tasks is not None:
            await self._tasks.__aexit__(None, None, None)  # a group would wrap the block's error

    def __repr__(self) -> str:
        busy = sum(each.state is not State.IDLE for each in self._open)
        return f"<Client {busy} at work, {self._pool!r}>"

    @property
    def connections(self) -> tuple[Connection, ...]:
        """All that are open, at work or at rest."""
        return tuple(self._open)

    def statistics(self) -> Statistics:
        """Tell what was done so far, and what is open now."""
        return Statistics(
            requests=self._requests,
            connected=self._connected,
            reused=self._reused,
            retried=self._retried,
            open=len(self._open),
            idle=len(self._pool),
        )

    def close(self) -> None:
        """Close every connection, whoever waits on it, and make no more."""
        self._closed = True
        self._pool.close()
        for connection in self.connections:
            connection.fail(NetworkFault.RESET, "the client is closed")
        for call in tuple(self._connecting):
            self._refuse(call)
        self._options.resolver.close()

    def send(
        self,
        listener: Listener,
        method: str,
        url: str,
        *,
        headers: bytes = b"",
        body: bytes | None = None,
        connect_timeout: float | None = None,
        proxy: Proxy | None = None,
        reuse: Literal["never", "young", "any"] = "young",
    ) -> Call:
        """Send a request; the listener is called back, in no case before this returns.

        `headers` come from `encode_headers`. Only connecting is bounded here, by `connect_timeout`.
        A connection that was kept and is lost before any byte of the answer costs nothing: the
        request is sent again, once, over a fresh one. `reuse` may be "never": it is sent once; or
        "any": over one, too, that has likely been closed meanwhile.
        """
        self._requests += 1
        framing = b"\r\n" if body is None else b"content-length: "
        try:
            route = _route if method == "GET" else _kept_route
            key, head = route(method, url, proxy, headers, framing)
        except HttpError as error:
            call = Call(listener, _NOWHERE, b"", b"", None)
            asyncio.get_running_loop().call_soon(call.fail, error)
            return call
        if body is not None:
            head += b"%d\r\n\r\n" % len(body)
        call = Call(listener, key, head, body or b"", connect_timeout)
        connection = None if reuse == "never" else self._pool.take(key, of_any_age=reuse == "any")
        if connection is None:
            self._start_connecting(call)
        else:
            self._reused += 1
            if self._options.tcp_keepalive and connection.requests == 1:
                connection.option(lambda plain: set_user_timeout(plain, LOST_AFTER_REUSED))
            connection.send(call)
        return call

    # ---------------------------------------------------------------- connecting

    def _connect_again(self, call: Call) -> None:
        self._retried += 1
        self._pool.clear(call.key)  # what rests beside it is as old
        self._start_connecting(call)

    def _start_connecting(self, call: Call) -> None:
        if self._tasks is None or self._closed:
            asyncio.get_running_loop().call_soon(self._refuse, call)
            return
        call.stop_connecting = self._stop_connecting
        self._connecting[call] = self._tasks.create_task(self._connect(call))

    def _stop_connecting(self, call: Call) -> None:
        call.stop_connecting = None
        self._connecting.pop(call).cancel()

    def _end_connecting(self, call: Call) -> None:
        """Take in that it ended by itself, even where it was stopped: a cancellation can be lost.

        Up to anyio 4.15 the end of a race of addresses takes one of the same turn for its own.
        """
        call.stop_connecting = None
        self._connecting.pop(call, None)

    def _refuse(self, call: Call) -> None:
        call.fail(HttpError(NetworkFault.RESET, Stage.CONNECT, "the client is closed"))

    async def _connect(self, call: Call) -> None:
        try:
            connection = await self._connected_within(call)
        except HttpError as error:
            self._end_connecting(call)
            call.fail(error)
        else:
            self._end_connecting(call)
            call.send(connection)

    async def _connected_within(self, call: Call) -> Connection:
        """Connect in time. Raises HttpError."""

        def make() -> Connection:
            return Connection(call.key, self._pool.put, self._forget, self._connect_again)

        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(call.connect_timeout):
                connection = await connect(make, *call.key, self._options)
        except TimeoutError:
            raise HttpError(NetworkFault.TIMEOUT, Stage.CONNECT) from None
        call.connected = loop.time() - began
        self._connected += 1
        if connection.state is not State.CLOSED:  # it may have been, meanwhile
            self._open.add(connection)
        return connection

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._pool.drop(connection)


@cache
def _trust() -> ssl.SSLContext:
    """Return the system's trust; called in a thread, since to read it takes tens of ms."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
