"""An answer as the stream that a client of Messages expects."""

from dataclasses import dataclass, field
from typing import ClassVar

from exo_supervisor.wire.anthropic.blocks import Event, words_delta
from exo_supervisor.wire.anthropic.events import DIALECT, Events, events_of
from exo_supervisor.wire.chat.continuation import Transcript
from exo_supervisor.wire.chat.held_back import HeldBack
from exo_supervisor.wire.chat.piece import Answer, Frame, Piece, WriteTexts
from exo_supervisor.wire.dialect import Reply

_EVENT = b"event: content_block_delta\ndata: %b\n\n"


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class StreamWriter:
    """Writes events as they come; what comes before the first content waits for it.

    A `transcript` takes down what the client is told.
    """

    native: ClassVar[str] = DIALECT

    events: Events
    transcript: Transcript | None = None

    _waiting: HeldBack = field(default_factory=HeldBack, init=False)

    @property
    def held(self) -> int:
        """Return how many bytes of calls are kept to tell their pieces apart."""
        return self.events.blocks.held

    def note(self, size: int) -> None:
        """Count nothing: what was written is gone."""

    def take(self, piece: Piece, answer: Answer) -> bytes:
        """Write the events of one piece."""
        if self.transcript is not None:
            self.transcript.note(piece)
        written = framed(self.events.take(piece, answer))
        if answer.content and not self._waiting.parts:
            return written
        return self._waiting.add(written, content=answer.content)

    def plain(self, _piece: Piece, _answer: Answer, mark: bytes, _size: int) -> WriteTexts | None:
        """Return what writes texts, or thoughts, into the block that is open, as long as it is."""
        blocks = self.events.blocks
        block = blocks.open_words()
        if block is None or self._waiting.parts or self.transcript is not None:
            return None
        frame = Frame(_EVENT % words_delta(*block, mark), mark, blanks=False)
        return lambda texts: frame(texts) if blocks.open_words() == block else None

    def end(self, answer: Answer) -> bytes:
        """Write the end of a whole answer."""
        return framed(self.events.end(answer))

    def result(self, _answer: Answer) -> list[bytes]:
        """Return nothing: all of it was streamed."""
        return []


def framed(events: list[Event]) -> bytes:
    """Write events as lines of a stream; an event without its `event:` line is lost on clients."""
    return b"".join(b"event: %b\ndata: %b\n\n" % (kind.encode(), data) for kind, data in events)


def write_stream(reply: Reply) -> StreamWriter:
    """Return what writes the answer to a request that wants a stream."""
    return StreamWriter(events=events_of(reply), transcript=reply.transcript)
