"""Reads a request's body, as far as the house has room for it."""

from aiohttp import web

from exo_supervisor.core.admission import Gate
from exo_supervisor.errors import BadRequestError


class Body:
    """One request's body; `size` is what was admitted and is to be counted out again."""

    def __init__(self, gate: Gate, limit: int) -> None:
        self._gate, self._limit = gate, limit
        self.size = 0

    async def read(self, request: web.BaseRequest) -> bytes:
        """Read it whole; raises BadRequestError: `body_too_large` or `overloaded`."""
        length = request.content_length
        if length is not None and length > self._limit:
            raise self._too_large()
        expects = request.headers.get("expect", "").lower() == "100-continue"
        if expects and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        parts: list[bytes] = []
        while part := await request.content.readany():
            if self.size + len(part) > self._limit:
                raise self._too_large()
            if not self._gate.take(len(part)):
                raise overloaded("the bodies of other requests take all the room there is")
            self.size += len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _too_large(self) -> BadRequestError:
        text = f"the body is larger than {self._limit} bytes (server.max_body_bytes)"
        return BadRequestError("body_too_large", text, status=413)


def overloaded(why: str) -> BadRequestError:
    """Say that the house is full."""
    return BadRequestError("overloaded", f"{why}: try again in a moment", status=503)
