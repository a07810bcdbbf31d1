"""Reading an answer that an upstream streams in OpenAI's dialect."""

from dataclasses import dataclass, field

from msgspec import Raw

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.piece import NULL, JoinError, OversizedAnswerError, Piece
from exo_supervisor.wire.chat.reader import JOINS_NOT, Reader
from exo_supervisor.wire.chat.stream_reader import StreamReader
from exo_supervisor.wire.lenient_json import aside, members
from exo_supervisor.wire.openai.answer_writer import AnswerWriter
from exo_supervisor.wire.openai.around import AroundReader
from exo_supervisor.wire.openai.chunk import LARGE, Around, read_chunk
from exo_supervisor.wire.openai.plain_chunk import NO_PIECE, PlainChoice, PlainChunk, read_plain
from exo_supervisor.wire.openai.template import (
    MARK,
    Template,
    decode_text,
    plain_text,
    proven,
    written_anew,
)
from exo_supervisor.wire.untrusted_json import UNREADABLE

_MAX_CACHED = 4_096
"""Bytes of a chunk, up to which the next one is compared with what stands around its choices."""
_MOST_PARTS = 8
"""Parts of a read that are looked at one by one; the rest is read at once."""
_LF = 10
"""A number: to look for a byte by its number is ten times cheaper than by a text of its own."""
MAX_LESSONS = 8
"""Templates learnt in a row to which no event came: from then on no more are learnt."""


@dataclass(slots=True, eq=False, repr=False)
class ChunkReader(AroundReader, StreamReader):
    """Makes pieces of `chat.completion.chunk` events.

    What a chunk has around its choices hardly ever changes from one to the next: it is taken in
    again only where it differs.

    Nearly all events of an answer differ from the one before in a few letters alone. Once one was
    read that adds text and nothing else, the bytes before and after its text are a template: what
    has them too, and one JSON string between them, says the same but for its text, so that the
    writer is given that string. Each template is `proven` before it is used. Of what else is read,
    a plain chunk costs less where its text is but gathered; the rest is read in full: an error, a
    call, half an event.
    """

    _around: Around | None = field(default=None, init=False)
    _template: Template | None = field(default=None, init=False)
    _whole_reads: Template | None = field(default=None, init=False)
    """The template, while no bytes of an event are held: then it can be looked for in a read."""
    _lessons: int = field(default=0, init=False)
    _gathers: bool = field(default=True, init=False)
    """Whether chunks may be plain, and their texts are but gathered."""
    _plain: PlainChunk | None = field(default=None, init=False)
    """What stood around the last one, where that was plain."""

    def take_texts(self, data: bytes, head: bytes, size: int) -> bytes | None:
        """Take a read that adds texts to the answer and nothing else; None: it has to be fed.

        `size` are the bytes of the body in it: all of them, or those of a chunk of HTTP with its
        `head` before them and CRLF behind.
        """
        template = self._whole_reads
        if template is None:
            return None
        if head:
            text = data.removeprefix(head + template.opening).removesuffix(template.end_of_chunk)
        else:
            text = data.removeprefix(template.opening).removesuffix(template.closing)
        length = len(text)
        if length + template.around != size:
            return None
        if _LF in text:
            return self._write_texts(template, template.texts_in(data))
        try:
            said = decode_text(text)
        except UNREADABLE:
            return None
        if length > LARGE or text.strip() != text:  # JSON allows blanks around a string
            return None
        if said and template.before:
            written = template.before + text + template.after
        else:
            written = template.write([text])
        if written is not None:
            if said:
                self.tokens += 1
            self.progressed += 1
            self._lessons = 0
        return written

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the body and return what the client gets for them."""
        if self.done or self.fault is not None:
            return b""
        written = self.take_texts(data, b"", len(data))
        if written is not None:
            return written
        event = self._sse.one_message(data)
        return self._feed_parts(data) if event is None else self._feed_message(event, data)

    def _feed_message(self, event: bytes, data: bytes) -> bytes:
        """Take bytes that are one event, and note whether a template can be looked for in more."""
        written = self.read_event(event)
        self._look_for(self._template, data)
        return written

    def _feed_parts(self, data: bytes) -> bytes:
        """Take the first events of a read one by one, and those that a template fits at once."""
        told: list[bytes] = []
        at = 0
        for _ in range(_MOST_PARTS):
            if self.done or self.fault is not None:
                return b"".join(told)
            template = self._whole_reads
            if template is not None and data.startswith(template.opening, at):
                end = data.rfind(template.closing, at)
                run = data[at : end + len(template.closing)] if end >= 0 else b""
                written = self._write_texts(template, template.texts_in(run)) if run else None
                if written is not None:
                    told.append(written)
                    at += len(run)
                    continue
            end = data.find(b"\n\n", at) + 2
            if end == 1:  # there is none
                break
            part, at = data[at:end], end
            event = self._sse.one_message(part)
            told.append(self._feed_all(part) if event is None else self._feed_message(event, part))
        if at < len(data):
            told.append(self._feed_all(data[at:]))
        return b"".join(told)

    def _feed_all(self, data: bytes) -> bytes:
        """Take any bytes, and note whether a template can be looked for in what follows."""
        comment = self._sse.one_comment(data)
        if comment is not None:
            if not (self.content or self.done or self.fault is not None):
                self._hear(comment)
            return b""
        written = StreamReader.feed(self, data)
        self._look_for(self._template if self._sse.is_clear else None, data)
        return written

    def _look_for(self, template: Template | None, data: bytes) -> None:
        """Note whether a template can be looked for in what follows; nothing follows an end."""
        over = self.done or self.fault is not None
        known = template is not None and not over and template.is_framed(data)
        self._whole_reads = template if known else None

    def read_event(self, data: bytes, event: bytes = b"") -> bytes:
        """Take one event's data and return what the client gets for it."""
        template = self._template
        if template is not None and not event and (text := template.text_in(data)) is not None:
            written = self._write_texts(template, [text])
            if written is not None:
                template.example = data
                return written
        if data[:6] == b"[DONE]":
            return self.end()
        if _LF in data:
            # between the tokens of JSON only; copied into one line of our own stream
            data = data.replace(b"\n", b" ")
        if self._gathers and not event and self._take_plain(data):
            return b""
        try:
            self.writer.note(len(data))
            around, pieces = self.parse(data)
        except OversizedAnswerError as error:
            self.fail(Fault.OVERSIZED, str(error))
            return b""
        except UNREADABLE:
            self.judge_malformed(event, lost=b'"choices"' in data)
            return b""
        if event == b"error" or around.get("error", NULL) != NULL:
            self.read_error(aside(Raw(data)))
            return b""
        try:
            return self._read_chunk(around, pieces, data)
        except (JoinError, *UNREADABLE):
            self.fail(Fault.MALFORMED, JOINS_NOT)
            return b""

    def _take_plain(self, data: bytes) -> bool:
        """Take a plain chunk as `_read_chunk` would, where texts are gathered; False: do that."""
        writer, other = self.writer, self._adapts or self.traits.nulls
        if other or not isinstance(writer, AnswerWriter) or (plain := read_plain(data)) is None:
            self._gathers = False
            return False
        around, choice, text, said = plain
        if choice is not None and self._ends.get(0):
            return False
        try:
            writer.note(len(data))
            if around != self._plain:
                self._plain = around if len(data) <= _MAX_CACHED else None
                self._enter(around.around(data), data)
            self.extras.owe()
            if choice is None or self.fault is not None or not self._hear_plain(choice, said=said):
                return True
            writer.add(text, choice.finish_reason)
        except OversizedAnswerError as error:
            self.fail(Fault.OVERSIZED, str(error))
            return True
        if said and self._lessons < MAX_LESSONS:
            self._learn(data, text, "content")
        return True

    def _hear_plain(self, choice: PlainChoice, *, said: bool) -> bool:
        """Take in what `take` would of such a piece; return whether the writer gets it."""
        if 0 not in self._ends:
            self._ends[0] = ""
            self.finished = False
        if said:
            self.tokens += 1
            self.content = True
        if choice.finish_reason is not None:
            self.end_choice(0, NO_PIECE, choice.finish_reason)
        elif not self.content:
            return False
        if self.content:
            self.progressed += 1
        return True

    def parse(self, body: bytes) -> tuple[Around, list[Piece]]:
        """Return what stands around the choices, and their pieces; raises as `read_chunk`."""
        return read_chunk(body)

    def _read_chunk(self, around: Around, pieces: list[Piece], data: bytes) -> bytes:
        if around != self._around:
            self._plain = None
            self._enter(around, data)
        self.extras.owe()
        if not pieces or self.fault is not None:
            return b""
        if len(pieces) > 1:
            return b"".join(self.take(piece) for piece in pieces if piece.tells())
        piece = pieces[0]
        name = "" if self._lessons >= MAX_LESSONS else plain_text(piece)
        if not name:
            return self.take(piece)
        text = bytes(members(piece.raw)[name])
        written = self.take(piece)
        self._learn(data, text, name)
        return written

    def _enter(self, around: Around, data: bytes) -> None:
        self._around = around if len(data) <= _MAX_CACHED else None
        self._template = None
        self.read_around(around)

    def end_choice(self, index: int, piece: Piece, reason: str) -> None:
        """Take in why a choice ended: words after it are judged one by one."""
        self._template = None
        self._lessons = MAX_LESSONS
        Reader.end_choice(self, index, piece, reason)

    def _learn(self, data: bytes, text: bytes, name: str) -> None:
        """Make a template of an event that was taken, and whose delta adds a text as its `name`."""
        if self._adapts or self._around is None or self.fault is not None:
            return
        self._lessons += 1
        found = proven(data, text, name)
        if found is None:
            return
        pre, suf, piece = found
        self.extras.owe()
        self.traits.tidy(piece)
        write = self.writer.plain(piece, self, MARK, len(pre) + len(suf))
        if write is not None:
            write = written_anew(write) if self.traits.nulls else write
            self._template = Template(pre, suf, write, data)

    def _write_texts(self, template: Template, texts: list[bytes]) -> bytes | None:
        """Have texts written, if they are such; None: they have to be read in full."""
        written, said = template.write_all(texts)
        if written is not None:
            self.tokens += said
            self.progressed += len(texts)
            self._lessons = 0
        return written
