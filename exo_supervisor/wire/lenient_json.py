"""JSON that is nearly right, read as its sender meant it.

Python's own `json` writes what JSON has no word for: `-Infinity`, `NaN`, half an emoji as a lone
surrogate. Its reader takes all of that, and raw control characters, too. It is ten times slower
than the strict one, so it is asked only where that one refused, and never for a large text.
"""

import json
from typing import cast

import msgspec
from msgspec import Raw

from exo_supervisor.wire.untrusted_json import UNREADABLE, as_object

MAX_LENIENT_BYTES = 512 * 1024
"""Bytes of a text that is read leniently, at most."""

MAX_ASIDE = 65_536
"""Bytes of what stands beside an answer, an error or a usage, that are read, at most."""

_NULL = Raw(b"null")
_strict = msgspec.json.Decoder(dict[str, Raw]).decode


def loads(data: bytes | Raw) -> object:
    """Return the value of a text that is JSON, or nearly; raises one of UNREADABLE."""
    text = bytes(data)
    if len(text) > MAX_LENIENT_BYTES:
        raise msgspec.DecodeError("too large to be read leniently")
    try:
        return cast("object", json.loads(text, strict=False, object_pairs_hook=_object))
    except ValueError as error:
        raise msgspec.DecodeError(str(type(error))) from None


def value(raw: Raw) -> object:
    """Return the value of a text of any length, leniently where it is only nearly JSON.

    Raises one of UNREADABLE.
    """
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return loads(raw)


def aside(raw: Raw) -> object:
    """Return the value of what stands beside an answer; None: it is too long, or unreadable."""
    if len(raw) > MAX_ASIDE:
        return None
    try:
        return value(raw)
    except UNREADABLE:
        return None


def dumps(value: object) -> bytes:
    """Write any value that came out of JSON; what is odd in it stays as odd as it came."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8, but an escape
        return written(msgspec.to_builtins(value))


def members(raw: Raw) -> dict[str, Raw]:
    """Return the members of a JSON object, or none of anything else; raises one of UNREADABLE."""
    if raw == _NULL:
        return {}
    try:
        return _strict(raw)
    except msgspec.DecodeError:
        if bytes(raw)[:1] != b"{":
            return {}
        found = as_object(loads(raw))
        return {name: Raw(written(value)) for name, value in found.items()}


def written(value: object) -> bytes:
    """Write what was read leniently, as odd as it came."""
    return json.dumps(value, separators=(",", ":")).encode()


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    for name, _ in pairs:
        name.encode()  # half a character is no part of a name; a ValueError
    return dict(pairs)
