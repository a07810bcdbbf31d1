"""Vectors as Ollama's clients read them."""

from typing import ClassVar

import msgspec

from exo_supervisor.wire.chat.piece import NULL, Answer
from exo_supervisor.wire.chat.vectors import VectorWriter
from exo_supervisor.wire.dialect import Reply
from exo_supervisor.wire.openai.merged import write

_dimensions = msgspec.json.Decoder(int | None)


class EmbedWriter(VectorWriter):
    """Writes the answer of /api/embed; with `alone`, that of the older /api/embeddings."""

    __slots__ = ()

    alone: ClassVar[bool] = False

    def result(self, answer: Answer) -> list[bytes]:
        """Return the whole answer in parts; meant for a reading that is done and has no fault."""
        if self.alone:
            return [b'{"embedding":', bytes(self.vectors[0]), b"}"]
        told: dict[str, object] = {
            "model": answer.served_model or self.model,
            "embeddings": [*self.vectors],
        }
        if answer.usage is not None:
            told["prompt_eval_count"] = answer.usage.prompt_tokens
        parts: list[bytes] = []
        write(told, parts)
        return parts


class _OneWriter(EmbedWriter):
    alone: ClassVar[bool] = True


def write_embed(reply: Reply) -> EmbedWriter:
    """Return what writes the answer of /api/embed."""
    dimensions = _dimensions.decode(reply.chat.fields.get("dimensions", NULL))
    return EmbedWriter(model=reply.model, dimensions=dimensions)


def write_embedding(reply: Reply) -> EmbedWriter:
    """Return what writes the answer of /api/embeddings."""
    return _OneWriter(model=reply.model)
