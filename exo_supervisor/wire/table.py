"""Which dialects there are: a client's by the path that it asks, an upstream's by its name.

A client's new dialect is a folder beside `openai/` and a row in OPERATIONS. An upstream's is a
folder and a row in DIALECTS, but that alone asks nobody in it: the name is looked up in the traits
of the peer's kind (`wire.exo.traits`), and all providers are one kind there. `core.policy.Cloud`
carries no dialect yet, nor does `StartAttempt`; a provider's own has to come by them.
Whoever serves a request makes readers and writers from here alone.
"""

from collections.abc import Callable, Mapping
from typing import Final, Literal

from msgspec import Struct

from exo_supervisor.wire.chat.continuation import Transcript
from exo_supervisor.wire.chat.piece import Writer
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.exo import identity as exo
from exo_supervisor.wire.openai import inbound, outbound
from exo_supervisor.wire.openai.answer_writer import AnswerWriter
from exo_supervisor.wire.openai.body_reader import BodyReader
from exo_supervisor.wire.openai.inbound import ChatRequest
from exo_supervisor.wire.openai.outbound import Ask
from exo_supervisor.wire.openai.reader import ChunkReader
from exo_supervisor.wire.openai.stream_writer import StreamWriter

Media = Literal["stream", "json"]
"""What an answer is, by its content type: events, or one object, whatever was asked for."""


class Reply(Struct, frozen=True):
    """What a writer is told of the answer it writes; `model` is shown where no other is named.

    With `joined`, the client has a part of it from another target; `mark` is put beside its end.
    """

    request: str
    created: int
    model: str
    include_usage: bool = False
    joined: bool = False
    transcript: Transcript | None = None
    mark: bytes = b""


class Operation(Struct, frozen=True):
    """What clients may ask for at a path: how it is read, and both ways in which it is answered."""

    read: Callable[[bytes], ChatRequest]
    stream: Callable[[Reply], Writer]
    body: Callable[[Reply], Writer]


class Dialect(Struct, frozen=True):
    """What one kind of upstream speaks: where and how it is asked, and who reads its answer."""

    url: Callable[[str], str]
    encode: Callable[[ChatRequest, Ask], bytes]
    headers: Callable[[str | None], dict[str, str]]
    readers: Mapping[Media, type[Reader]]


def _stream(reply: Reply) -> Writer:
    return StreamWriter(
        id=f"chatcmpl-{reply.request}",
        created=reply.created,
        model=reply.model,
        include_usage=reply.include_usage,
        joined=reply.joined,
        transcript=reply.transcript,
        mark=reply.mark,
    )


def _body(reply: Reply) -> Writer:
    return AnswerWriter(id=f"chatcmpl-{reply.request}", created=reply.created, model=reply.model)


OPERATIONS: Final[Mapping[str, Operation]] = {
    "/v1/chat/completions": Operation(inbound.read_chat, _stream, _body),
}

_READERS: Final[Mapping[Media, type[Reader]]] = {"stream": ChunkReader, "json": BodyReader}

DIALECTS: Final[Mapping[str, Dialect]] = {
    "openai": Dialect(outbound.chat_url, outbound.encode_chat, outbound.request_headers, _READERS),
    "exo": Dialect(exo.chat_url, exo.encode_chat, outbound.request_headers, _READERS),
}
"""A peer's is named in its row of `wire.exo.traits`."""
