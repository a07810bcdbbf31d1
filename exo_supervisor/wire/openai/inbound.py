"""The client's side of the dialect: chat requests in."""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.wire.chat.body import (
    check_limit,
    check_messages,
    check_model,
    check_stop,
    check_stop_size,
    demands_of,
    read_as,
    read_fields,
)
from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.chat.request import ChatRequest
from exo_supervisor.wire.exo.hazards import read_hazards

_ASSISTANT: Final = Raw(b'"assistant"')
_LONGEST_ASSISTANT: Final = len(r'"\u0061"') * len("assistant")
"""More than all of its letters take as escapes."""


class _Message(Struct, gc=False):
    """Any object; but for these two, what is in a message is between client and target."""

    role: Raw = NULL
    content: Raw = NULL

    def speaks(self) -> bool:
        """Whether it has content, and is not the assistant's."""
        return self.content != NULL and not _is_assistant(self.role)


def _is_assistant(role: Raw) -> bool:
    """Say so of a role that may be anything, of any size; with its letters escaped, too."""
    if len(role) <= len(_ASSISTANT):
        return role == _ASSISTANT
    return len(role) <= _LONGEST_ASSISTANT and msgspec.json.decode(role) == "assistant"


class _StreamOptions(Struct, gc=False):
    include_usage: bool | None = None


class _Known(Struct, gc=False):
    """The fields we read, in the only types that make sense for them."""

    model: str | None = None
    messages: list[_Message] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    stop: str | list[str] | None = None
    n: int | None = None


_known = msgspec.json.Decoder(_Known)


def read_chat(body: bytes) -> ChatRequest:
    """Read the body of a chat request; raises BadRequestError, whose text holds no value of it."""
    fields = read_fields(body)
    check_stop_size(fields)
    known = read_as(_known, body)
    model, messages = check_model(known.model), check_messages(known.messages)
    limit = known.max_tokens if known.max_completion_tokens is None else known.max_completion_tokens
    return ChatRequest(
        model=model,
        stream=bool(known.stream),
        include_usage=bool(known.stream_options and known.stream_options.include_usage),
        demands=demands_of(fields),
        hazards=read_hazards(body, fields, map(_Message.speaks, messages)),
        max_tokens=check_limit(limit),
        stop=check_stop(known.stop),
        n=known.n,
        fields=fields,
    )
