"""Our own listener on loopback, for tests that look at the bytes."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from socket import SO_SNDBUF, SOL_SOCKET, socket
from time import monotonic

from aiohttp import web

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.core.policy import DEFAULT_CLIENT
from exo_supervisor.http.server import HEAD_WAIT
from exo_supervisor.http.server_connection import ServerConnection
from exo_supervisor.http.service import Handler
from exo_supervisor.serve.clients import Clients
from exo_supervisor.serve.control.handed_over import HandedOver
from exo_supervisor.serve.dispatch_head import DispatchHead
from exo_supervisor.serve.door import Door
from exo_supervisor.serve.listener import Begin, Listener
from exo_supervisor.serve.target import DISPATCHED
from exo_supervisor.serve.token import Guard

HOST = "127.0.0.1"

Serve = Callable[[web.BaseRequest, Refusal | None], Awaitable[web.StreamResponse]]


def no_dispatch(_: ServerConnection, __: DispatchHead, ___: int | None) -> Handler:
    """Begin nothing: no such request comes."""
    raise AssertionError


async def no_look(_: web.BaseRequest, __: Refusal | None) -> web.StreamResponse:
    """Answer nothing: no such request comes."""
    raise AssertionError


class Plainly:
    """Answers a dispatched request with a status alone."""

    def __init__(self, connection: ServerConnection, status: bytes) -> None:
        self._connection, self._status = connection, status

    def end(self) -> None:
        self._connection.start(b"HTTP/1.1 %b\r\n" % self._status, length=0)
        self._connection.finish()

    def data(self, data: bytes) -> None:
        raise AssertionError(data)

    def broken(self) -> None:
        raise AssertionError

    def writable(self) -> None:
        return

    def gone(self) -> None:
        return


def answer_plainly(connection: ServerConnection, dispatch: DispatchHead, _: int | None) -> Handler:
    """Begin what is answered with 200, or 401 where anything is wrong."""
    return Plainly(connection, b"200 OK" if dispatch.wrong is None else b"401 Unauthorized")


def only(token: str) -> Guard:
    """Let in whoever has this token."""
    return Guard(lambda said: DEFAULT_CLIENT if said == token else None)


@asynccontextmanager
async def listening(
    serve: Serve = no_look, door: Door | None = None, *, begin: Begin = no_dispatch,
    guard: Guard | None = None, head_wait: float = HEAD_WAIT, send_buffer: int = 0,
) -> AsyncGenerator[int]:  # fmt: skip
    """Serve on loopback; the port is what comes back. The kernel keeps little if told so."""
    listener = Listener(
        begin, DISPATCHED, HandedOver(serve), door or Door(monotonic), clients=Clients(),
        drain_timeout=0.2, head_wait=head_wait,
    )  # fmt: skip
    bound = socket()
    if send_buffer:
        bound.setsockopt(SOL_SOCKET, SO_SNDBUF, send_buffer)
    bound.bind((HOST, 0))
    await listener.listen([bound], guard)
    try:
        yield bound.getsockname()[1]
    finally:
        await listener.drain()
