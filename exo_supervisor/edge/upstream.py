"""HTTP to targets: opens one answer, reads it, and names what went wrong in the house's words."""

import os
import ssl
import time
from asyncio import Future
from contextlib import suppress
from errno import EMFILE, ENFILE
from http import HTTPStatus
from io import BytesIO
from math import inf

import aiohttp
import anyio
import structlog
from aiohttp import ClientConnectorDNSError, ClientResponse, ClientSession, ClientTimeout

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.edge.pool import Pool, WhyNot
from exo_supervisor.errors import SupervisorError
from exo_supervisor.wire import exo, providers
from exo_supervisor.wire.faults import judge
from exo_supervisor.wire.openai import ChatRequest

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("upstream")

NODE_IDLE = 3.0
"""Seconds that an idle connection to a node is kept: hypercorn (Exo B, C) closes it at five."""
PROVIDER_IDLE = 60.0
LARGE_BODY = 2**20
"""Bytes from which on a body is written in parts."""
ERROR_BODY = 65_536
"""Bytes of an error's body that are read, at most."""
ERROR_WAIT = 2.0
"""Seconds for which an error's body is waited for."""
LAST_BYTES = 0.2
"""Seconds for which the end of a body is waited for after its `[DONE]`."""
EXHAUSTED_PAUSE = 1.0
"""Seconds after which a request that found no descriptor left may be tried again."""
EXHAUSTED_QUIET = 60.0
"""Seconds between two lines in the log that say so."""
_BROKEN = (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, OSError, RuntimeError)
"""What reading a body raises; RuntimeError is aiohttp's word for a connection that is gone."""


class UpstreamError(SupervisorError):
    """A target did not give an answer worth reading on."""

    def __init__(
        self,
        fault: Fault,
        message: str = "",
        *,
        status: int = 0,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.message = message
        self.status = status
        self.retry_after = retry_after


class Opened:
    """An answer whose head was good; its body is read piece by piece."""

    def __init__(self, response: ClientResponse) -> None:
        self._response = response
        self.is_stream = response.content_type == "text/event-stream"
        connection = response.connection
        protocol = None if connection is None else connection.protocol
        self._closed = None if protocol is None else protocol.closed
        if self._closed is not None:
            self._closed.remove_done_callback(_take_note)
            self._closed.add_done_callback(_take_note)
            self._closed.add_done_callback(self._tell_reader)

    async def read(self) -> bytes:
        """Read what is there, waiting for at least a byte; nothing means a clean end."""
        try:
            return await self._response.content.readany()
        except _BROKEN as error:
            raise UpstreamError(_reading_fault(error)) from error

    async def see_out(self) -> None:
        """Let a body that has said everything end by itself, so that its connection is reused.

        How it ends is nobody's business any more: never raises.
        """
        if self._response.content.at_eof():
            return
        with anyio.move_on_after(LAST_BYTES), suppress(UpstreamError):
            while await self.read():
                pass

    def close(self) -> None:
        """Let go; the connection is closed unless the body had ended."""
        if self._closed is not None:
            self._closed.remove_done_callback(self._tell_reader)
        self._response.close()

    def _tell_reader(self, _: Future[None]) -> None:
        """End a read whose connection is gone: of a body whose framing breaks aiohttp tells nobody.

        Generation A writes a second answer into its chunks when a request takes too long.
        """
        content = self._response.content
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the framing of the body broke"))


def _take_note(closed: Future[None]) -> None:
    """Look at how a connection ended, since a future whose error nobody sees is logged."""
    if not closed.cancelled():
        closed.exception()


class Upstream:
    """Owns the connections to nodes and to providers."""

    def __init__(
        self, nodes: ClientSession, clouds: ClientSession, keys: dict[str, str | None]
    ) -> None:
        self._nodes, self._clouds = nodes, clouds
        self._headers = {name: providers.request_headers(key) for name, key in keys.items()}
        self._node_headers = providers.request_headers(None)
        self._quiet_until = -inf

    async def open(self, start: StartAttempt, chat: ChatRequest) -> Opened:
        """Send a request to a target and wait for a head worth reading on.

        Raises UpstreamError. How long it may take is the caller's to bound, but for connecting.
        """
        if start.generation is None:
            session, url = self._clouds, providers.chat_url(start.url)
            body = providers.encode_chat(
                chat, start.model, streamed=start.streamed, usage=start.usage
            )
            headers = self._headers[start.target]
        else:
            session, url = self._nodes, f"{start.url}/v1/chat/completions"
            body = exo.encode_chat(chat, start.model, start.generation)
            headers = self._node_headers
        timeout = ClientTimeout(total=None, connect=start.timers.connect)
        try:
            response = await session.post(
                url, data=_sendable(body), headers=headers, timeout=timeout, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._not_opened(error) from error
        await self._check(response, start)
        return Opened(response)

    def _not_opened(self, error: Exception) -> UpstreamError:
        if not _is_exhausted(error):
            return UpstreamError(opening_fault(error))
        now = anyio.current_time()
        if now >= self._quiet_until:
            self._quiet_until = now + EXHAUSTED_QUIET
            log.warning("descriptors_exhausted", advice="raise the limit of open files")
        return UpstreamError(Fault.BUSY, retry_after=EXHAUSTED_PAUSE)

    async def _check(self, response: ClientResponse, start: StartAttempt) -> None:
        body = b""
        try:
            if response.status != HTTPStatus.OK:
                body = await _read_error(response)
            judgement = judge(
                response.status,
                response.headers.get("content-type", ""),
                response.headers,
                body,
                exo=start.generation is not None,
                now_wall=time.time(),
            )
        except BaseException:
            response.close()
            raise
        if judgement is None:
            return
        response.close()
        raise UpstreamError(
            judgement.fault,
            judgement.message,
            status=judgement.status,
            retry_after=judgement.retry_after,
        )


def _sendable(body: bytes) -> bytes | BytesIO:
    """Let a large body be written part by part: aiohttp writes bytes whole, and warns of it."""
    return body if len(body) <= LARGE_BODY else BytesIO(body)


async def _read_error(response: ClientResponse) -> bytes:
    """Read the beginning of an error's body; one that breaks off says less, not something else."""
    parts: list[bytes] = []
    size = 0
    with anyio.move_on_after(ERROR_WAIT):
        try:
            while size < ERROR_BODY and (part := await response.content.readany()):
                parts.append(part)
                size += len(part)
        except _BROKEN:
            pass
    return b"".join(parts)


def _is_exhausted(error: Exception) -> bool:
    """Say whether it was we who had no descriptor left: no target is to blame for that."""
    if isinstance(error, ClientConnectorDNSError):  # a resolver hides why it failed
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError as refused:
            error = refused
    return isinstance(error, OSError) and error.errno in (EMFILE, ENFILE)


def opening_fault(error: Exception) -> Fault:
    """Name what kept an answer from beginning; the order matters, since aiohttp's classes nest."""
    match error:
        case aiohttp.ConnectionTimeoutError() | aiohttp.ServerTimeoutError() | TimeoutError():
            return Fault.CONNECT_TIMEOUT
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return Fault.TLS
        case ClientConnectorDNSError() | aiohttp.ClientConnectorError():
            return Fault.CONNECT
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | OSError():
            return Fault.RESET_EARLY
        case aiohttp.InvalidURL() | ValueError():
            return Fault.CONNECT
        case _:  # a head that is no HTTP
            return Fault.PAYLOAD


def _reading_fault(error: Exception) -> Fault:
    return Fault.PAYLOAD if isinstance(error, aiohttp.ClientPayloadError) else Fault.RESET


def open_sessions(why_not: WhyNot | None = None) -> tuple[ClientSession, ClientSession]:
    """Make the two pools: one for nodes, one for providers. Cookies and proxies play no part.

    `why_not` says where no connection to a node may be made.
    """
    return _session(NODE_IDLE, why_not), _session(PROVIDER_IDLE)


def _session(idle: float, why_not: WhyNot | None = None) -> ClientSession:
    return ClientSession(
        connector=Pool.open(idle, why_not),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
    )
