"""Embeddings on their way to a client: vectors in the form that it asked for.

A vector is an array of numbers, or the base64 of its float32 in little-endian order. What comes in
the form that was asked for goes on as it came; else it is written anew.
"""

import struct
from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite

import msgspec
from msgspec import Raw

from exo_supervisor.wire.chat.gathered import Gathered
from exo_supervisor.wire.chat.piece import (
    Answer,
    JoinError,
    NotHonouredError,
    Piece,
)

_FLOAT = 4

_text = msgspec.json.Decoder(str)
_numbers = msgspec.json.Decoder(list[float])


def read_vector(raw: Raw) -> Sequence[float]:
    """Return the numbers of a vector in either form; raises JoinError."""
    try:
        if not bytes(raw).startswith(b'"'):
            vector: Sequence[float] = _numbers.decode(raw)
        else:
            packed = b64decode(_text.decode(raw), validate=True)
            vector = struct.unpack(f"<{len(packed) // _FLOAT}f", packed)
    except (ValueError, struct.error):  # which each decoder's own errors are
        raise JoinError("a vector is neither a list of numbers nor base64 of float32") from None
    if not vector or not isfinite(sum(vector)):
        raise JoinError("a vector holds nothing, or what is no number")
    return vector


def write_vector(raw: Raw, vector: Sequence[float], *, base64: bool) -> Raw:
    """Write a vector in one of the forms; raises JoinError where it does not fit into float32."""
    if bytes(raw).startswith(b'"') == base64:
        return raw
    if not base64:
        return Raw(msgspec.json.encode(vector))
    try:
        return Raw(b'"%b"' % b64encode(struct.pack(f"<{len(vector)}f", *vector)))
    except OverflowError:
        raise JoinError("a vector holds a number that no float32 can be") from None


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class VectorWriter(Gathered, ABC):
    """Gathers the vectors of an answer; `dimensions`, where asked for, is what each has."""

    model: str
    base64: bool = False
    dimensions: int | None = None

    vectors: list[Raw] = field(default_factory=list, init=False)
    _length: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._length = self.dimensions

    def take(self, piece: Piece, _answer: Answer) -> bytes:
        """Add the next vector; raises JoinError, and NotHonouredError where it has another length.

        No target is served that left out the `dimensions` that were asked for.
        """
        vector = read_vector(piece.raw)
        if len(vector) != (self._length or len(vector)):
            if self.dimensions is None:
                raise JoinError("vectors of several lengths")
            text = f"it answered with {len(vector)} dimensions, not the {self.dimensions} asked for"
            raise NotHonouredError(text)
        self._length = len(vector)
        told = write_vector(piece.raw, vector, base64=self.base64)
        if told is not piece.raw:
            self.note(len(told))
        self.vectors.append(told)
        return b""

    @abstractmethod
    def result(self, answer: Answer) -> list[bytes]:
        """Return the whole answer in parts."""
