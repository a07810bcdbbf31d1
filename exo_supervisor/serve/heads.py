"""The heads of answers, as bytes; what many of them share is made once.

The connection adds what is its own: the date, how the body is framed, and whether it goes on.
"""

from functools import cache, lru_cache
from http import HTTPStatus
from math import ceil

from msgspec import Struct

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.wire.dialect import Framing

_STREAM = (
    b"HTTP/1.1 200 OK\r\n"
    b"content-type: %b\r\n"
    b"cache-control: no-cache, no-transform\r\n"
    b"x-accel-buffering: no\r\n"
    b"server: exo-supervisor\r\n"
)
_JSON = b"content-type: application/json\r\nserver: exo-supervisor\r\n"
_WHOLE = b"HTTP/1.1 200 OK\r\n" + _JSON
_LONGEST_MODEL = 256
_KNOWN = 512
"""Pairs of target and model whose lines are kept; a house has a few, a stranger invents many."""


class Served(Struct, frozen=True):
    """Who answers: shown in headers, or in a comment where the headers went out before."""

    target: str
    attempts: int
    shift: str | None
    model: str


def waiting_head(framing: Framing, request_id: str) -> bytes:
    """Write the head of a stream that nobody answers yet."""
    return _stream(framing.content_type) + _id_lines(framing, request_id)


def stream_head(framing: Framing, request_id: str, served: Served) -> bytes:
    """Write the head of a stream whose answer begins."""
    return waiting_head(framing, request_id) + served_lines(served)


def whole_head(framing: Framing, request_id: str, served: Served) -> bytes:
    """Write the head of a whole answer."""
    return _WHOLE + _id_lines(framing, request_id) + served_lines(served)


def error_head(framing: Framing, request_id: str, refusal: Refusal) -> bytes:
    """Write the head of an error."""
    status = HTTPStatus(refusal.status)
    lines = b"HTTP/1.1 %d %b\r\n%b%b" % (
        status, status.phrase.encode(), _JSON, _id_lines(framing, request_id),
    )  # fmt: skip
    if status is HTTPStatus.UNAUTHORIZED:  # what every 401 says (RFC 9110, section 15.5.2)
        lines += b"www-authenticate: Bearer\r\n"
    if refusal.retry_after is not None:  # sooner than it can be would be a lie
        lines += b"retry-after: %d\r\n" % max(1, ceil(refusal.retry_after))
    return lines


@cache
def _stream(content_type: str) -> bytes:
    return _STREAM % content_type.encode()


def _id_lines(framing: Framing, request_id: str) -> bytes:
    name = request_id.encode()
    if framing.id_header:
        return b"x-request-id: %b\r\n%b: %b\r\n" % (name, framing.id_header.encode(), name)
    return b"x-request-id: %b\r\n" % name


@lru_cache(maxsize=_KNOWN)
def served_lines(served: Served) -> bytes:
    """Write who answers; a model's name comes from a stranger and is made harmless."""
    lines = (
        f"x-supervisor-target: {served.target}\r\n"
        f"x-supervisor-attempts: {served.attempts}\r\n"
        f"x-supervisor-model: {harmless(served.model)}\r\n"
    )
    if served.shift is not None:
        lines += f"x-supervisor-shift: {served.shift}\r\n"
    return lines.encode()


def harmless(text: str) -> str:
    """Keep what may stand in a header: printable ASCII, and not too much of it."""
    return "".join(c if " " <= c <= "~" else "?" for c in text[:_LONGEST_MODEL])
