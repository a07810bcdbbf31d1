"""The chunks of a streamed answer, as far as they are ours to read."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw, Struct

from exo_supervisor.wire.bounds import MAX_NAME_CHARS

NULL = Raw(b"null")

Index = Annotated[int, Meta(ge=0, lt=128)]
"""The place of a choice; 128 is OpenAI's bound for `n`."""

Calls = Annotated[list[dict[str, object]], Meta(max_length=1024)]
"""Calls of tools in one delta; no model asks for as many at once."""

MAX_CHUNK_OBJECTS: Final = 100_000
"""Objects in the choices of one chunk, and values in one delta: more would hold everybody up."""

_LARGE: Final = 65_536
"""Bytes from which on a text is counted before it is decoded."""


class Delta(Struct, omit_defaults=True, gc=False):
    """What one chunk adds to one choice; written again, it has lost its nulls."""

    role: object = None
    content: object = None
    reasoning_content: object = None
    reasoning: object = None
    reasoning_details: object = None
    refusal: object = None
    tool_calls: Calls | None = None
    function_call: object = None
    audio: object = None
    name: object = None
    tool_call_id: object = None

    def said(self) -> bool:
        """Whether it adds anything that a reader of the answer would miss."""
        return bool(
            (self.content and isinstance(self.content, str | list))
            or (self.reasoning_content and isinstance(self.reasoning_content, str))
            or self.tool_calls
            or (self.reasoning and isinstance(self.reasoning, str))
            or (self.refusal and isinstance(self.refusal, str))
            or (self.function_call and isinstance(self.function_call, dict))
            or (self.reasoning_details and isinstance(self.reasoning_details, list))
            or (self.audio and isinstance(self.audio, dict))
        )


class Choice(Struct, gc=False):
    """One choice of a chunk, its delta and logprobs still as they came."""

    delta: Raw = NULL
    index: Index | None = 0
    finish_reason: str | None = None
    logprobs: Raw = NULL
    native_finish_reason: Raw = NULL


Choices = Annotated[list[Choice], Meta(max_length=128)]
Piece = tuple[Choice, Delta]


class Chunk(Struct, gc=False):
    """One `chat.completion.chunk`, or an error in its place, its parts as they came."""

    model: Raw = NULL
    choices: Raw = NULL
    usage: Raw = NULL
    error: Raw = NULL


class Usage(Struct, frozen=True):
    """The token counts of an answer, as its upstream counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


_chunk = msgspec.json.Decoder(Chunk).decode
_choices = msgspec.json.Decoder(Choices | None).decode
_delta = msgspec.json.Decoder(Delta | None).decode
_name = msgspec.json.Decoder(str).decode


def read_chunk(data: bytes) -> tuple[Chunk, list[Piece]]:
    """Read one chunk and what it says of each choice; raises one of UNREADABLE."""
    if not data.isascii():
        data.decode()  # the decoder does not look for UTF-8 in what it keeps raw
    chunk = _chunk(data)
    if len(chunk.choices) > _LARGE and bytes(chunk.choices).count(b"{") > MAX_CHUNK_OBJECTS:
        raise msgspec.ValidationError("more choices than an answer can have")
    return chunk, [(choice, _read_delta(choice)) for choice in _choices(chunk.choices) or ()]


def _read_delta(choice: Choice) -> Delta:
    """Read a choice's delta; one that is null, or not there, becomes an empty object."""
    if len(choice.delta) > _LARGE and values(choice.delta) > MAX_CHUNK_OBJECTS:
        raise msgspec.ValidationError("more values than a delta can have")
    delta = _delta(choice.delta)
    if delta is None:
        choice.delta = Raw(b"{}")
        return Delta()
    return delta


def values(raw: bytes | Raw) -> int:
    """Return how many values a text can hold at most, without decoding it."""
    text = bytes(raw)
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def read_name(raw: Raw) -> str | None:
    """Return a name that may be shown, or None where there is none, or one beyond the bound."""
    if len(raw) > 6 * MAX_NAME_CHARS + 2 or not bytes(raw).startswith(b'"'):
        return None
    try:
        name = _name(raw)
    except msgspec.DecodeError:
        return None
    return name if name.isprintable() and 0 < len(name) <= MAX_NAME_CHARS else None


def counted(tokens: int) -> bytes:
    """Write a usage of which only the completion's tokens were counted: no other is made up."""
    return b'{"completion_tokens":%d}' % tokens
