"""Chunks that tell one text at most, as nearly all do, read at once where texts are gathered."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from exo_supervisor.wire.chat.piece import NULL, Delta, Piece
from exo_supervisor.wire.openai.chunk import SMALL, Around, read_parts
from exo_supervisor.wire.untrusted_json import UNREADABLE, check_utf8


class _Delta(Struct, gc=False, forbid_unknown_fields=True):
    content: Raw = NULL
    role: Literal["assistant"] | None = None
    reasoning_content: None = None
    reasoning: None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None


class PlainChoice(Struct, gc=False):
    """The first choice of an answer, and the only one."""

    delta: _Delta
    index: Literal[0] = 0
    finish_reason: Literal["stop", "length"] | None = None
    logprobs: None = None
    native_finish_reason: None = None


class PlainChunk(Struct, gc=False, forbid_unknown_fields=True):
    """What stands around the choices, too; without them it is compared with the last one's."""

    choices: Annotated[list[PlainChoice], Meta(max_length=1)]
    id: Raw = NULL
    object: Raw = NULL
    created: Raw = NULL
    model: Raw = NULL
    usage: Raw = NULL
    service_tier: Raw = NULL
    system_fingerprint: Raw = NULL

    def around(self, data: bytes) -> Around:
        """Return what stands around the choices: all that is read, or passed on, in its order."""
        if self.service_tier != NULL:
            return read_parts(data)[0]
        around = {"id": self.id, "model": self.model, "usage": self.usage}
        if self.system_fingerprint != NULL:
            around["system_fingerprint"] = self.system_fingerprint
        return around


_chunk: Final = msgspec.json.Decoder(PlainChunk).decode
_content: Final = msgspec.json.Decoder(str | None).decode
_NO_CHOICES: Final = list[PlainChoice]()
NO_PIECE: Final = Piece(Delta(), Raw(b"{}"))
"""What a choice says beside its text and its end."""
Plain = tuple[PlainChunk, PlainChoice | None, bytes, bool]
"""What stands around, the choice, its content as it came, and whether that says a word."""


def read_plain(data: bytes) -> Plain | None:
    """Return what a plain chunk has; None for any other, though it may be a good one."""
    try:
        if len(data) > SMALL:
            return None
        check_utf8(data)
        chunk = _chunk(data)
        choices, chunk.choices = chunk.choices, _NO_CHOICES
        if not choices:
            return chunk, None, b"", False
        content = choices[0].delta.content
        said = _content(content)
    except UNREADABLE:
        return None
    return chunk, choices[0], b"" if said is None else bytes(content), bool(said)
