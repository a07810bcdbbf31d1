"""The chunks of OpenAI's streams, as far as they are ours to read."""

from typing import Annotated, Final, cast

import msgspec
from msgspec import Meta, Raw, Struct

from exo_supervisor.wire.bounds import MAX_CHOICES
from exo_supervisor.wire.chat.piece import NULL, Delta, OversizedAnswerError, Piece, values
from exo_supervisor.wire.lenient_json import NO_CHANCE, loads, written
from exo_supervisor.wire.untrusted_json import UNREADABLE, as_object

Index = Annotated[int, Meta(ge=0, lt=MAX_CHOICES)]
"""The place of a choice."""

MAX_CHUNK_OBJECTS: Final = 100_000
"""Objects in the choices of one chunk, and values in one delta: more would hold everybody up."""
LARGE: Final = 65_536
"""Bytes from which on a text is counted before it is decoded."""
MAX_NAMES: Final = 20_000
"""Names of members around the choices of one chunk, theirs within counted too."""
SMALL: Final = 2 * MAX_NAMES
"""Bytes of an object that has not too many names: each takes two beside its letters."""
TOO_MUCH_BESIDE: Final = "the answer tells too much beside its choices"

Around = dict[str, Raw]
"""What a chunk, or a whole answer, has around its choices, each member as it came."""


class Choice(Struct, gc=False):
    """One choice of a chunk, its delta and logprobs still as they came."""

    delta: Raw = NULL
    index: Index | None = 0
    finish_reason: str | None = None
    logprobs: Raw = NULL
    native_finish_reason: Raw = NULL


Choices = Annotated[list[Choice], Meta(max_length=MAX_CHOICES)]


class _Outline(Struct, gc=False):
    choices: Raw = NULL


class _Listed(Struct, gc=False):
    choices: Choices | None = None


class _Choice(Struct):
    index: Index | None = 0
    delta: Delta | None = None
    finish_reason: str | None = None


class LooseChoices(Struct):
    """The choices of what was read leniently; all else in them is looked at as it came."""

    choices: Annotated[list[_Choice], Meta(max_length=MAX_CHOICES)] | None = None


_members = msgspec.json.Decoder(Around).decode
_outline = msgspec.json.Decoder(_Outline).decode
_listed = msgspec.json.Decoder(_Listed).decode
_choices = msgspec.json.Decoder(Choices | None).decode
_delta = msgspec.json.Decoder(Delta | None).decode


def read_chunk(data: bytes) -> tuple[Around, list[Piece]]:
    """Read one chunk and its pieces, leniently where it is only nearly JSON.

    Raises OversizedAnswerError, or one of UNREADABLE.
    """
    try:
        return read_strictly(data)
    except UNREADABLE:
        return _read_leniently(data)


def read_strictly(data: bytes) -> tuple[Around, list[Piece]]:
    """Read one chunk and its pieces; raises OversizedAnswerError, or one of UNREADABLE."""
    around, choices = read_parts(data)
    return around, [_piece(choice) for choice in _choices(choices) or ()]


def read_parts(data: bytes) -> tuple[Around, Raw]:
    """Tell the choices from what stands around them; raises as `read_strictly` does."""
    if not data.isascii():
        data.decode()  # the decoder looks for no UTF-8 in what it keeps raw
    if len(data) > SMALL:
        choices = bytes(_outline(data).choices)
        _refuse_many_names(data, choices)
        if len(choices) > LARGE and choices.count(b"{") > MAX_CHUNK_OBJECTS:
            raise msgspec.ValidationError("more choices than an answer can have")
    around = _members(data)
    return around, around.pop("choices", NULL)


def read_pieces(data: bytes) -> list[Piece]:
    """Read the pieces alone of a chunk that is like one that was read; raises one of UNREADABLE."""
    return [_piece(choice) for choice in _listed(data).choices or ()]


def _refuse_many_names(data: bytes, choices: bytes) -> None:
    """Refuse by the colons, and where texts may have too many, by those behind a quote.

    The blanks are taken out first: JSON allows any number between a name and its colon.
    """
    if data.count(b":") > MAX_NAMES and _names(data) - _names(choices) > MAX_NAMES:
        raise OversizedAnswerError(TOO_MUCH_BESIDE)


def _names(data: bytes) -> int:
    return data.translate(None, b" \t\r\n").count(b'":')


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


def _read_leniently(data: bytes) -> tuple[Around, list[Piece]]:
    fields = as_object(loads(data))
    if not fields:
        raise msgspec.DecodeError("not an object")
    read = msgspec.convert(fields, LooseChoices).choices or []
    told = cast("list[object]", fields.pop("choices", None) or [])
    if len(data) > SMALL:
        _refuse_many_names(data, written(told))
    around = {name: Raw(written(value)) for name, value in fields.items()}
    return around, [_odd(one, as_object(raw)) for one, raw in zip(read, told, strict=True)]


def _odd(read: _Choice, told: dict[str, object]) -> Piece:
    delta = {name: value for name, value in as_object(told.get("delta")).items()
             if value is not None or name != "role"}  # fmt: skip
    return Piece(
        read.delta or Delta(),
        Raw(written(delta)),
        read.index or 0,
        read.finish_reason,
        Raw(written(told.get("logprobs"), NO_CHANCE)),
        Raw(written(told.get("native_finish_reason"))),
    )
