"""Answers to requests for embeddings: read from a provider, written for a client."""

from typing import ClassVar

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.wire.chat.piece import NULL, Answer, Delta, Piece, Usage
from exo_supervisor.wire.chat.usage import Count, read_reported
from exo_supervisor.wire.chat.vectors import VectorWriter
from exo_supervisor.wire.dialect import Reply
from exo_supervisor.wire.lenient_json import aside
from exo_supervisor.wire.openai.body_reader import BodyReader
from exo_supervisor.wire.openai.chunk import Around
from exo_supervisor.wire.openai.merged import write
from exo_supervisor.wire.untrusted_json import UNREADABLE, check_utf8

_BASE64 = Raw(b'"base64"')


class _Item(Struct):
    embedding: Raw
    index: int | None = None


class _List(Struct):
    model: Raw = NULL
    data: list[_Item] | None = None
    usage: Raw = NULL
    error: Raw = NULL
    id: Raw = NULL


class _Counts(Struct):
    prompt_tokens: Count
    total_tokens: Count = 0


_list = msgspec.json.Decoder(_List)
_dimensions = msgspec.json.Decoder(int | None)


class EmbeddingsReader(BodyReader):
    """Makes a piece of each vector of a list, which has as many as texts were sent."""

    __slots__ = ()

    what: ClassVar[str] = "a list of embeddings"

    @property
    def reckoned(self) -> int:
        """Return that vectors are no tokens."""
        return 0

    def parse(self, body: bytes) -> tuple[Around, list[Piece]]:
        """Return the vectors in the order of the texts; raises one of UNREADABLE."""
        check_utf8(body)
        told = _list.decode(body)
        items = told.data or []
        if any(item.index is None for item in items):  # some servers leave it to the order
            places = list(range(len(items)))
        else:
            places = [item.index or 0 for item in items]
        if not set(places) <= set(range(self.choices)):
            raise msgspec.ValidationError("a vector of no text that was sent")
        pieces = [
            Piece(Delta(content=[item.embedding]), item.embedding, place, "stop")
            for place, item in zip(places, items, strict=True)
        ]
        pieces.sort(key=lambda piece: piece.index)
        # what else is told beside the vectors is no news
        around = {"model": told.model, "usage": told.usage, "error": told.error, "id": told.id}
        return around, pieces

    def read_usage(self, usage: Raw) -> None:
        """Take in the upstream's own count, which is of the texts alone."""
        try:
            told = msgspec.convert(aside(usage), _Counts)
        except UNREADABLE:
            return
        self.usage = Usage(
            told.prompt_tokens, 0, told.total_tokens, reported_cost=read_reported(usage)
        )
        self.usage_text = bytes(usage)


class EmbeddingsWriter(VectorWriter):
    """Writes the vectors as OpenAI's list; a usage that no upstream told is not made up."""

    __slots__ = ()

    def result(self, answer: Answer) -> list[bytes]:
        """Return the whole answer in parts; meant for a reading that is done and has no fault."""
        parts = [b'{"object":"list","data":[']
        for index, vector in enumerate(self.vectors):
            head = b'%b{"object":"embedding","index":%d,"embedding":'
            parts += [head % (b"," if index else b"", index), bytes(vector), b"}"]
        parts.append(b'],"model":')
        write(answer.served_model or self.model, parts)
        parts.append(b',"usage":%b}' % answer.usage_text if answer.usage_text else b"}")
        return parts


def write_embeddings(reply: Reply) -> EmbeddingsWriter:
    """Return what writes the answer to a request for embeddings."""
    fields = reply.chat.fields
    return EmbeddingsWriter(
        model=reply.model,
        base64=fields.get("encoding_format", NULL) == _BASE64,
        dimensions=_dimensions.decode(fields.get("dimensions", NULL)),
    )
