"""The client: requests out, answers in, over connections that are used again where that is safe."""

import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import anyio
from msgspec import Struct

from exo_supervisor.http.answer import Answer
from exo_supervisor.http.connect import (
    LOST_AFTER_REUSED,
    ConnectOptions,
    WhyNot,
    connect,
    set_user_timeout,
)
from exo_supervisor.http.connection import Connection, State
from exo_supervisor.http.faults import HttpError, NetworkFault, Stage
from exo_supervisor.http.pool import Key, Pool
from exo_supervisor.http.resolver import IpAddress, Resolver
from exo_supervisor.http.url import Proxy, split_url

_FORGOTTEN: Final = frozenset({NetworkFault.RESET, NetworkFault.TIMEOUT})
_METHODS: Final = frozenset({"GET", "POST", "DELETE"})


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


async def _bar_nobody(_: IpAddress, __: int) -> str | None:
    return None


class Client:
    """Owns its connections; `idle` is for how many seconds one is kept for a next request.

    No redirects, no cookies, no compression, no environment: an answer is what came.
    """

    def __init__(
        self,
        *,
        idle: float,
        tcp_keepalive: bool = False,
        why_not: WhyNot | None = None,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._pool = Pool(idle)
        self._options = ConnectOptions(
            Resolver(), why_not or _bar_nobody, tls or _Tls().context, tcp_keepalive
        )
        self._open: dict[Connection, Key] = {}
        self._requests = self._connected = self._reused = self._retried = 0
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

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
            connection.abort()
        self._options.resolver.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: bytes = b"",
        body: bytes | None = None,
        connect_timeout: float | None = None,
        proxy: Proxy | None = None,
        fresh: bool = False,
    ) -> Answer:
        """Send a request and wait for its answer's head. Raises HttpError.

        `headers` come from `encode_headers`. Only connecting is bounded here, by `connect_timeout`.
        A connection that was kept and is lost before any byte of the answer costs nothing: the
        request is sent again, once, over a fresh one. `fresh` keeps none and so sends once.
        """
        if method not in _METHODS:
            raise HttpError(NetworkFault.BAD_URL, Stage.CONNECT, "no such method")
        origin, target = split_url(url)
        key = (origin, proxy)
        length = b"" if body is None else b"content-length: %d\r\n" % len(body)
        line = f"{method} {target} HTTP/1.1\r\nhost: {origin.authority}\r\n"
        head = b"%b%b%b\r\n" % (line.encode(), headers, length)
        self._requests += 1
        connection = None if fresh else self._pool.take(key)
        if connection is not None:
            self._reused += 1
            if self._options.tcp_keepalive and connection.requests == 1:
                connection.option(lambda plain: set_user_timeout(plain, LOST_AFTER_REUSED))
            with suppress(_ForgottenError):
                return await self._ask(connection, head, body or b"")
            self._retried += 1
            self._pool.clear(key)  # what rests beside it is as old
        connection = await self._connect(key, connect_timeout)
        return await self._ask(connection, head, body or b"", fresh=True)

    async def _ask(
        self, connection: Connection, head: bytes, body: bytes, *, fresh: bool = False
    ) -> Answer:
        answer = Answer(connection)
        try:
            connection.send(answer, head, body)
            await answer.opened()
        except HttpError as error:
            if fresh or connection.heard or error.fault not in _FORGOTTEN:
                raise
            raise _ForgottenError from None
        except BaseException:
            answer.close()
            raise
        return answer

    async def _connect(self, key: Key, seconds: float | None) -> Connection:
        def make() -> Connection:
            return Connection(str(key[0]), self._rest, self._forget)

        if self._closed:
            raise HttpError(NetworkFault.RESET, Stage.CONNECT, "the client is closed")
        with anyio.CancelScope() as scope:
            if seconds is not None:
                scope.deadline = anyio.current_time() + seconds
            connection = await connect(make, *key, self._options)
            self._connected += 1
            if connection.state is not State.CLOSED:  # it may have been, meanwhile
                self._open[connection] = key
            return connection
        raise HttpError(NetworkFault.TIMEOUT, Stage.CONNECT)

    def _rest(self, connection: Connection) -> None:
        self._pool.put(self._open[connection], connection)

    def _forget(self, connection: Connection) -> None:
        key = self._open.pop(connection, None)
        if key is not None:
            self._pool.drop(key, connection)


class _ForgottenError(Exception):
    """A kept connection turned out to be dead."""


class _Tls:
    """The system's trust, read when it is first needed: that takes tens of milliseconds."""

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Return it; called in a thread."""
        if self._context is None:
            self._context = ssl.create_default_context()
            self._context.set_alpn_protocols(["http/1.1"])
        return self._context
