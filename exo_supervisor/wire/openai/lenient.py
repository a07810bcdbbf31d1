"""JSON that is nearly right, read as its sender meant it.

Python's own `json` writes what JSON has no word for: `-Infinity`, `NaN`, half an emoji as a lone
surrogate. Its reader takes all of that, and raw control characters, too. It is ten times slower
than the strict one, so it is asked only where that one refused, and never for a large text.
"""

import json
from typing import Annotated, cast

import msgspec
from msgspec import Meta, Raw, Struct

from exo_supervisor.wire.chat.piece import Choice, Chunk, Delta, Index, Piece
from exo_supervisor.wire.untrusted_json import as_object

MAX_LENIENT_BYTES = 512 * 1024
"""Bytes of a text that is read leniently, at most."""

_strict = msgspec.json.Decoder(dict[str, Raw])


class _Choice(Struct):
    index: Index | None = 0
    delta: Delta | None = None
    finish_reason: str | None = None


class _Choices(Struct):
    choices: Annotated[list[_Choice], Meta(max_length=128)] | None = None


def loads(data: bytes | Raw) -> object:
    """Return the value of a text that is JSON, or nearly; raises one of UNREADABLE."""
    text = bytes(data)
    if len(text) > MAX_LENIENT_BYTES:
        raise msgspec.DecodeError("too large to be read leniently")
    try:
        return cast("object", json.loads(text, strict=False, object_pairs_hook=_object))
    except ValueError as error:
        raise msgspec.DecodeError(str(type(error))) from None


def dumps(value: object) -> bytes:
    """Write any value that came out of JSON; what is odd in it stays as odd as it came."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8, but an escape
        return written(msgspec.to_builtins(value))


def members(raw: Raw) -> dict[str, Raw]:
    """Return the members of a JSON object, or none of anything else; raises one of UNREADABLE."""
    if not bytes(raw).startswith(b"{"):
        return {}
    try:
        return _strict.decode(raw)
    except msgspec.DecodeError:
        found = as_object(loads(raw))
        return {name: Raw(written(value)) for name, value in found.items()}


def read_chunk_leniently(data: bytes) -> tuple[Chunk, list[Piece]]:
    """Read one chunk as `read_chunk` does, where that one refused; raises one of UNREADABLE."""
    found = loads(data)
    fields = as_object(found)
    if not fields:
        raise msgspec.DecodeError("not an object")
    read = msgspec.convert(fields, _Choices).choices or []
    told = cast("list[object]", fields.get("choices") or [])
    chunk = Chunk(
        *(Raw(written(fields.get(name))) for name in ("model", "choices", "usage", "error"))
    )
    pieces = [_piece(one, as_object(raw)) for one, raw in zip(read, told, strict=True)]
    return chunk, pieces


def _piece(read: _Choice, told: dict[str, object]) -> Piece:
    delta = {name: value for name, value in as_object(told.get("delta")).items()
             if value is not None or name != "role"}  # fmt: skip
    choice = Choice(
        Raw(written(delta)),
        read.index or 0,
        read.finish_reason,
        Raw(written(told.get("logprobs"))),
        Raw(written(told.get("native_finish_reason"))),
    )
    return choice, read.delta or Delta()


def written(value: object) -> bytes:
    """Write what was read leniently, as odd as it came."""
    return json.dumps(value, separators=(",", ":")).encode()


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    for name, _ in pairs:
        name.encode()  # half a character is no part of a name; a ValueError
    return dict(pairs)
