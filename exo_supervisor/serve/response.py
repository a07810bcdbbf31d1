"""What one client gets: nothing yet, a head with keep-alives, or its answer.

The status line of a stream waits for the first content, so that a failed attempt costs the client
nothing. One that has waited for long gets its head all the same, and comments that keep it and
everything between awake.
"""

from collections.abc import Iterator
from http import HTTPStatus
from math import ceil

import anyio
import msgspec
from aiohttp import web
from msgspec import Struct

from exo_supervisor.core.effects import Refuse
from exo_supervisor.errors import SupervisorError
from exo_supervisor.serve.body import waits_for_continue
from exo_supervisor.wire.openai.inbound import error_body, error_event, kind_of

SERVER = "exo-supervisor"
JSON_HEADERS = {"content-type": "application/json", "server": SERVER}
AUTHENTICATE = {"www-authenticate": "Bearer"}
"""What every 401 says (RFC 9110, section 15.5.2)."""
_STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
}
_LONGEST_MODEL = 256
SMALL = 16_384
"""Bytes that a client who has read all before is sure to be handed without a wait."""
PIECE = 256 * 1024
"""Bytes of a large answer that are written at once."""
LAST_WORDS = 1.0
"""Seconds for which a client may take to read what went wrong, before it is cut off."""


class ClientLeftError(SupervisorError):
    """The client is gone, and nobody reads what we would write.

    Writing to it raises aiohttp's ClientConnectionResetError, which is a ConnectionResetError.
    """


class Served(Struct, frozen=True):
    """Who answers: shown in headers, or in a comment where the headers went out before."""

    target: str
    attempts: int
    shift: str | None
    model: str


class Response(web.StreamResponse):
    """A response that can be broken off, so that a client can tell it from a whole one."""

    broken = False
    _send_headers_immediately = False  # aiohttp then sends the head with the first bytes after it

    async def write_eof(self, data: bytes = b"") -> None:
        """End the response, unless it was broken off: then its terminator must not be sent."""
        if not self.broken:
            await super().write_eof(data)


class Reply:
    """One client's answer in the making; at most one of its methods runs at a time.

    `beat` alone comes from another task, and only until the answer begins.
    """

    def __init__(self, request: web.BaseRequest, request_id: str) -> None:
        self._request = request
        self._response = Response(headers={"x-request-id": request_id, "server": SERVER})
        self._beating: anyio.Event | None = None
        self.status = 0
        self.headed = False
        self.committed = False
        self.over = False

    @property
    def behind(self) -> bool:
        """Whether the client has yet to take what it was sent."""
        transport = self._request.transport
        return transport is not None and transport.get_write_buffer_size() > 0

    @property
    def response(self) -> Response:
        """What the server's handler returns in the end."""
        return self._response

    async def beat(self) -> None:
        """Show that somebody is at work: the head if it is still owed, and a comment."""
        if self.committed or self.over:
            return
        self._beating = anyio.Event()
        try:
            if not self.headed:
                await self._head(200, _STREAM_HEADERS)
            await self._response.write(b": keep-alive\n\n")
        except ConnectionResetError:
            self.over = True
        finally:
            self._beating.set()
            self._beating = None

    async def commit(self, served: Served) -> None:
        """Begin the answer: from here on there is no way back. Raises ClientLeftError."""
        await self._still()
        self.committed = True
        if self.headed:
            await self.write(b": supervisor " + msgspec.json.encode(served) + b"\n\n")
        else:
            await self._guard_head(200, _STREAM_HEADERS | served_headers(served))

    async def write(self, data: bytes) -> None:
        """Write a part of the answer; waits only for a slow client. Raises ClientLeftError."""
        try:
            await self._response.write(data)
        except ConnectionResetError as gone:
            raise ClientLeftError from gone

    async def drain(self) -> None:
        """Wait until a slow client has read what it was sent. Raises ClientLeftError."""
        try:
            await self._request.writer.drain()
        except ConnectionResetError as gone:
            raise ClientLeftError from gone

    async def whole(self, parts: list[bytes], served: Served) -> None:
        """Write a whole answer; what the client has taken is held no more. Raises ClientLeftError.

        The parts are many and small, or few and large: they go out in pieces in between.
        """
        self.committed = True
        length = sum(map(len, parts))
        headers = {"content-type": "application/json", "content-length": str(length)}
        await self._guard_head(200, headers | served_headers(served))
        for piece in in_pieces(parts):
            await self.write(piece)

    async def finish(self, data: bytes = b"") -> None:
        """End the answer as a whole one, its last part included. Raises ClientLeftError.

        Where the client keeps up, part and end are one write.
        """
        self.over = True
        if data and (self.behind or len(data) > SMALL):
            await self.write(data)
            data = b""
        try:
            await self._response.write_eof(data)
        except ConnectionResetError as gone:
            raise ClientLeftError from gone

    async def refuse(self, refusal: Refuse) -> None:
        """Answer with an error: as such if nothing was sent, else as an event and a cut."""
        await self._still()
        if self.headed:
            await self.break_off(refusal.status, refusal.code, refusal.message)
            return
        self.over = True
        if waits_for_continue(self._request) and not self._request.content.is_eof():
            self._response.force_close()  # the next bytes may be its body, or its next request
        body = error_body(
            refusal.message, refusal.code, kind=kind_of(refusal.status), param=refusal.param
        )
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        if refusal.status == HTTPStatus.UNAUTHORIZED:
            headers |= AUTHENTICATE
        if refusal.retry_after is not None:
            headers["retry-after"] = str(max(1, ceil(refusal.retry_after)))
        await self._guard_head(refusal.status, headers)
        await self.write(body)

    async def break_off(self, status: int, code: str, message: str) -> None:
        """Say in the stream what went wrong, and close it so that it cannot look whole."""
        self.over = True
        read = False
        try:
            with anyio.move_on_after(LAST_WORDS):
                await self.write(error_event(message, code, kind=kind_of(status)))
                read = True
        finally:
            self._break(flush=read)

    def drop(self) -> None:
        """Cut the connection of a client that does not read: it may not see an end to its answer.

        Never waits; what was not sent yet is lost.
        """
        self.over = True
        self._break(flush=False)

    def _break(self, *, flush: bool) -> None:
        self._response.broken = True
        self._response.force_close()
        transport = self._request.transport
        if transport is not None:
            _ = transport.close() if flush else transport.abort()

    async def _still(self) -> None:
        """Wait until a beat that has begun is over."""
        if self._beating is not None:
            await self._beating.wait()

    async def _guard_head(self, status: int, headers: dict[str, str]) -> None:
        try:
            await self._head(status, headers)
        except ConnectionResetError as gone:
            raise ClientLeftError from gone

    async def _head(self, status: int, headers: dict[str, str]) -> None:
        self.headed = True
        self.status = status
        self._response.set_status(status)
        self._response.headers.update(headers)
        await self._response.prepare(self._request)


def in_pieces(parts: list[bytes]) -> Iterator[bytes]:
    """Join small parts and cut large ones, and let go of each as soon as it is taken."""
    parts.reverse()
    some, size = list[bytes](), 0
    while parts:
        part = memoryview(parts.pop())
        for begin in range(0, len(part), PIECE):
            some.append(bytes(part[begin : begin + PIECE]))
            size += len(some[-1])
            if size >= PIECE:
                yield b"".join(some)
                some, size = [], 0
    yield b"".join(some)


def served_headers(served: Served) -> dict[str, str]:
    """Put who answers into headers; a model's name comes from a stranger and is made harmless."""
    headers = {
        "x-supervisor-target": served.target,
        "x-supervisor-attempts": str(served.attempts),
        "x-supervisor-model": harmless(served.model),
    }
    if served.shift is not None:
        headers["x-supervisor-shift"] = served.shift
    return headers


def harmless(text: str) -> str:
    """Keep what may stand in a header: printable ASCII, and not too much of it."""
    return "".join(c if " " <= c <= "~" else "?" for c in text[:_LONGEST_MODEL])
