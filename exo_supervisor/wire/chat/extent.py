"""The most that a request asks for, as whoever has to pay for it must take it."""

from contextlib import suppress
from math import ceil
from typing import Final

import msgspec
from msgspec import Raw

from exo_supervisor.core.requests.clients import OF_OTHERS
from exo_supervisor.wire.chat.request import ChatRequest, Fields

_LIMITS: Final = "max_tokens", "max_completion_tokens"
_DEARER: Final = {"service_tier": Raw(b'"priority"'), "speed": Raw(b'"fast"')}
"""Fields of OpenAI's and Anthropic's that have a tariff of their own, and for which value."""
_COMPARED: Final = OF_OTHERS | {"max_completion_tokens", "n", "best_of", *_DEARER}
_NOTHING: Final = Raw(b"null"), Raw(b"[]"), Raw(b'""')
_LONGEST = 64
"""Bytes of a number."""


def extent_of(chat: ChatRequest, size: int) -> tuple[int, int, int, str]:
    """Return its bytes, the tokens that an answer may have (0: any), how many answers, and a field.

    Of two limits the larger counts: some providers read one of them only. Of `best_of` all are paid
    for. The field is one that has another model or tariff serve than the one that is priced.
    """
    if _is_ordinary(chat):
        return size, chat.max_tokens or 0, max(1, chat.n or 1), ""
    limits = [limit for name in _LIMITS if (limit := _number(chat.fields, name)) is not None]
    if chat.max_tokens is not None:
        limits.append(chat.max_tokens)
    most = max(limits) if limits and min(limits) > 0 else 0
    each, answers = max(1, _number(chat.fields, "n") or 1), max(1, chat.n or 1)
    drafts = max(each, _number(chat.fields, "best_of") or 1)
    return size, most, -(-answers // each) * drafts, _unpriced(chat)


def _is_ordinary(chat: ChatRequest) -> bool:
    """Say whether there is nothing to be compared, as of nearly all requests."""
    limit, fields = chat.max_tokens, chat.fields
    told = "max_tokens" not in fields if limit is None else limit > 0
    return told and chat.native is None and _COMPARED.isdisjoint(fields)


def _number(fields: Fields, name: str) -> int | None:
    """Read a number that nobody has looked at yet; None: it is none."""
    raw = fields.get(name)
    if raw is None or len(bytes(raw)) > _LONGEST:
        return None
    with suppress(msgspec.DecodeError, OverflowError):
        return ceil(msgspec.json.decode(raw, type=float))
    return None


def _unpriced(chat: ChatRequest) -> str:
    for fields in (chat.fields, chat.native or {}):
        for name in sorted(OF_OTHERS & fields.keys()):
            if fields[name] not in _NOTHING:
                return name
        for name, value in _DEARER.items():
            if fields.get(name) == value:
                return name
    return ""
