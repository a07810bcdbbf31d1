"""The chunks of OpenAI's streams, as far as they are ours to read."""

from typing import Annotated, Final, cast

import msgspec
from msgspec import Meta, Raw, Struct

from exo_supervisor.wire.bounds import MAX_CHOICES
from exo_supervisor.wire.chat.piece import NULL, Delta, Piece, values
from exo_supervisor.wire.lenient_json import loads, written
from exo_supervisor.wire.untrusted_json import UNREADABLE, as_object

Index = Annotated[int, Meta(ge=0, lt=MAX_CHOICES)]
"""The place of a choice."""

MAX_CHUNK_OBJECTS: Final = 100_000
"""Objects in the choices of one chunk, and values in one delta: more would hold everybody up."""
LARGE: Final = 65_536
"""Bytes from which on a text is counted before it is decoded."""


class Choice(Struct, gc=False):
    """One choice of a chunk, its delta and logprobs still as they came."""

    delta: Raw = NULL
    index: Index | None = 0
    finish_reason: str | None = None
    logprobs: Raw = NULL
    native_finish_reason: Raw = NULL


class Chunk(Struct, gc=False):
    """One `chat.completion.chunk`, or an error in its place, its parts as they came."""

    model: Raw = NULL
    choices: Raw = NULL
    usage: Raw = NULL
    error: Raw = NULL
    id: Raw = NULL


Choices = Annotated[list[Choice], Meta(max_length=MAX_CHOICES)]


class _Choice(Struct):
    index: Index | None = 0
    delta: Delta | None = None
    finish_reason: str | None = None


class LooseChoices(Struct):
    """The choices of what was read leniently; all else in them is looked at as it came."""

    choices: Annotated[list[_Choice], Meta(max_length=MAX_CHOICES)] | None = None


decode_chunk = msgspec.json.Decoder(Chunk).decode
_choices = msgspec.json.Decoder(Choices | None).decode
_delta = msgspec.json.Decoder(Delta | None).decode


def read_chunk(data: bytes) -> tuple[Chunk, list[Piece]]:
    """Read one chunk and its pieces, leniently where it is only nearly JSON.

    Raises one of UNREADABLE.
    """
    try:
        return read_strictly(data)
    except UNREADABLE:
        return _read_leniently(data)


def read_strictly(data: bytes) -> tuple[Chunk, list[Piece]]:
    """Read one chunk and its pieces; raises one of UNREADABLE."""
    if not data.isascii():
        data.decode()  # the decoder does not look for UTF-8 in what it keeps raw
    chunk = decode_chunk(data)
    if len(chunk.choices) > LARGE and bytes(chunk.choices).count(b"{") > MAX_CHUNK_OBJECTS:
        raise msgspec.ValidationError("more choices than an answer can have")
    return chunk, [_piece(choice) for choice in _choices(chunk.choices) or ()]


def read_piece(choice: Choice) -> Piece:
    """Read a choice, leniently where it is only nearly JSON; raises one of UNREADABLE."""
    try:
        return _piece(choice)
    except UNREADABLE:
        told = as_object(loads(choice.delta))
        choice.delta = Raw(written(told))
        return _as_piece(choice, msgspec.convert(told, Delta))


def _piece(choice: Choice) -> Piece:
    """Read a choice's delta; one that is null, or not there, becomes an empty object."""
    raw = choice.delta
    if len(raw) > LARGE and values(raw) > MAX_CHUNK_OBJECTS:
        raise msgspec.ValidationError("more values than a delta can have")
    delta = _delta(raw)
    if delta is None:
        delta = Delta()
        choice.delta = Raw(b"{}")
    return _as_piece(choice, delta)


def _as_piece(choice: Choice, delta: Delta) -> Piece:
    return Piece(
        delta,
        choice.delta,
        choice.index or 0,
        choice.finish_reason,
        choice.logprobs,
        choice.native_finish_reason,
    )


def _read_leniently(data: bytes) -> tuple[Chunk, list[Piece]]:
    fields = as_object(loads(data))
    if not fields:
        raise msgspec.DecodeError("not an object")
    read = msgspec.convert(fields, LooseChoices).choices or []
    told = cast("list[object]", fields.get("choices") or [])
    chunk = Chunk(*(Raw(written(fields.get(name))) for name in Chunk.__struct_fields__))
    return chunk, [_odd(one, as_object(raw)) for one, raw in zip(read, told, strict=True)]


def _odd(read: _Choice, told: dict[str, object]) -> Piece:
    delta = {name: value for name, value in as_object(told.get("delta")).items()
             if value is not None or name != "role"}  # fmt: skip
    return Piece(
        read.delta or Delta(),
        Raw(written(delta)),
        read.index or 0,
        read.finish_reason,
        Raw(written(told.get("logprobs"))),
        Raw(written(told.get("native_finish_reason"))),
    )
