"""Where one target's answer goes on at another: what was said so far, and how it is joined.

Exo B and C put a last message of the assistant behind the chat template, so that the model goes on
with it; a target that does not do so begins anew, and repeats what the client has already read.
"""

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.wire.chat.piece import Delta, Piece
from exo_supervisor.wire.chat.request import ChatRequest

MOST_TEXT = 1 << 20
"""Characters of an answer beyond which it is not gone on with."""
OPENING = 48
"""Characters of an answer's beginning by which a repetition is known; a shorter answer's all."""


class _Role(Struct):
    role: str = ""


_role = msgspec.json.Decoder(_Role)
_messages = msgspec.json.Decoder(list[Raw])


class Transcript:
    """What one client was told so far, as long as it is plain text; `pieces` counts its events."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0
        self.pieces = 0
        self.plain = True

    def note(self, piece: Piece) -> None:
        """Take in one more piece; what makes it too long to go on with is not kept."""
        delta, text = piece.delta, piece.delta.content
        bare = Delta(role=delta.role, content=text) == delta and piece.index == 0
        if piece.finish is not None or not (bare and isinstance(text, str | None)):
            self.plain = False
        elif text:
            self._size += len(text)
            self.pieces += 1
            self.plain = self.plain and self._size <= MOST_TEXT
            if self.plain:
                self._parts.append(text)

    def text(self) -> str:
        """Return all that was said."""
        return "".join(self._parts)


class Splice:
    """Joins a continuation to what was said; `broken` means that it begins anew instead."""

    def __init__(self, said: str) -> None:
        self._opening = said[:OPENING]
        self._held = ""
        self._joined = False
        self.broken = False

    def push(self, delta: Delta, *, last: bool) -> None:
        """Take the next piece, and leave in it what the client is to see of it."""
        if delta != Delta(role=delta.role, content=delta.content):
            self.broken = True  # a thought, or a call: no continuation of a plain text
        elif not self._joined:
            delta.content = self._join(delta.content, last=last)
        delta.role = None

    def _join(self, piece: object, *, last: bool) -> str:
        self._held += piece if isinstance(piece, str) else ""
        if self._held.startswith(self._opening):
            self.broken = True
        elif last or not self._opening.startswith(self._held):
            self._joined = True
            return self._held
        return ""


def go_on(chat: ChatRequest, said: Transcript) -> ChatRequest | None:
    """Ask for the rest of an answer; None where another target could not join it faithfully.

    A stop text may lie across the seam, and tools or a form of the answer need it in one piece.
    """
    if not said.plain or not said.pieces or chat.demands or chat.stop:
        return None
    left = None if chat.max_tokens is None else chat.max_tokens - said.pieces
    messages = _messages.decode(chat.fields["messages"])
    if (left is not None and left <= 0) or _role.decode(messages[-1]).role == "assistant":
        return None
    told = {"role": "assistant", "content": said.text()}
    fields = dict(chat.fields)
    fields["messages"] = Raw(msgspec.json.encode([*messages, told]))
    for name in ("max_tokens", "max_completion_tokens"):
        if left is not None and name in fields:
            fields[name] = Raw(msgspec.json.encode(left))
    # whoever speaks the client's own dialect is asked in a translation, which has what was said
    return msgspec.structs.replace(chat, fields=fields, max_tokens=left, native=None)
