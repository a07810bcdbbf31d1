"""An answer as the one message that a client of Messages gets that did not stream."""

from dataclasses import dataclass, field
from typing import ClassVar

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.wire.anthropic.blocks import Event
from exo_supervisor.wire.anthropic.events import DIALECT, Events, events_of
from exo_supervisor.wire.chat.gathered import Gathered
from exo_supervisor.wire.chat.piece import (
    NULL,
    Answer,
    JoinError,
    Piece,
)
from exo_supervisor.wire.dialect import Reply
from exo_supervisor.wire.lenient_json import members
from exo_supervisor.wire.openai.merged import Grown, write
from exo_supervisor.wire.untrusted_json import UNREADABLE

_BLOCK_TAKES = 512
"""Bytes of memory that a block takes over its JSON, about."""
_CUT = (Raw(b'"max_tokens"'), Raw(b'"model_context_window_exceeded"'), Raw(b'"refusal"'))
_LISTS = {"citation": "citations"}
"""Members of deltas that are added to a list of the block."""

_text = msgspec.json.Decoder(str)
_input = msgspec.json.Decoder(dict[str, Raw])


class _Block(Struct):
    """One content block as its events have told it so far."""

    members: dict[str, object]
    input: Grown = msgspec.field(default_factory=Grown)

    def add(self, delta: dict[str, Raw]) -> None:
        """Add a delta: texts grow, whatever they are called; what is no text comes once."""
        delta.pop("type", None)
        for name, raw in delta.items():
            value = bytes(raw)
            known = self.members.get(name)
            if name == "partial_json":
                self.input.add(value)
            elif name in _LISTS:
                self._grown(_LISTS[name]).add(b"[%b]" % value)
            elif value.startswith(b'"') and (known is None or _is_text(known)):
                self._grown(name).add(value)
            else:
                self.members[name] = raw

    def _grown(self, name: str) -> Grown:
        known = self.members.get(name)
        if not isinstance(known, Grown):
            grown = self.members[name] = Grown()
            if isinstance(known, Raw) and known != NULL:
                grown.add(bytes(known))
            return grown
        return known

    def seal(self) -> bool:
        """Take in that no more comes; False: the arguments of a call are no JSON object."""
        if not self.input:
            return True
        parts: list[bytes] = []
        self.input.write(parts)
        self.input = Grown()
        try:
            text = _text.decode(b"".join(parts)).encode()
            _input.decode(text)
        except UNREADABLE:
            return False
        self.members["input"] = Raw(text)
        return True


def _is_text(known: object) -> bool:
    return isinstance(known, Grown) or (isinstance(known, Raw) and bytes(known).startswith(b'"'))


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class AnswerWriter(Gathered):
    """Gathers the events of an answer."""

    native: ClassVar[str] = DIALECT

    events: Events

    _message: dict[str, object] = field(default_factory=dict, init=False)
    _usage: dict[str, Raw] = field(default_factory=dict, init=False)
    _blocks: dict[bytes, _Block] = field(default_factory=dict, init=False)

    def take(self, piece: Piece, answer: Answer) -> bytes:
        """Add what one piece says; returns no bytes, since the client gets them at the end."""
        for event in self.events.take(piece, answer):
            self._add(event)
        return b""

    def end(self, answer: Answer) -> bytes:
        """Return no bytes: the answer is `result()`."""
        for event in self.events.end(answer):
            self._add(event)
        return b""

    def result(self, _answer: Answer) -> list[bytes]:
        """Return the message in parts; meant for a reading that is done and has no fault."""
        parts: list[bytes] = []
        content = [block.members for block in self._blocks.values()]
        write({**self._message, "content": content, "usage": self._usage}, parts)
        return parts

    def _add(self, event: Event) -> None:
        kind, told = event[0], members(Raw(event[1]))
        place = bytes(told.get("index", NULL))
        match kind:
            case "message_start":
                self._message |= members(told.get("message", NULL))
                self._usage |= members(self._message_usage())
            case "content_block_start":
                self.note(_BLOCK_TAKES)
                self._blocks[place] = _Block({**members(told.get("content_block", NULL))})
            case "content_block_delta":
                self._blocks[place].add(members(told.get("delta", NULL)))
            case "message_delta":
                self._message |= members(told.get("delta", NULL))
                self._usage |= members(told.get("usage", NULL))
                self._seal()
            case _:
                pass

    def _seal(self) -> None:
        """Leave out calls that were cut off with the answer; any other has its arguments whole."""
        for place, block in list(self._blocks.items()):
            if not block.seal():
                if self._message.get("stop_reason") not in _CUT:
                    raise JoinError("the arguments of a call are no JSON object")
                del self._blocks[place]

    def _message_usage(self) -> Raw:
        usage = self._message.get("usage")
        return usage if isinstance(usage, Raw) else NULL


def write_body(reply: Reply) -> AnswerWriter:
    """Return what writes the answer to a request that wants no stream."""
    return AnswerWriter(events=events_of(reply))
