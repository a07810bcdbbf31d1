"""What a client asks of us beside its request: the x-supervisor-* headers."""

from collections.abc import Collection, Mapping
from math import isfinite
from typing import Literal

from msgspec import Struct

from exo_supervisor.core.outcomes import BadRequestError, bad_request
from exo_supervisor.core.trace import PARENT, Trace, read_trace
from exo_supervisor.wire.chat.session import MAX_SESSION_CHARS, session_in_headers


class RequestHeaders(Struct, frozen=True):
    """A route that was asked for, whether nothing may leave this network, and seconds to answer.

    `session` is the conversation's name, `trace` what its request is a part of.
    """

    route: Literal["exo", "cloud"] | None = None
    local_only: bool = False
    deadline: float | None = None
    session: str = ""
    trace: Trace | None = None


PLAIN = RequestHeaders()
_PREFIX = "x-supervisor-"
_KNOWN = frozenset(f"{_PREFIX}{name}" for name in ("route", "privacy", "deadline", "session"))


def read_headers(headers: Mapping[str, str], repeated: Collection[str] = ()) -> RequestHeaders:
    """Read ours from headers by their names in lower case; `repeated` came several times.

    An unknown value or header of ours raises BadRequestError, `bad_header`.
    """
    named = [name for name in headers if name.startswith(_PREFIX)]
    session = session_in_headers(headers)
    trace = read_trace(headers, repeated) if PARENT in headers else None
    if not named:
        return RequestHeaders(session=session, trace=trace) if session or trace else PLAIN
    for name in named:
        if name in repeated:
            raise _bad(name, "each x-supervisor-* header may be sent once")
        if name not in _KNOWN:
            raise _bad(name, "known are x-supervisor-privacy, -route, -deadline and -session")
    found = {name: headers[name].strip() for name in named}
    return RequestHeaders(
        route=_route(found.get("x-supervisor-route")),
        local_only=_local_only(found.get("x-supervisor-privacy")),
        deadline=_deadline(found.get("x-supervisor-deadline")),
        session=_session(found.get("x-supervisor-session")) or session,
        trace=trace,
    )


def _route(value: str | None) -> Literal["exo", "cloud"] | None:
    match value:
        case None | "exo" | "cloud":
            return value
        case _:
            raise _bad("x-supervisor-route", "x-supervisor-route is exo or cloud")


def _local_only(value: str | None) -> bool:
    if value not in (None, "local_only"):
        raise _bad("x-supervisor-privacy", "x-supervisor-privacy is local_only or not sent")
    return value is not None


def _deadline(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not isfinite(seconds) or seconds <= 0:
        raise _bad("x-supervisor-deadline", "x-supervisor-deadline is seconds above 0")
    return seconds


def _session(value: str | None) -> str:
    if value is None:
        return ""
    if not 0 < len(value) <= MAX_SESSION_CHARS or not (value.isascii() and value.isprintable()):
        text = f"x-supervisor-session is 1 to {MAX_SESSION_CHARS} printable ASCII characters"
        raise _bad("x-supervisor-session", text)
    return value


def _bad(header: str, text: str) -> BadRequestError:
    return bad_request("bad_header", text, param=header)
