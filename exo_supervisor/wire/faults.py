"""What an upstream's own words mean: heads, error bodies and error events, as faults."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import msgspec
from msgspec import Struct

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.errors import SupervisorError
from exo_supervisor.wire.shapes import UNREADABLE, as_list, as_object

BUSY_CODES = frozenset({429, 503, 529})
_KEY_CODES = frozenset({401, 402, 403})
_LONGEST_MESSAGE = 300
_LONGEST_REST = 86400.0
"""Seconds; a provider that names a later day is asked again after one."""

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_TOO_LONG = re.compile(
    r"context[ _]length|maximum context|context[ _]window|prompt is too long|"
    r"too many (input )?tokens|input is too long|exceeds? the (model'?s )?(maximum|available) "
    r"(number of tokens|context)",
    re.IGNORECASE,
)
_FILTERED = re.compile(r"content[ _](filter|policy)|content management policy", re.IGNORECASE)
_BUSY_WORDS = frozenset({"rate_limit_exceeded", "rate_limit_error", "overloaded_error"})
_NOT_PLACED = ("No instance found", "Unsupported model")


class WireError(SupervisorError):
    """Bytes of the network are not what they should be; the text never repeats them."""


class Said(Struct, frozen=True):
    """An upstream's error in its own words, made safe."""

    message: str = ""
    code: str | None = None
    retry_after: float | None = None


class Judgement(Struct, frozen=True):
    """Why a response head is not worth reading on; `retry_after` in seconds from now."""

    fault: Fault
    status: int
    message: str
    retry_after: float | None = None


def decode(body: bytes) -> object:
    """Any JSON as Python values; raises WireError for everything else."""
    try:
        return msgspec.json.decode(body)
    except UNREADABLE:
        raise WireError("not valid JSON") from None


def safe_text(value: object) -> str:
    """Return a short line without control characters, or nothing for what is no text."""
    if not isinstance(value, str):
        return ""
    return _CONTROLS.sub(" ", value[: 4 * _LONGEST_MESSAGE]).strip()[:_LONGEST_MESSAGE]


def said(error: object) -> Said:
    """Read an error of a known shape: OpenAI's, FastAPI's `detail`, or a bare message.

    FastAPI's `input` is what the client sent, so it is left out.
    """
    first = next(iter(as_list(error)), error)
    fields = as_object(first)
    inner = fields.get("error")
    if inner is not None:
        fields = as_object(inner)
        first = inner
    if "detail" in fields:
        return _detail(fields["detail"])
    code = fields.get("code")
    if code is None:
        code = fields.get("type")
    return Said(
        message=safe_text(fields.get("message", first)),
        code=safe_text(str(code)) if isinstance(code, str | int) else None,
        retry_after=_seconds(str(fields.get("retry_after"))),
    )


def _detail(detail: object) -> Said:
    first = next(iter(as_list(detail)), detail)
    fields = as_object(first)
    message = safe_text(fields.get("msg", first))
    places = as_list(fields.get("loc"))
    param = safe_text(".".join(str(p) for p in places if p != "body" and isinstance(p, str | int)))
    if param:
        message = safe_text(f"{param}: {message}")
    return Said(message=message, code=safe_text(fields.get("type")) or None)


def in_band(error: Said, *, exo: bool, content: bool) -> Fault:
    """Tell the fault of an error that arrived inside a 200; after content no error is harmless."""
    code = error.code or ""
    if content:
        return Fault.ERROR_EVENT
    if error.message.startswith(_NOT_PLACED):
        return Fault.NOT_PLACED
    if _too_long(error):
        return Fault.CONTEXT_LENGTH
    if _FILTERED.search(code):
        return Fault.REJECTED
    if code in _BUSY_WORDS or code in map(str, BUSY_CODES):
        return Fault.BUSY
    if code in map(str, _KEY_CODES) and not exo:
        return Fault.BAD_KEY
    return Fault.ERROR_EVENT


def _too_long(error: Said) -> bool:
    return bool(_TOO_LONG.search(error.code or "") or _TOO_LONG.search(error.message))


def judge(
    status: int,
    content_type: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    exo: bool,
    now_wall: float,
) -> Judgement | None:
    """Tell the fault in a response head, or None for an answer worth reading.

    `body` is the (bounded) body of an error and may be empty; `now_wall` is seconds since the
    epoch, for a `Retry-After` that names a date (RFC 9110, section 10.2.3).
    """
    named = {name.lower(): value for name, value in headers.items()}
    if status == HTTPStatus.OK:
        return _judge_ok(content_type, named)
    try:
        error = said(decode(body))
    except WireError:
        error = Said()
    fault = _judge_status(status, error, exo=exo)
    rest = _retry_after(named.get("retry-after"), now_wall)
    return Judgement(
        fault=fault,
        status=status,
        # a provider's words about a key may hold the key
        message="" if fault is Fault.BAD_KEY else error.message,
        retry_after=error.retry_after if rest is None else rest,
    )


def _judge_ok(content_type: str, headers: Mapping[str, str]) -> Judgement | None:
    encoding = headers.get("content-encoding", "identity").strip().lower()
    media = content_type.partition(";")[0].strip().lower()
    if encoding not in {"", "identity"}:
        return Judgement(Fault.CONTENT_TYPE, 200, "the answer is compressed unasked")
    if media not in {"text/event-stream", "application/json"}:
        shown = safe_text(media) or "no content type"
        return Judgement(Fault.CONTENT_TYPE, 200, f"the answer is {shown}, not an answer to a chat")
    return None


def _judge_status(status: int, error: Said, *, exo: bool) -> Fault:
    if status in BUSY_CODES:
        return Fault.BUSY
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return Fault.SERVER_ERROR
    if status == HTTPStatus.NOT_FOUND:
        return Fault.NOT_PLACED
    if status in _KEY_CODES and not exo:
        return Fault.BAD_KEY
    if status == 408 or not 400 <= status < 500:  # noqa: PLR2004
        return Fault.BAD_STATUS
    if status in {400, 413, 422} and _too_long(error):
        return Fault.CONTEXT_LENGTH
    if exo and error.message.startswith(_NOT_PLACED):
        return Fault.NOT_PLACED
    return Fault.REJECTED


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return min(seconds, _LONGEST_REST) if seconds >= 0 else None


def _retry_after(value: str | None, now_wall: float) -> float | None:
    if value is None:
        return None
    seconds = _seconds(value)
    if seconds is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return min(max(moment.timestamp() - now_wall, 0.0), _LONGEST_REST)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
