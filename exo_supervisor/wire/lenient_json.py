"""JSON that is nearly right, read as its sender meant it.

Python's own `json` writes what JSON has no word for: `-Infinity`, `NaN`, half an emoji as a lone
surrogate. Its reader takes all of that, and raw control characters, too. It is ten times slower
than the strict one, so it is asked only where that one refused, and never for a large text. What
is written again is JSON that every client can read: a number without a word in it is null.
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

NO_CHANCE = -9999.0
"""The logarithm of no probability at all, as OpenAI writes it."""
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
    """Write any value that came out of JSON, or nearly, as JSON."""
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
        return _apart(as_object(loads(raw)))


def read_object(data: bytes) -> tuple[bytes, dict[str, Raw]]:
    """Return a JSON object as JSON, and its members; raises one of UNREADABLE."""
    try:
        return data, _strict(data)
    except msgspec.DecodeError:
        found = as_object(loads(data))
        return written(found), _apart(found)


def written(value: object, least: float | None = None) -> bytes:
    """Write what was read leniently as JSON; `least` stands for `-Infinity`."""
    try:
        return _write(value).encode()
    except ValueError:  # a number that JSON has no word for
        words = {"-Infinity": least}
        return _write(json.loads(json.dumps(value), parse_constant=words.get)).encode()


_write = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def _apart(found: dict[str, object]) -> dict[str, Raw]:
    return {name: Raw(written(value)) for name, value in found.items()}


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    for name, _ in pairs:
        name.encode()  # half a character is no part of a name; a ValueError
    return dict(pairs)
