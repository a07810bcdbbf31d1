"""Reads a request's body, as far as the house has room for it."""

from math import inf

import anyio
from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from exo_supervisor.core.requests.admission import Gate
from exo_supervisor.core.requests.bodies import Owner, Sender
from exo_supervisor.errors import BadRequestError

BODY_WAIT = 30.0
"""Seconds for which the next part of a body is waited for."""
BODY_TOTAL = 60.0
"""Seconds that a body may take in all, and one more for each `SLOWEST` bytes that came."""
SLOWEST = 65_536


class Body:
    """One request's body; `size` is what the gate holds for it, to be let go by the caller."""

    def __init__(
        self,
        gate: Gate,
        limit: int,
        *,
        owner: Owner = None,
        wait: float = BODY_WAIT,
        total: float = BODY_TOTAL,
    ) -> None:
        self._gate, self._limit, self._wait, self._total = gate, limit, wait, total
        self._until = inf
        self._scope = anyio.CancelScope()
        self._sender = Sender(owner, anyio.current_time(), self._stop)
        self.size = 0

    def _stop(self) -> None:
        self._scope.cancel()

    def close(self) -> None:
        """Let go of what is held of it."""
        self._gate.bodies.close(self._sender)
        self._gate.let_go(self.size)
        self.size = 0

    async def read(self, request: web.BaseRequest) -> bytes:
        """Read it whole.

        Raises BadRequestError: `unsupported_encoding`, `body_too_large`, `overloaded`, or
        `bad_http` where it is broken, does not go on or takes too long.
        """
        _check_encoding(request)
        length = request.content_length
        if length is not None and length > self._limit:
            raise self._too_large()
        if not self._gate.begin():
            raise overloaded("as many requests as are allowed are in flight")
        self._gate.bodies.begin(self._sender)
        try:
            if waits_for_continue(request) and request.transport is not None:
                request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return await self._read_parts(request)
        finally:
            self._gate.bodies.end(self._sender)
            self._gate.end()

    async def _read_parts(self, request: web.BaseRequest) -> bytes:
        began = anyio.current_time()
        parts: list[bytes] = []
        self._until = began + self._total
        while part := await self._next_part(request):
            if self.size + len(part) > self._limit:
                raise self._too_large()
            has_room = self._gate.bodies.take(self._sender, len(part), anyio.current_time())
            if not has_room or not self._gate.take(len(part)):
                raise overloaded("the bodies of other requests take all the room there is")
            self.size += len(part)
            parts.append(part)
            self._until = began + self._total + self.size / SLOWEST
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _next_part(self, request: web.BaseRequest) -> bytes:
        """Read what is there; nothing is the end.

        The words of aiohttp repeat the client's bytes, so they are left out. It does not always
        say that a chunk is broken (3.14), so that a wait without an end may be one, too.
        """
        text = "the body is not what its transfer-encoding says"
        try:
            if request.content.is_eof():  # all of it has come: nothing is waited for
                return await request.content.readany()
            silent = anyio.current_time() + self._wait
            with anyio.CancelScope(deadline=min(silent, self._until)) as self._scope:
                return await request.content.readany()
            if self._sender.evicted:
                raise overloaded("the body came more slowly than others that needed its room")
            text = f"the body did not all come within {self._total:g} seconds"
            if silent <= self._until:
                text = f"nothing more of the body came for {self._wait:g} seconds"
        except (web.RequestPayloadError, HttpProcessingError):
            pass
        raise BadRequestError("bad_http", text)

    def _too_large(self) -> BadRequestError:
        text = f"the body is larger than {self._limit} bytes (server.max_body_bytes)"
        return BadRequestError("body_too_large", text, status=413)


def _check_encoding(request: web.BaseRequest) -> None:
    """Refuse a body that would have to be inflated: a small one may grow a thousandfold."""
    for value in request.headers.getall("content-encoding", []):
        if value.strip().lower() not in ("", "identity"):
            text = "a body with a content-encoding is not supported: send it as it is"
            raise BadRequestError("unsupported_encoding", text, status=415)


def waits_for_continue(request: web.BaseRequest) -> bool:
    """Say whether the client asked to be told before it sends its body (RFC 9110, 10.1.1)."""
    expects = request.headers.get("expect", "").lower() == "100-continue"
    return expects and request.version >= HttpVersion11


def overloaded(why: str) -> BadRequestError:
    """Say that the house is full."""
    return BadRequestError(
        "overloaded", f"{why}: try again in a moment", status=503, retry_after=1.0
    )
