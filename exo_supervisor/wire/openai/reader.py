"""Reading an answer that an upstream streams in OpenAI's dialect."""

from dataclasses import dataclass, field

from msgspec import Raw

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.piece import (
    NULL,
    JoinError,
    OversizedAnswerError,
    Piece,
    read_name,
)
from exo_supervisor.wire.chat.reader import Reader, aside
from exo_supervisor.wire.openai.chunk import Chunk, read_chunk
from exo_supervisor.wire.untrusted_json import UNREADABLE

_NO_NAME = Raw(b'""')
_MAX_CACHED = 4_096
"""Bytes of what stands around the choices of a chunk, up to which the next one's is compared."""


@dataclass(slots=True, kw_only=True)
class ChunkReader(Reader):
    """Makes pieces of `chat.completion.chunk` events.

    What a chunk has around its choices hardly ever changes from one to the next: it is compared as
    bytes, and read again only where it differs.
    """

    _around: bytes | None = field(default=None, init=False)

    def read_event(self, data: bytes, event: bytes = b"") -> bytes:
        """Take one event's data and return what the client gets for it."""
        if data.startswith(b"[DONE]"):
            return self.end()
        if b"\n" in data:
            # between the tokens of JSON only; copied into one line of our own stream
            data = data.replace(b"\n", b" ")
        try:
            self.writer.note(len(data))
            chunk, pieces = read_chunk(data)
        except OversizedAnswerError as error:
            self.fail(Fault.OVERSIZED, str(error))
            return b""
        except UNREADABLE:
            return self._skip(data, event)
        if chunk.error != NULL or event == b"error":
            self.read_error(aside(Raw(data)))
            return b""
        try:
            return self._read_chunk(chunk, pieces, data)
        except (JoinError, *UNREADABLE):
            self.fail(Fault.MALFORMED, "the pieces of the answer do not fit together")
            return b""

    def _skip(self, data: bytes, event: bytes) -> bytes:
        """Pass over what cannot be read, unless it may have held a piece of the answer."""
        if event == b"error":
            self.read_error(None)
            return b""
        self.malformed += 1
        if b'"choices"' in data:
            self.fail(Fault.MALFORMED, "an event that held a piece of the answer is malformed")
        return b""

    def _read_chunk(self, chunk: Chunk, pieces: list[Piece], data: bytes) -> bytes:
        around = data.replace(chunk.choices, b"", 1)
        if around != self._around:
            self._around = around if len(around) <= _MAX_CACHED else None
            self._read_around(chunk, data, around)
        self.extras.owe()
        if self.extras.too_many:
            self.fail(Fault.OVERSIZED, "the answer tells too much beside its choices")
        if not pieces or self.fault is not None:
            return b""
        if len(pieces) == 1:
            return self.take(pieces[0])
        return b"".join(self.take(piece) for piece in pieces if piece.tells())

    def _read_around(self, chunk: Chunk, data: bytes, around: bytes) -> None:
        named = bytes(chunk.model).startswith(b'"') and chunk.model != _NO_NAME
        self.read_model(read_name(chunk.model), named=named)
        if chunk.usage != NULL:
            self.read_usage(chunk.usage)
        if not self.traits.made_up:
            self.extras.see(data, around)
