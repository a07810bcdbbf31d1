"""What an upstream's own words mean: heads, error bodies and error events, as faults."""

import re
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Literal

import msgspec
from msgspec import Struct

from exo_supervisor.core.keys import hide_shapes
from exo_supervisor.core.outcomes import Failure, Fault
from exo_supervisor.wire.chat import wordings
from exo_supervisor.wire.chat.rate_limits import read_allowances
from exo_supervisor.wire.chat.retry_after import MAX_WAIT, retry_after, seconds
from exo_supervisor.wire.chat.wordings import About
from exo_supervisor.wire.untrusted_json import UNREADABLE, as_list, as_object

Media = Literal["stream", "json"]
"""What an answer is, by its content type: events, or one object, whatever was asked for."""
_MEDIA: dict[str, Media] = {"text/event-stream": "stream", "application/json": "json"}
BUSY_CODES = frozenset({409, 425, 429, 503, 529})
_FAILED_CODES = frozenset({408, 424})
_WRONG_CODES = frozenset({400, 413, 422})
"""Statuses that speak of the request; any other 4xx is about what lies at this provider."""
MAX_MESSAGE = 300
"""Characters of an upstream's words that are kept."""
_CONTROLS = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+"
_STATUSES = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "overloaded_error": 529,
    "insufficient_quota": 429,
    "billing_error": 402,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "context_length_exceeded": 400,
    "invalid_request_error": 400,
    "content_filter": 400,
}
"""Statuses that an error inside a stream names by its code or type."""
_FAULTS = {
    About.KEY: Fault.BAD_KEY,
    About.MODEL: Fault.NOT_PLACED,
    About.LENGTH: Fault.CONTEXT_LENGTH,
    About.SPARE: Fault.FIELD_REFUSED,
    About.FIELD: Fault.UNSUPPORTED,
    About.HERE: Fault.DECLINED,
    None: Fault.REJECTED,
}
_NOT_PLACED = ("No instance found", "Unsupported model")
MOST_DETAILS = 16
"""Of an error's details, in which a wait is looked for."""


class Said(Struct, frozen=True):
    """An upstream's error in its own words, made safe; `param` is the field that it names."""

    message: str = ""
    code: str | None = None
    retry_after: float | None = None
    param: str = ""
    kind: str = ""

    def words(self) -> str:
        """Return everything that tells what it is about."""
        param = self.param and f"'{self.param}'"
        return " ".join(filter(None, (self.code, param, self.kind, self.message)))


def safe_text(value: object) -> str:
    """Return a short line that can be written: no controls, no halves of characters.

    What is no text becomes an empty one.
    """
    if not isinstance(value, str):
        return ""
    text = hide_shapes(wordings.without_echo(value[: 4 * MAX_MESSAGE]))
    return re.sub(_CONTROLS, " ", text).strip()[:MAX_MESSAGE]


def said(error: object) -> Said:
    """Read an error of a known shape: OpenAI's, FastAPI's `detail`, or a bare message.

    FastAPI's `input` is what the client sent, so it is left out. A broker (OpenRouter) may hand the
    words of the provider behind it on as `metadata.raw`: those tell more than its own.
    """
    first = next(iter(as_list(error)), error)
    outer = fields = as_object(first)
    inner = fields.get("error")
    if inner is not None:
        fields = as_object(inner)
        first = inner
    if "detail" in fields:
        return _detail(fields["detail"])
    code = next((c for c in (fields.get("code"), outer.get("code")) if c is not None), None)
    kind = fields.get("type")
    words = Said(
        message=safe_text(fields.get("message", first)),
        code=_name(kind if code is None else code),
        retry_after=seconds(str(fields.get("retry_after"))),
        param=safe_text(fields.get("param")),
        kind=safe_text(kind),
    )
    words = _with_delay(words, as_list(fields.get("details")))
    return _behind(words, as_object(fields.get("metadata")).get("raw"))


def _delay(message: str) -> float | None:
    named = wordings.wait_named(message)
    return None if named is None else min(named, MAX_WAIT)


def _name(code: object) -> str | None:
    return safe_text(str(code)) if isinstance(code, str | int) else None


def _with_delay(words: Said, details: list[object]) -> Said:
    """Take in when to come again, as Google says it (`retryDelay`, as `36s`) or as words say it."""
    delays = (as_object(each).get("retryDelay") for each in details[:MOST_DETAILS])
    texts = (delay.removesuffix("s") for delay in delays if isinstance(delay, str))
    delay = next((s for text in texts if (s := seconds(text)) is not None), words.retry_after)
    delay = _delay(words.message) if delay is None else delay
    return msgspec.structs.replace(words, retry_after=delay)


def _behind(words: Said, raw: object) -> Said:
    """Take the words of the provider behind a broker, where it hands them on."""
    if not isinstance(raw, str) or not raw:
        return words
    try:
        inner = said(msgspec.json.decode(raw[:65_536]))
    except UNREADABLE:
        message = safe_text(raw)
        inner = Said(message=message, retry_after=_delay(message))
    return msgspec.structs.replace(
        words,
        message=inner.message or words.message,
        retry_after=words.retry_after if inner.retry_after is None else inner.retry_after,
        param=inner.param or words.param,
        kind=" ".join(filter(None, (inner.code, inner.kind))) or words.kind,
    )


def _detail(detail: object) -> Said:
    first = next(iter(as_list(detail)), detail)
    fields = as_object(first)
    message = safe_text(fields.get("msg", first))
    places = as_list(fields.get("loc"))
    param = safe_text(".".join(str(p) for p in places if p != "body" and isinstance(p, str | int)))
    if param:
        message = safe_text(f"{param}: {message}")
    return Said(message=message, code=safe_text(fields.get("type")) or None, param=param)


def in_band(error: Said, *, exo: bool, content: bool) -> Fault:
    """Tell the fault of an error that arrived inside a 200; after content no error is harmless."""
    code = error.code or ""
    if content:
        return Fault.ERROR_EVENT
    if error.message.startswith(_NOT_PLACED):
        return Fault.NOT_PLACED
    status = int(code) if code.isascii() and code.isdecimal() else 0
    status = status or _STATUSES.get(code, _STATUSES.get(error.kind, 0))
    if exo and status not in BUSY_CODES:
        return Fault.CONTEXT_LENGTH if wordings.is_too_long(error.words()) else Fault.ERROR_EVENT
    fault = _judge_status(status, error, exo=exo, wait=error.retry_after)
    return Fault.ERROR_EVENT if fault in {Fault.BAD_STATUS, Fault.SERVER_ERROR} else fault


def judge(
    status: int,
    content_type: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    exo: bool,
    now_wall: float,
) -> Failure | None:
    """Tell the fault in a response head, or None for an answer worth reading.

    `body` is the (bounded) body of an error and may be empty; `now_wall` is seconds since the
    epoch, for a `Retry-After` that names a date (RFC 9110, section 10.2.3) in an answer without.
    """
    named = {name.lower(): value for name, value in headers.items()}
    if status == HTTPStatus.OK:
        media = media_of(content_type, named.get("content-encoding", ""))
        return media if isinstance(media, Failure) else None
    try:
        error = said(msgspec.json.decode(body))
    except UNREADABLE:
        error = Said()
    wait = retry_after(named, now_wall)
    wait = error.retry_after if wait is None else wait
    fault = _judge_status(status, error, exo=exo, wait=wait)
    field = wordings.spare_field(status, error.words()) if fault is Fault.FIELD_REFUSED else ""
    if fault is Fault.BUSY and wait is None and not exo:
        resets = [each.reset for each in read_allowances(named, now_wall) if not each.left]
        wait = max(resets, default=None)
    limited = fault is Fault.BUSY and status == HTTPStatus.TOO_MANY_REQUESTS
    of_key = limited and not exo and not wordings.is_of_server(error.words())
    return Failure(fault, tellable(fault, error), status, wait, field=field, of_key=of_key)


def tellable(fault: Fault, error: Said) -> str:
    """Return the words that people may read: those about a key may hold the key."""
    harmless = wordings.is_of_money(error.words()) and "key" not in error.message.lower()
    return error.message if fault is not Fault.BAD_KEY or harmless else ""


@lru_cache(maxsize=64)
def media_of(content_type: str, encoding: str) -> Media | Failure:
    """Say what an answer whose status is good is to be read as, or why it is not read."""
    if encoding.strip().lower() not in {"", "identity"}:
        return Failure(Fault.CONTENT_TYPE, "the answer is compressed unasked", 200)
    name = content_type.partition(";")[0].strip().lower()
    if name in _MEDIA:
        return _MEDIA[name]
    text = f"the answer is {safe_text(name) or 'no content type'}, not an answer to a chat"
    return Failure(Fault.CONTENT_TYPE, text, 200)


def _judge_status(status: int, error: Said, *, exo: bool, wait: float | None) -> Fault:
    words = error.words()
    if status in BUSY_CODES:
        return _judge_busy(status, words, exo=exo, wait=wait)
    if status in _FAILED_CODES or not 400 <= status < 600:  # noqa: PLR2004 - HTTP's classes
        return Fault.CONTEXT_LENGTH if wordings.is_too_long(words) else Fault.BAD_STATUS
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _judge_5xx(status, words, wait)
    if exo:
        return _judge_exo(status, error)
    if status != HTTPStatus.UNAUTHORIZED and wordings.is_full(words) and wait is not None:
        return Fault.BUSY
    found = wordings.about(status, words)
    if found is None and status not in _WRONG_CODES:
        return Fault.DECLINED
    return _FAULTS[found]


def _judge_busy(status: int, words: str, *, exo: bool, wait: float | None) -> Fault:
    """Tell a target that is busy from one that will not take this, or anything, for long."""
    if exo or status != HTTPStatus.TOO_MANY_REQUESTS:
        return Fault.BUSY
    if wordings.asks_for_less(words):
        return Fault.DECLINED
    empty = wordings.is_of_money(words) and (wait is None or "insufficient_quota" in words)
    return Fault.BAD_KEY if empty else Fault.BUSY


def _judge_5xx(status: int, words: str, wait: float | None) -> Fault:
    if wordings.is_too_long(words):
        return Fault.CONTEXT_LENGTH
    if wait is not None or wordings.is_full(words):
        return Fault.BUSY
    lone = status == HTTPStatus.INTERNAL_SERVER_ERROR
    return Fault.SERVER_ERROR if lone else Fault.BAD_STATUS


def _judge_exo(status: int, error: Said) -> Fault:
    """Judge a node's 4xx: it has no keys, and refuses nothing but what is wrong or not there."""
    if status == HTTPStatus.NOT_FOUND or error.message.startswith(_NOT_PLACED):
        return Fault.NOT_PLACED
    found = wordings.about(status, error.words())
    return _FAULTS[found] if found in {About.LENGTH, About.FIELD} else Fault.REJECTED
