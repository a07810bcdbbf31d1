"""Answers to requests for completions, of one text or many: read and written."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta, Raw, Struct

from exo_supervisor.wire.bounds import MAX_CHOICES
from exo_supervisor.wire.chat.piece import Answer, Delta, Piece, counted
from exo_supervisor.wire.dialect import Reply
from exo_supervisor.wire.lenient_json import NO_CHANCE, dumps, loads, members, written
from exo_supervisor.wire.openai.answer_writer import AnswerWriter
from exo_supervisor.wire.openai.body_reader import BodyReader
from exo_supervisor.wire.openai.chunk import Around, Index, read_chunk
from exo_supervisor.wire.openai.merged import Grown, Merged, write
from exo_supervisor.wire.openai.reader import MAX_LESSONS, ChunkReader
from exo_supervisor.wire.openai.stream_writer import StreamWriter


class _Choice(Struct):
    text: str | None = None
    index: Index | None = 0
    finish_reason: str | None = None
    logprobs: object = None


class _Texts(Struct):
    choices: Annotated[list[_Choice], Meta(max_length=MAX_CHOICES)] | None = None


_texts = msgspec.json.Decoder(_Texts).decode


def read_texts(body: bytes) -> tuple[Around, list[Piece]]:
    """Read a chunk of a completion, or a whole one.

    Raises OversizedAnswerError, or one of UNREADABLE.
    """
    around, _ = read_chunk(body)
    try:
        told = _texts(body)
    except msgspec.DecodeError:
        told = msgspec.convert(loads(body), _Texts)
    return around, [_piece(choice) for choice in told.choices or ()]


def _piece(choice: _Choice) -> Piece:
    delta = Delta(content=choice.text or "")
    logprobs, index = Raw(written(choice.logprobs, NO_CHANCE)), choice.index or 0
    return Piece(delta, Raw(dumps(delta)), index, choice.finish_reason, logprobs)


@dataclass(slots=True, eq=False, repr=False)
class TextReader(ChunkReader):
    """Makes pieces of the chunks of a completion."""

    _lessons: int = field(default=MAX_LESSONS, init=False)
    _gathers: bool = field(default=False, init=False)
    """No templates are learnt, and nothing is plain: a chunk has its text elsewhere."""

    def parse(self, body: bytes) -> tuple[Around, list[Piece]]:
        """Return what stands around the texts, and their pieces; raises as the other does."""
        return read_texts(body)


class TextBodyReader(BodyReader):
    """Makes a piece of each choice of a completion, once all of it is here."""

    __slots__ = ()

    what: ClassVar[str] = "a completion"

    def parse(self, body: bytes) -> tuple[Around, list[Piece]]:
        """Return what stands around the texts, and their pieces; raises as the other does."""
        return read_texts(body)


class TextStreamWriter(StreamWriter):
    """Writes pieces as chunks of a completion."""

    __slots__ = ()

    what: ClassVar[str] = "text_completion"

    def take(self, piece: Piece, answer: Answer) -> bytes:
        """Write one chunk; no text of a completion has a role."""
        self._begun.add(piece.index)
        return StreamWriter.take(self, piece, answer)

    def _chunk(self, piece: Piece, extras: bytes) -> bytes:
        choice = b'{"index":%d,"text":%b,"logprobs":%b,"finish_reason":%b}' % (
            piece.index,
            dumps(piece.delta.content or ""),
            piece.logprobs,
            msgspec.json.encode(piece.finish),
        )
        return b'%b"choices":[%b]%b}\n\n' % (self._head, choice, extras)


class _Told(Struct):
    """One text as its chunks have told it so far."""

    text: Grown = msgspec.field(default_factory=Grown)
    logprobs: Merged = msgspec.field(default_factory=Merged)
    finish: str | None = None


@dataclass(slots=True, eq=False, repr=False)
class TextWriter(AnswerWriter):
    """Gathers the texts of a completion."""

    _texts: dict[int, _Told] = field(default_factory=dict, init=False)

    def take(self, piece: Piece, _answer: Answer) -> bytes:
        """Add what one piece says; returns no bytes, since the client gets them at the end."""
        told = self._texts.setdefault(piece.index, _Told())
        told.text.add(dumps(piece.delta.content or ""))
        told.logprobs.add(members(piece.logprobs))
        told.finish = piece.finish or told.finish
        return b""

    def take_text(self, _text: bytes, _finish: str, _size: int, /) -> bool:
        """Return False: texts are taken as pieces."""
        return False

    def result(self, answer: Answer) -> list[bytes]:
        """Return the whole answer in parts; meant for a reading that is done and has no fault."""
        choices: list[object] = [
            {
                "index": index,
                "text": told.text,
                "logprobs": told.logprobs.whole() or None,
                "finish_reason": told.finish,
            }
            for index, told in sorted(self._texts.items())
        ]
        parts: list[bytes] = []
        whole: dict[str, object] = {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": answer.served_model or self.model,
            "choices": choices,
            "usage": Raw(answer.usage_text or counted(answer.tokens)),
        }
        write(whole, parts)
        return parts


def write_texts(reply: Reply) -> TextStreamWriter:
    """Return what writes the answer to a request that wants a stream."""
    return TextStreamWriter(
        f"cmpl-{reply.request}", reply.created, reply.model, reply.chat.include_usage
    )


def write_text(reply: Reply) -> TextWriter:
    """Return what writes the answer to a request that wants no stream."""
    return TextWriter(f"cmpl-{reply.request}", reply.created, reply.model)
