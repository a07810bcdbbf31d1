"""The chunks of a streamed answer, as far as they are ours to read."""

from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

NULL = Raw(b"null")

Index = Annotated[int, Meta(ge=0, lt=128)]
"""The place of a choice; 128 is OpenAI's bound for `n`."""

Calls = Annotated[list[dict[str, object]], Meta(max_length=1024)]
"""Calls of tools in one delta; no model asks for as many at once."""


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
    index: Index = 0
    finish_reason: str | None = None
    logprobs: Raw = NULL


class Chunk(Struct, gc=False):
    """One `chat.completion.chunk`, or an error in its place."""

    id: object = None
    model: object = None
    choices: list[Choice] | None = None
    usage: object = None
    error: object = None


class Usage(Struct, frozen=True):
    """The token counts of an answer, as its upstream counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


read_chunk = msgspec.json.Decoder(Chunk).decode
_delta = msgspec.json.Decoder(Delta | None).decode


def read_delta(choice: Choice) -> Delta:
    """Read a choice's delta; one that is null, or not there, becomes an empty object."""
    delta = _delta(choice.delta)
    if delta is None:
        choice.delta = Raw(b"{}")
        return Delta()
    return delta


def counted(tokens: int) -> bytes:
    """Write a usage of which only the completion's tokens were counted: no other is made up."""
    return b'{"completion_tokens":%d}' % tokens
