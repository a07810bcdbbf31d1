"""The server on the socket: aiohttp's, except that it repeats nothing that it could not read."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from select import poll
from socket import AF_UNIX, socket
from typing import Any

import anyio
import structlog
from aiohttp import web

from exo_supervisor.serve.door import Door
from exo_supervisor.serve.ingress import refuse_plainly

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

BACKLOG = 4096
"""Connections that may wait to be accepted: a burst of clients must not see EAGAIN."""
LEFT_FIRST, LEFT_EVERY = 0.01, 0.25
"""Seconds until it is looked whether a client that sends no more has left, and between looks."""
IDLE = 75.0
"""Seconds that a client's idle connection is kept."""

Serve = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_silence = logging.getLogger("exo_supervisor.serve.silence")
_silence.addHandler(logging.NullHandler())
_silence.propagate = False


class Listener:
    """Accepts clients on sockets that are bound already, each with what answers its requests."""

    def __init__(self, *, drain_timeout: float, door: Door | None = None) -> None:
        self._drain_timeout = drain_timeout
        self._door = door or Door(anyio.current_time)
        self._runners: list[web.ServerRunner] = []

    async def listen(self, sockets: Iterable[socket], serve: Serve) -> None:
        """Begin to accept on these sockets; `serve` answers each request."""
        server = _Server(
            serve,
            self._door,
            handler_cancellation=True,
            keepalive_timeout=IDLE,
            access_log=None,
            auto_decompress=False,
            logger=_silence,
        )
        runner = web.ServerRunner(server, shutdown_timeout=self._drain_timeout)
        self._runners.append(runner)
        await runner.setup()
        for listening in sockets:
            await web.SockSite(runner, listening, backlog=BACKLOG).start()

    async def drain(self) -> None:
        """Accept no more, let what runs end for as long as it may, then cut it."""
        async with anyio.create_task_group() as tasks:
            for runner in self._runners:
                tasks.start_soon(runner.cleanup)


class _Connection(web.RequestHandler):
    """aiohttp's connection, except that it neither echoes nor logs what it could not read."""

    def __init__(self, manager: web.Server, door: Door, **kwargs: Any) -> None:  # noqa: ANN401 -- aiohttp's
        super().__init__(manager, **kwargs)
        self._door = door
        self.has_head = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Come in, if there is a place; on TCP the first head is waited for only so long."""
        super().connection_made(transport)
        under = transport.get_extra_info("socket")
        stranger = under is None or under.family != AF_UNIX
        if not self._door.enter(self, stranger=stranger):
            self.drop()
        elif stranger:
            self._loop.call_later(self._door.head_wait, self._look_for_head)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Go out."""
        self._door.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes in, and note that a head is among them."""
        super().data_received(data)
        self.has_head = self.has_head or bool(self._messages) or self._current_request is not None

    def _look_for_head(self) -> None:
        if not self.has_head:
            self.drop()

    def drop(self) -> None:
        """Cut the connection, without a word."""
        if self.transport is not None:
            self.transport.abort()

    def show_token(self) -> None:
        """Take in that its client has shown the token."""
        self._door.show(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 -- it may hold a token or a prompt
    ) -> web.StreamResponse:
        """Answer a request that is no HTTP, without a word of what it was."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was under way")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("connection_crashed", fault=type(exc).__name__)
        text = "this is not a request that HTTP allows"
        response = refuse_plainly(status, "bad_http", text)
        response.force_close()
        return response

    def eof_received(  # pyright: ignore[reportIncompatibleMethodOverride] -- asyncio takes a bool
        self,
    ) -> bool:
        """Answer one who has only said that it will send no more, as `nc -N` does.

        On a Unix socket that can be told from a leave; on TCP it cannot, and counts as one. A
        request whose body is not all there can never be answered.
        """
        if self._has_left() is not False or self._lacks_body():
            return False
        self._loop.call_later(LEFT_FIRST, self._look_for_leave)
        return True

    def _look_for_leave(self) -> None:
        """Look again and again, since no event tells; with all it sent answered, it is closed."""
        if self.transport is None:
            return
        if self._has_left():
            self.transport.abort()
            return
        if self._waiter is not None:  # for a next request, which will not come
            self.force_close()
            return
        if not self._messages:
            self.close()  # as soon as what runs is answered
        self._loop.call_later(LEFT_EVERY, self._look_for_leave)

    def _has_left(self) -> bool | None:
        """Say whether the other end of a Unix socket is closed; of TCP nobody knows."""
        under = None if self.transport is None else self.transport.get_extra_info("socket")
        if under is None or under.family != AF_UNIX:
            return None
        look = poll()
        look.register(under.fileno(), 0)  # POLLHUP comes unasked
        return bool(look.poll(0))

    def _lacks_body(self) -> bool:
        if self._messages:
            return not self._messages[-1][1].is_eof()
        return self._current_request is not None and not self._current_request.content.is_eof()

    async def _drain_helper(self) -> None:
        """Wait until a slow client has made room.

        aiohttp 3.14 cancels the one future for which every wait here waits, so that after a wait
        that our timers cut short the next is cancelled too, as if the client had left.
        """
        if self._paused and self.transport is not None:
            self._drain_waiter = self._drain_waiter or self._loop.create_future()
            await asyncio.shield(self._drain_waiter)
        else:
            await super()._drain_helper()


class _Server(web.Server):
    """aiohttp's server with our connections."""

    def __init__(self, serve: Serve, door: Door, **kwargs: Any) -> None:  # noqa: ANN401 -- aiohttp's
        super().__init__(serve, **kwargs)
        self._door = door

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, self._door, loop=self._loop, **self._kwargs)


def show_token(request: web.BaseRequest) -> None:
    """Take in that a request has shown the token: its connection is no stranger's any more."""
    if isinstance(request.protocol, _Connection):
        request.protocol.show_token()
