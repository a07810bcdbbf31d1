"""Reading an answer of Messages that came whole."""

from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import Raw

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.anthropic.reader import EventReader
from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.chat.whole_body import WholeBody, WholeReader
from exo_supervisor.wire.lenient_json import aside, members
from exo_supervisor.wire.untrusted_json import UNREADABLE, check_utf8

_MOST_OBJECTS: Final = 100_000
_ENDING: Final = ("stop_reason", "stop_sequence", "stop_details")
_GROWING: Final = {
    b'"text"': (("text", "text_delta"),),
    b'"thinking"': (("thinking", "thinking_delta"), ("signature", "signature_delta")),
}
"""Members of a block that a stream tells in pieces, and the deltas that tell them."""

Event = dict[str, object]

_list = msgspec.json.Decoder(list[Raw])


@dataclass(slots=True, eq=False, repr=False)
class BodyReader(WholeReader, EventReader):
    """Makes pieces of one message, as if it had been streamed, once all of it is here."""

    _body: WholeBody = field(default_factory=WholeBody, init=False)

    @property
    def gathered(self) -> WholeBody:
        """What came so far."""
        return self._body

    def read_body(self, body: bytes) -> bytes:
        """Read all of it and return what a streaming client gets."""
        if not body.strip():
            self.fail(Fault.EMPTY, "the answer was empty")
        elif body.count(b"{") > _MOST_OBJECTS:
            self.fail(Fault.OVERSIZED, f"the answer holds more than {_MOST_OBJECTS} objects")
        else:
            return self._read_message(body)
        return b""

    def _read_message(self, body: bytes) -> bytes:
        try:
            check_utf8(body)
            told = members(Raw(body))
            if told.get("error", NULL) != NULL:
                self.read_error(aside(Raw(body)))
                return b""
            events = _events(told)
        except UNREADABLE:
            self.fail(Fault.PAYLOAD, "the answer is not valid JSON of a message")
            return b""
        written = b"".join(self._told(event) for event in events)
        return b"" if self.fault is not None else written

    def _told(self, event: Event) -> bytes:
        return b"" if self.fault is not None else self.read_event(msgspec.json.encode(event))


def _events(told: dict[str, Raw]) -> list[Event]:
    """Return a message as the events of a stream; raises one of UNREADABLE."""
    blocks = [members(raw) for raw in _list.decode(told.get("content", NULL))]
    ending = {name: told[name] for name in _ENDING if name in told}
    message: Event = {**told, "content": (), **dict.fromkeys(ending)}
    events: list[Event] = [{"type": "message_start", "message": message}]
    for index, block in enumerate(blocks):
        start, deltas = _taken_apart(block)
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        told_of: Event = {"type": "content_block_delta", "index": index}
        events += [told_of | {"delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    usage = told.get("usage", NULL)
    last: Event = {"type": "message_delta", "delta": ending}
    if usage != NULL:
        last["usage"] = usage
    return [*events, last, {"type": "message_stop"}]


def _taken_apart(block: dict[str, Raw]) -> tuple[Event, list[Event]]:
    """Return what starts a block, and what adds the rest; others than these are told at once."""
    kind = bytes(block.get("type", NULL))
    if kind == b'"tool_use"':
        text = bytes(block.get("input", NULL)).decode()
        return {**block, "input": Event()}, [{"type": "input_json_delta", "partial_json": text}]
    growing = [(name, of) for name, of in _GROWING.get(kind, ()) if name in block]
    empty: Event = {**block, **{name: "" for name, _ in growing}}
    return empty, [{"type": of, name: block[name]} for name, of in growing]
