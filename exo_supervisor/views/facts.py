"""Makes the facts of a log line safe to print: short, serialisable, and without secrets."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import cast
from uuid import UUID

import msgspec

REDACTED = "[redacted]"
MOST_CHARACTERS = 1000  # of one text
_MOST_ITEMS = 32  # of one list or table
_MOST_DEPTH = 4

_PLAIN = (type(None), bool, float, datetime, UUID)
_SECRET_KEYS = frozenset(
    {
        *("authorization", "token", "key", "api_key", "x_api_key", "cookie"),
        *("prompt", "messages", "content", "body"),
    }
)


def safe_fact(key: str, value: object, depth: int = 0) -> object:
    """Give a value that msgspec can write, for the fact `key`.

    The second line of defence: what stands under a secret's name is replaced, long texts and lists
    are cut, and what JSON has no word for becomes its type's name, never its repr.
    """
    if _is_secret(key):
        return REDACTED
    if type(value) is str:
        return safe_text(value)
    if isinstance(value, Enum):
        return safe_fact(key, cast("object", value.value), depth + 1)
    if isinstance(value, _PLAIN) or (isinstance(value, int) and value.bit_length() <= 64):  # noqa: PLR2004 - what JSON readers hold
        return value
    if depth < _MOST_DEPTH:
        if isinstance(value, msgspec.Struct):
            return _table(_fields(value), depth)
        if isinstance(value, Mapping):
            return _table(cast("Mapping[object, object]", value), depth)
        if isinstance(value, list | tuple | set | frozenset):
            return _items(tuple(cast("Sequence[object]", value)), depth)
    return type(value).__qualname__


def safe_text(text: str) -> str:
    """Cut a text to a thousand characters, and make it valid UTF-8."""
    if len(text) > MOST_CHARACTERS:
        text = f"{text[:MOST_CHARACTERS]}... ({len(text)} characters)"
    if text.isascii():
        return text
    return text.encode(errors="backslashreplace").decode()  # a lone surrogate has no UTF-8


def _table(table: Mapping[object, object], depth: int) -> dict[str, object]:
    safe: dict[str, object] = {}
    for number, (key, value) in enumerate(table.items()):
        if number == _MOST_ITEMS:
            safe["..."] = len(table)
            break
        name = safe_text(key) if isinstance(key, str) else str(safe_fact("", key, _MOST_DEPTH))
        safe[name] = safe_fact(name, value, depth + 1)
    return safe


def _items(items: tuple[object, ...], depth: int) -> list[object]:
    safe = [safe_fact("", item, depth + 1) for item in items[:_MOST_ITEMS]]
    if len(items) > _MOST_ITEMS:
        safe.append(f"... ({len(items)} items)")
    return safe


def _fields(struct: msgspec.Struct) -> dict[object, object]:
    tag_field, tag = struct.__struct_config__.tag_field, struct.__struct_config__.tag
    tagged: dict[object, object] = {} if tag_field is None else {tag_field: tag}
    return tagged | {name: getattr(struct, name) for name in struct.__struct_fields__}


@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    return key.lower().replace("-", "_") in _SECRET_KEYS
