"""The heads of answers, as bytes; what many of them share is made once.

The connection adds what is its own: the date, how the body is framed, and whether it goes on.
"""

from functools import cache, lru_cache
from http import HTTPStatus
from math import ceil
from typing import Final

from msgspec import Struct

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.serve.request_id import new_request_id
from exo_supervisor.wire.dialect import Framing, Told, told
from exo_supervisor.wire.table import framing_of

_STREAM = (
    b"HTTP/1.1 200 OK\r\n"
    b"content-type: %b\r\n"
    b"cache-control: no-cache, no-transform\r\n"
    b"x-accel-buffering: no\r\n"
    b"server: exo-supervisor\r\n"
)
JSON_HEADERS: Final = {"content-type": "application/json", "server": "exo-supervisor"}
_WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nserver: exo-supervisor\r\n"
SOON: Final = 60.0
"""Seconds within which a client may ask again by itself where nobody can serve it now."""
_SPENT = frozenset({402, 403, 502, 504})
"""All that could be tried was tried, or is not allowed."""
_NOBODY = frozenset({"local_only_unavailable", "no_target"})
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
    ours = _id_lines(framing, request_id) + served_lines(served)
    return _stream(framing.content_type) + ours


def whole_head(framing: Framing, request_id: str, served: Served) -> bytes:
    """Write the head of an answer that comes in one piece, and name who gave it."""
    return _WHOLE + _id_lines(framing, request_id) + served_lines(served)


def answer_head(framing: Framing, request_id: str) -> bytes:
    """Write the head of an answer for which no target was asked."""
    return _WHOLE + _id_lines(framing, request_id)


def told_at(path: str, refusal: Refusal) -> tuple[Framing, Told]:
    """Say how a client is told of a refusal at a path where no request began."""
    framing = framing_of(path)
    return framing, told(refusal, new_request_id() if framing.id_header else "")


def error_head(framing: Framing, said: Told) -> bytes:
    """Write the head of an error, whichever connection it goes out on."""
    status = HTTPStatus(said.status)
    headers = error_headers(framing, said)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status:d} {status.phrase}\r\n{lines}".encode()


def error_headers(framing: Framing, said: Told) -> dict[str, str]:
    """Return what an error tells beside its body: whether and when to ask again, and how."""
    headers = dict(JSON_HEADERS)
    if said.request_id:
        headers["x-request-id"] = said.request_id
        if framing.id_header:
            headers[framing.id_header] = said.request_id
    if said.status == HTTPStatus.UNAUTHORIZED:  # what every 401 says (RFC 9110, section 15.5.2)
        headers["www-authenticate"] = "Bearer"
    if said.allow is not None:
        headers["allow"] = said.allow
    if said.retry_after is not None:  # sooner than it can be would be a lie
        headers["retry-after"] = str(max(1, ceil(said.retry_after)))
    if _is_in_vain(said):
        headers["x-should-retry"] = "false"
    return headers


def _is_in_vain(said: Refusal) -> bool:
    """Say whether it is of no use to ask again: the SDKs would, twice, on any 5xx.

    What is busy mends itself soon, and so may a house that has nobody just now.
    """
    late = said.retry_after is not None and said.retry_after > SOON
    return said.status in _SPENT or (said.code in _NOBODY and late)


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
