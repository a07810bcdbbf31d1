"""Which dialects there are: a client's by the path that it asks, an upstream's by its name.

A client's new dialect is a folder beside `openai/` and its rows in OPERATIONS; an upstream's is a
folder and a row in DIALECTS. A provider's is named by its configuration, a node's by the traits of
its generation (`wire.exo.traits`).
"""

from collections.abc import Mapping
from typing import Final

from exo_supervisor.wire.anthropic import answer_writer as anthropic_answer_writer
from exo_supervisor.wire.anthropic import framing as anthropic
from exo_supervisor.wire.anthropic import outbound as anthropic_outbound
from exo_supervisor.wire.anthropic import stream_writer as anthropic_stream_writer
from exo_supervisor.wire.anthropic.body_reader import BodyReader as MessageReader
from exo_supervisor.wire.anthropic.count import count_tokens
from exo_supervisor.wire.anthropic.inbound import read_messages
from exo_supervisor.wire.anthropic.reader import EventReader
from exo_supervisor.wire.chat.judge import Media
from exo_supervisor.wire.chat.piece import Writer
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.chat.request import Kind
from exo_supervisor.wire.dialect import Answered, Dialect, Framing, Operation, Reply
from exo_supervisor.wire.exo import identity as exo
from exo_supervisor.wire.ollama import embed
from exo_supervisor.wire.ollama import framing as ollama
from exo_supervisor.wire.ollama import inbound as ollama_inbound
from exo_supervisor.wire.ollama.lines import LineWriter, ObjectWriter
from exo_supervisor.wire.openai import completions, embeddings, inbound, inputs, outbound
from exo_supervisor.wire.openai import framing as openai
from exo_supervisor.wire.openai.answer_writer import AnswerWriter
from exo_supervisor.wire.openai.body_reader import BodyReader
from exo_supervisor.wire.openai.reader import ChunkReader
from exo_supervisor.wire.openai.stream_writer import StreamWriter
from exo_supervisor.wire.responses import framing as responses
from exo_supervisor.wire.responses import writer as responses_writer
from exo_supervisor.wire.responses.inbound import read_responses


def _stream(reply: Reply) -> Writer:
    return StreamWriter(
        f"chatcmpl-{reply.request}", reply.created, reply.model, reply.chat.include_usage,
        reply.joined, reply.transcript, reply.mark,
    )  # fmt: skip


def _body(reply: Reply) -> Writer:
    return AnswerWriter(f"chatcmpl-{reply.request}", reply.created, reply.model)


OPERATIONS: Final[Mapping[str, Operation]] = {
    "/v1/chat/completions": Operation(
        lambda body, _: inbound.read_chat(body), _stream, _body, openai.FRAMING
    ),
    "/v1/completions": Operation(
        lambda body, _: inputs.read_completions(body),
        completions.write_texts,
        completions.write_text,
        openai.FRAMING,
    ),
    "/v1/embeddings": Operation(
        lambda body, _: inputs.read_embeddings(body),
        embeddings.write_embeddings,
        embeddings.write_embeddings,
        openai.FRAMING,
    ),
    "/v1/messages": Operation(
        read_messages,
        anthropic_stream_writer.write_stream,
        anthropic_answer_writer.write_body,
        anthropic.FRAMING,
    ),
    "/v1/responses": Operation(
        read_responses,
        responses_writer.write_stream,
        responses_writer.write_body,
        responses.FRAMING,
    ),
    "/api/chat": Operation(
        ollama_inbound.read_chat,
        lambda reply: LineWriter(reply=reply),
        lambda reply: ObjectWriter(reply=reply),
        ollama.FRAMING,
    ),
    "/api/generate": Operation(
        ollama_inbound.read_generate,
        lambda reply: LineWriter(reply=reply, generates=True),
        lambda reply: ObjectWriter(reply=reply, generates=True),
        ollama.GENERATE,
    ),
    "/api/embed": Operation(
        ollama_inbound.read_embed, embed.write_embed, embed.write_embed, ollama.FRAMING
    ),
    "/api/embeddings": Operation(
        ollama_inbound.read_embed, embed.write_embedding, embed.write_embedding, ollama.FRAMING
    ),
}

ANSWERED: Final[Mapping[str, Answered]] = {
    "/v1/messages/count_tokens": Answered(count_tokens, anthropic.FRAMING),
}

_CHAT_READERS: Final[Mapping[tuple[Kind, Media], type[Reader]]] = {
    ("chat", "stream"): ChunkReader,
    ("chat", "json"): BodyReader,
}

DIALECTS: Final[Mapping[str, Dialect]] = {
    "openai": Dialect(
        outbound.url,
        outbound.models_url,
        outbound.encode_chat,
        outbound.request_headers,
        {
            **_CHAT_READERS,
            ("completions", "stream"): completions.TextReader,
            ("completions", "json"): completions.TextBodyReader,
            ("embeddings", "json"): embeddings.EmbeddingsReader,
        },
    ),
    "anthropic": Dialect(
        anthropic_outbound.url,
        anthropic_outbound.models_url,
        anthropic_outbound.encode,
        anthropic_outbound.request_headers,
        {("chat", "stream"): EventReader, ("chat", "json"): MessageReader},
    ),
    "exo": Dialect(
        exo.chat_url,
        outbound.models_url,
        exo.encode_chat,
        outbound.request_headers,
        _CHAT_READERS,
    ),
}


def served_at(path: str) -> Operation | Answered:
    """Return what a POST to a path is read and answered by; raises KeyError."""
    return OPERATIONS.get(path) or ANSWERED[path]


_FRAMINGS: Final[tuple[tuple[str, Framing], ...]] = (
    ("/v1/messages", anthropic.FRAMING),
    ("/api", ollama.FRAMING),
    ("/ollama", ollama.FRAMING),
)
"""How errors are told at a path, and at all below it, whether or not there is such a path."""


def framing_of(path: str) -> Framing:
    """Return how errors are told to whoever asks at a path, and has not been understood yet."""
    for root, framing in _FRAMINGS:
        if path == root or path.startswith(f"{root}/"):
            return framing
    return openai.FRAMING
