"""What is no dispatch route, on aiohttp: one request, and the connection ends with its answer.

The connection was accepted, and its first head read and judged, before it came here.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, cast

import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from yarl import URL

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.http.leaving import LEFT_FIRST, LeaveWatch, only_half_closed
from exo_supervisor.runtime.supervise import describe_crash
from exo_supervisor.serve.control.plain import refuse_plainly
from exo_supervisor.serve.crashes import refusal_of
from exo_supervisor.serve.peer import let_in
from exo_supervisor.serve.target import path_of
from exo_supervisor.serve.token import Judgement

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

Serve = Callable[[web.BaseRequest, Refusal | None], Awaitable[web.StreamResponse]]

_NO_ACCESS_LOG: dict[str, Any] = {"access_log": None}  # what aiohttp takes, but does not say
_silence = logging.getLogger("exo_supervisor.serve.silence")
_silence.addHandler(logging.NullHandler())
_silence.propagate = False


class HandedOver:
    """Owns the connections that were handed over; `serve` answers their requests."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._server = web.Server(
            self._answer, request_factory=_make_last, handler_cancellation=True
        )

    def connection(self, judgement: Judgement, left: Callable[[], None]) -> asyncio.Protocol:
        """Make a protocol for one request that was judged; `left` is called at its end."""
        return _Connection(self._server, judgement, left)

    async def drain(self, seconds: float) -> None:
        """Let what runs end for so many seconds, then cut it."""
        self._server.pre_shutdown()
        await self._server.shutdown(seconds)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        judgement = _judgement_of(request.protocol)
        let_in(request, judgement.client)
        return await self._serve(request, judgement.wrong)


def _make_last(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    """Read each request as its connection's last: what follows was not judged."""
    last = message._replace(should_close=True)
    target = _judgement_of(protocol).head.target.decode("ascii", "surrogateescape")
    if target.startswith("/"):
        path, _, query = target.partition("#")[0].partition("?")
        url = URL.build(path=path, query_string=query, encoded=True)  # `//` begins no host here
        last = last._replace(path=target, url=url)
    return web.BaseRequest(last, payload, protocol, writer, task, asyncio.get_running_loop())


def _judgement_of(protocol: web.RequestHandler) -> Judgement:
    return cast("_Connection", protocol).judgement


class _Connection(web.RequestHandler):
    """aiohttp's connection, except that it neither echoes nor logs what it could not read."""

    def __init__(self, manager: web.Server, judgement: Judgement, left: Callable[[], None]) -> None:
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            auto_decompress=False,
            logger=_silence,
            **_NO_ACCESS_LOG,
        )
        self.judgement = judgement
        self._left = left

    async def start(self) -> None:
        """Serve its one request, and close: nobody is left waiting, whatever became of it."""
        try:
            await super().start()
        finally:
            if self.transport is not None:
                self.transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._left()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 -- it may hold a token or a prompt
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or whose route crashed, without a word of what it was."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was under way")
        refusal = Refusal(status, "bad_http", "this is not a request that HTTP allows")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            crash = [] if exc is None else describe_crash(exc)
            log.error("connection_crashed", crash=crash)
            refusal = refusal_of(exc)
        response = refuse_plainly(refusal, path_of(self.judgement.head.target))
        response.force_close()
        return response

    def eof_received(  # pyright: ignore[reportIncompatibleMethodOverride] -- asyncio takes a bool
        self,
    ) -> bool:
        """Answer one who has only said that it will send no more, if all of its request is there.

        A request whose body is not can never be answered.
        """
        transport = self.transport
        if transport is None or self._lacks_body() or not only_half_closed(transport):
            return False
        LeaveWatch(self._loop, transport, lambda: True).start(LEFT_FIRST)
        return True

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
