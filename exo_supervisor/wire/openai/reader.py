"""Reading an answer that an upstream streams in OpenAI's dialect."""

from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.piece import (
    NULL,
    JoinError,
    OversizedAnswerError,
    Piece,
    read_name,
)
from exo_supervisor.wire.chat.reader import JOINS_NOT, Reader, aside
from exo_supervisor.wire.lenient_json import members
from exo_supervisor.wire.openai.chunk import LARGE, Chunk, read_chunk, read_strictly
from exo_supervisor.wire.openai.template import MARK, MARK_TEXT, Template, is_plain, split_at
from exo_supervisor.wire.untrusted_json import UNREADABLE

TOO_MUCH_BESIDE = "the answer tells too much beside its choices"
_NO_NAME = b'""'
_MAX_CACHED = 4_096
"""Bytes of what stands around the choices of a chunk, up to which the next one's is compared."""
_MOST_PARTS = 8
"""Parts of a read that are looked at one by one; the rest is read at once."""
_LF, _QUOTE = b'\n"'
"""Numbers: to look for a byte by its number is ten times cheaper than by a text of its own."""
MAX_LESSONS = 8
"""Templates learnt in a row to which no event came: from then on no more are learnt."""

decode_text = msgspec.json.Decoder(str).decode


@dataclass(slots=True, kw_only=True)
class ChunkReader(Reader):
    """Makes pieces of `chat.completion.chunk` events.

    What a chunk has around its choices hardly ever changes from one to the next: it is compared as
    bytes, and read again only where it differs.

    Nearly all events of an answer differ from the one before in a few letters alone. Once one was
    read that adds text and nothing else, the bytes before and after its text are a template: what
    has them too, and one JSON string between them, says the same but for its text, so that the
    writer is given that string. `_learn` proves each template before it is used, on this very
    reader and writer. Everything else is read in full: a role, an end, a usage, an error, a call,
    half an event.
    """

    short: int = field(default=0, init=False)
    """Events that were read by a template."""

    _around: bytes | None = field(default=None, init=False)
    _template: Template | None = field(default=None, init=False)
    _whole_reads: Template | None = field(default=None, init=False)
    """The template, while no bytes of an event are held: then it can be looked for in a read."""
    _lessons: int = field(default=0, init=False)

    def take_texts(self, data: bytes) -> bytes | None:
        """Take a read that adds texts to the answer and nothing else; None: it has to be fed."""
        template = self._whole_reads
        if template is None or self.fault is not None:
            return None
        texts = data.removeprefix(template.opening).removesuffix(template.closing)
        if len(texts) + template.around != len(data):
            return None
        found = texts.split(template.between) if _LF in texts else [texts]
        return self._write_texts(template, found)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the body and return what the client gets for them.

        The first events of a read are taken one by one, so that those behind the one from which a
        template was learnt are read by it.
        """
        written = self.take_texts(data)
        if written is not None:
            return written
        told: list[bytes] = []
        for _ in range(_MOST_PARTS):
            end = self._part_of(data)
            part, data = data[:end], data[end:]
            written = self.take_texts(part)
            told.append(self._feed_in_full(part) if written is None else written)
            if not data:
                break
        else:
            told.append(self._feed_in_full(data))
        return told[0] if len(told) == 1 else b"".join(told)

    def _part_of(self, data: bytes) -> int:
        """Return how many bytes to read at once: what a template may read, or an event."""
        template = self._whole_reads
        if template is not None and data.startswith(template.opening):
            end = data.rfind(template.closing)
            if end >= 0:
                return end + len(template.closing)
        end = data.find(b"\n\n")
        return len(data) if end < 0 else end + 2

    def _feed_in_full(self, data: bytes) -> bytes:
        written = Reader.feed(self, data)
        self._whole_reads, template = None, self._template
        if template is not None and self._sse.is_clear and template.is_framed(data):
            self._whole_reads = template
        return written

    def read_event(self, data: bytes, event: bytes = b"") -> bytes:
        """Take one event's data and return what the client gets for it."""
        template = self._template
        if template is not None and not event and template.fits(data):
            written = self._write_texts(template, [data[len(template.pre) : -len(template.suf)]])
            if written is not None:
                template.example = data
                return written
        if data[:6] == b"[DONE]":
            return self.end()
        if _LF in data:
            # between the tokens of JSON only; copied into one line of our own stream
            data = data.replace(b"\n", b" ")
        try:
            self.writer.note(len(data))
            chunk, pieces = self.parse(data)
        except OversizedAnswerError as error:
            self.fail(Fault.OVERSIZED, str(error))
            return b""
        except UNREADABLE:
            self.skip(event, lost=b'"choices"' in data)
            return b""
        if chunk.error != NULL or event == b"error":
            self.read_error(aside(Raw(data)))
            return b""
        try:
            return self._read_chunk(chunk, pieces, data)
        except (JoinError, *UNREADABLE):
            self.fail(Fault.MALFORMED, JOINS_NOT)
            return b""

    def parse(self, body: bytes) -> tuple[Chunk, list[Piece]]:
        """Return one chunk and its pieces; raises one of UNREADABLE."""
        return read_chunk(body)

    def _read_chunk(self, chunk: Chunk, pieces: list[Piece], data: bytes) -> bytes:
        around = data.replace(chunk.choices, b"", 1)
        if around != self._around:
            self._around = around if len(around) <= _MAX_CACHED else None
            self._template = None
            self.read_around(chunk, data)
        self.extras.owe()
        if not pieces or self.fault is not None:
            return b""
        if len(pieces) > 1:
            return b"".join(self.take(piece) for piece in pieces if piece.tells())
        piece = pieces[0]
        if self._lessons >= MAX_LESSONS or not is_plain(piece):
            return self._take_other(piece)
        text = bytes(members(piece.raw)["content"])
        written = self.take(piece)
        self._learn(data, text)
        return written

    def _take_other(self, piece: Piece) -> bytes:
        if piece.finish is not None:
            self._template = None  # words after the end of a choice are judged one by one
            self._lessons = MAX_LESSONS
        return self.take(piece)

    def read_around(self, chunk: Chunk, data: bytes, /) -> None:
        """Take in what stands beside the choices."""
        self.read_named(chunk.model)
        self.read_id(chunk.id)
        self.read_usage(chunk.usage)
        if not self.traits.made_up and not self.extras.see(data, chunk.choices):
            self.fail(Fault.OVERSIZED, TOO_MUCH_BESIDE)

    def read_named(self, model: Raw) -> None:
        """Take in under which name the upstream answers, if it tells any."""
        text = bytes(model)
        self.read_model(read_name(text), named=text[:1] == b'"' and text != _NO_NAME)

    def _learn(self, data: bytes, text: bytes) -> None:
        """Make a template of an event that was taken, whose text is, as JSON, `text`.

        The proof: with another string in the place of its text it is a chunk that says that other
        string. A JSON string ends where it ends whatever follows, and cannot change how the bytes
        before it were read, so that this holds of every string, and no other byte differs.
        """
        if self._adapts or self._around is None or self.fault is not None or self._ends.get(0):
            return
        self._lessons += 1
        pre, suf = split_at(data, text)
        try:
            _, pieces = read_strictly(pre + MARK + suf)
        except UNREADABLE:
            return
        if pieces[0].delta.content != MARK_TEXT:
            return
        self.extras.owe()
        self.traits.tidy(pieces[0])
        write = self.writer.plain(pieces[0], self, MARK, len(pre) + len(suf))
        if write is not None:
            self._template = Template(pre, suf, write, data)

    def _write_texts(self, template: Template, texts: list[bytes]) -> bytes | None:
        """Have texts written, if they are such; None: they have to be read in full."""
        said = 0
        for raw in texts:
            # What is no string is mostly found without the decoder, whose refusals are dear.
            if _LF in raw or len(raw) > LARGE:
                return None
            try:
                text = decode_text(raw)
            except UNREADABLE:
                return None
            if raw[0] != _QUOTE or raw[-1] != _QUOTE:  # JSON allows blanks around a string
                return None
            if text:
                said += 1
        if self.traits.nulls:  # its deltas are written anew, these, too
            texts = [msgspec.json.encode(decode_text(raw)) for raw in texts]
        written = template.write(texts)
        if written is not None:
            self.tokens += said
            self.progressed += len(texts)
            self.short += len(texts)
            self._lessons = 0
        return written
