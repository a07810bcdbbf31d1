"""The chunks of a streamed answer, as far as they are ours to read."""

from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

_MOST_CHOICES = 128
"""OpenAI's bound for `n`; an index beyond it is no answer to any request."""


class Delta(Struct, omit_defaults=True, gc=False):
    """What one chunk adds to one choice; written again, it has lost its nulls."""

    role: object = None
    content: object = None
    reasoning_content: object = None
    reasoning: object = None
    reasoning_details: object = None
    refusal: object = None
    tool_calls: object = None
    function_call: object = None
    audio: object = None
    name: object = None
    tool_call_id: object = None

    def said(self) -> bool:
        """Whether it adds anything that a reader of the answer would miss."""
        return bool(
            self.content
            or self.reasoning_content
            or self.tool_calls
            or self.reasoning
            or self.refusal
            or self.function_call
            or self.reasoning_details
            or self.audio
        )


class Choice(Struct, gc=False):
    """One choice of a chunk, its delta still as it came."""

    delta: Raw = Raw(b"null")
    index: Annotated[int, Meta(ge=0, lt=_MOST_CHOICES)] = 0
    finish_reason: str | None = None
    logprobs: object = None


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
    """Write a usage of which only the completion's tokens were counted."""
    return msgspec.json.encode(Usage(0, tokens, tokens))
