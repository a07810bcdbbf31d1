"""An answer as the stream that a client of OpenAI's dialect expects."""

from dataclasses import dataclass, field
from typing import ClassVar

import msgspec
from msgspec import Raw

from exo_supervisor.wire.chat.continuation import Transcript
from exo_supervisor.wire.chat.held_back import HeldBack
from exo_supervisor.wire.chat.piece import NULL, Answer, Frame, Piece, WriteTexts
from exo_supervisor.wire.lenient_json import members

DONE = b"data: [DONE]\n\n"

_FIRST = b'"choices":[{"index":0,"delta":'


@dataclass(slots=True, eq=False, repr=False)
class StreamWriter:
    """Writes pieces as chunks of ours, as they come.

    Deltas are copied as they came, except that an index's first chunk has the role. Usage is one
    last chunk, if the client asked and there is any. `model` is shown where the upstream names
    none. With `joined`, the client has a part of the answer from another upstream; a `transcript`
    takes down what it is told.
    """

    id: str
    created: int
    model: str = ""
    include_usage: bool = False
    joined: bool = False
    transcript: Transcript | None = None
    mark: bytes = b""
    """Members that the chunk with the finish reason has beside the usual ones, as JSON."""

    native: ClassVar[str] = ""
    what: ClassVar[str] = "chat.completion.chunk"

    _head: bytes = field(default=b"", init=False)
    _head_of: str | None = field(default=None, init=False)
    _begun: set[int] = field(default_factory=set, init=False)
    _waiting: HeldBack = field(default_factory=HeldBack, init=False)

    @property
    def held(self) -> int:
        """Return 0: what waits for the first content is bounded."""
        return 0

    def note(self, size: int) -> None:
        """Count nothing: what was written is gone."""

    def take(self, piece: Piece, answer: Answer) -> bytes:
        """Write one chunk; what comes before the first content waits for it."""
        if self.transcript is not None:
            self.transcript.note(piece)
        if self._head_of != answer.served_model or not self._head:
            self._head_of = answer.served_model
            self._head = self._envelope(answer)
        if piece.index not in self._begun and not self.joined:
            self._begun.add(piece.index)
            if piece.delta.role is None:
                piece.raw = _with_role(piece.raw)
        chunk = self._chunk(piece, answer.extras.take())
        if answer.content and not self._waiting.parts:
            return chunk
        return self._waiting.add(chunk, content=answer.content)

    def plain(self, piece: Piece, answer: Answer, mark: bytes, _size: int) -> WriteTexts | None:
        """Return what writes around each text what a chunk of ours has around `mark`."""
        if self._waiting.parts or self.transcript is not None:
            return None
        chunk = self._chunk(piece, answer.extras.take())
        return Frame(chunk, mark, blanks=True) if chunk.count(mark) == 1 else None

    def end(self, answer: Answer) -> bytes:
        """Write the tail: the usage, if it was asked for and is known, and `[DONE]`."""
        usage = answer.usage_text if self.include_usage else b""
        extras = answer.extras.take()
        if usage:
            extras = b',"usage":%b%b' % (usage, extras)
        if not extras:
            return DONE
        return b'%b"choices":[]%b}\n\n%b' % (self._head, extras, DONE)

    def result(self, _answer: Answer) -> list[bytes]:
        """Return nothing: all of it was streamed."""
        return []

    def _envelope(self, answer: Answer) -> bytes:
        fields = {
            "id": self.id,
            "object": self.what,
            "created": self.created,
            "model": answer.served_model or self.model,
        }
        return b"data: %b," % msgspec.json.encode(fields)[:-1]

    def _chunk(self, piece: Piece, extras: bytes) -> bytes:
        if piece.index == 0 and piece.finish is None and piece.logprobs == NULL:
            return b'%b%b%b,"finish_reason":null}]%b}\n\n' % (
                self._head, _FIRST, piece.raw, extras,
            )  # fmt: skip
        logprobs = b""
        if piece.logprobs != NULL:
            logprobs = b',"logprobs":%b' % piece.logprobs
        finish = msgspec.json.encode(piece.finish)
        return b'%b"choices":[{"index":%d,"delta":%b%b,"finish_reason":%b}]%b%b}\n\n' % (
            self._head,
            piece.index,
            piece.raw,
            logprobs,
            finish,
            extras,
            self.mark if piece.finish is not None else b"",
        )


def _with_role(raw: Raw) -> Raw:
    role = {"role": Raw(b'"assistant"')}
    return Raw(msgspec.json.encode(role | members(raw) | role))
