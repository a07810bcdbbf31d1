"""Readers with their writers, as the tests of either need them."""

from typing import TypedDict, Unpack

from exo_supervisor.core.names import Generation
from exo_supervisor.wire.chat.continuation import Splice
from exo_supervisor.wire.chat.gathered import MAX_ANSWER_BYTES
from exo_supervisor.wire.chat.piece import Writer
from exo_supervisor.wire.exo.traits import TRAITS
from exo_supervisor.wire.openai.answer_writer import AnswerWriter
from exo_supervisor.wire.openai.body_reader import BodyReader
from exo_supervisor.wire.openai.reader import ChunkReader
from exo_supervisor.wire.openai.stream_writer import StreamWriter
from exo_supervisor.wire.openai.template import Template

ID, CREATED = "ours", 7


class Asked(TypedDict, total=False):
    """What a reader may be told of the request."""

    asked: str
    max_tokens: int | None
    stop: tuple[str, ...]
    choices: int
    seam: Splice | None
    before: int


class Counting(ChunkReader):
    """Counts the events that are read by a template."""

    short = 0

    def take_texts(self, data: bytes, head: bytes, size: int) -> bytes | None:
        known, written = self.short, super().take_texts(data, head, size)
        if written is not None and self.short == known:
            self.short += 1
        return written

    def _write_texts(self, template: Template, texts: list[bytes]) -> bytes | None:
        written = super()._write_texts(template, texts)
        self.short += 0 if written is None else len(texts)
        return written


def stream_writer(asked: Asked, *, usage: bool) -> StreamWriter:
    joined = asked.get("seam") is not None
    model = asked.get("asked", "m")
    return StreamWriter(id=ID, created=CREATED, model=model, include_usage=usage, joined=joined)


def streamed(
    generation: Generation | None = None, *, usage: bool = False, **asked: Unpack[Asked]
) -> ChunkReader:
    """Read a stream, for a client that streams."""
    return read_into(stream_writer(asked, usage=usage), generation, **asked)


def read_into(
    writer: Writer, generation: Generation | None = None, **asked: Unpack[Asked]
) -> Counting:
    """Read a stream, for whatever client."""
    return Counting(writer=writer, traits=TRAITS[generation], **asked)


def gathered(
    generation: Generation | None = None,
    *,
    most_bytes: int = MAX_ANSWER_BYTES,
    **asked: Unpack[Asked],
) -> ChunkReader:
    """Read a stream, for a client that does not stream."""
    writer = AnswerWriter(
        id=ID, created=CREATED, model=asked.get("asked", "m"), most_bytes=most_bytes
    )
    return read_into(writer, generation, **asked)


def body_streamed(
    generation: Generation | None = None, *, usage: bool = False, **asked: Unpack[Asked]
) -> BodyReader:
    """Read one JSON object, for a client that streams."""
    writer = stream_writer(asked, usage=usage)
    return BodyReader(writer=writer, traits=TRAITS[generation], **asked)


def body_gathered(
    generation: Generation | None = None,
    *,
    most_bytes: int = MAX_ANSWER_BYTES,
    **asked: Unpack[Asked],
) -> BodyReader:
    """Read one JSON object, for a client that does not stream."""
    writer = AnswerWriter(
        id=ID, created=CREATED, model=asked.get("asked", "m"), most_bytes=most_bytes
    )
    return BodyReader(writer=writer, traits=TRAITS[generation], **asked)


def read_body(body: bytes, reader: BodyReader) -> bytes:
    """Read all of a body and return what the client gets."""
    reader.feed(body)
    return reader.close()
