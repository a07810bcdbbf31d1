"""An answer as the events of a Messages stream, made of pieces or copied from another one."""

from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.wire.anthropic.blocks import Blocks, Event
from exo_supervisor.wire.chat.piece import NULL, Answer, Piece, read_name
from exo_supervisor.wire.dialect import Reply
from exo_supervisor.wire.lenient_json import members

DIALECT: Final = "anthropic"
_STOP_REASONS = {"length": "max_tokens", "content_filter": "refusal"}
_END = ("message_stop", b'{"type":"message_stop"}')


class _Typed(Struct):
    type: str


_typed = msgspec.json.Decoder(_Typed)


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Events:
    """Makes the events of one answer.

    `name` is the request's; `model` is shown where the upstream names none. With `joined`, the
    client has a part of a text from another upstream. `mark` is put beside the stop reason.
    """

    name: str
    model: str
    joined: bool = False
    mark: bytes = b""

    blocks: Blocks = field(init=False)
    copied: bool = field(default=False, init=False)
    """Whether the upstream speaks Messages, too, and its events are passed on."""
    _begun: bool = field(default=False, init=False)
    _finish: str = field(default="", init=False)
    _refused: bool = field(default=False, init=False)
    _last: Event = field(default=_END, init=False)

    def __post_init__(self) -> None:
        self.blocks = Blocks(name=self.name, begun=self.joined)
        self._begun = self.joined

    def take(self, piece: Piece, answer: Answer) -> list[Event]:
        """Return the events of one piece. Raises JoinError and OversizedAnswerError."""
        if piece.native:
            self.copied = True
            return self._copy(piece.native, answer)
        self._finish = piece.finish or self._finish
        self._refused = self._refused or bool(piece.delta.refusal)
        return self._start(answer) + self.blocks.take(piece)

    def end(self, answer: Answer) -> list[Event]:
        """Return the events that end a whole answer."""
        if self.copied:
            return [self._last]
        delta = msgspec.json.encode({"stop_reason": self._stop_reason(), "stop_sequence": None})
        told = b'{"type":"message_delta","delta":%b,"usage":%b%b}' % (
            delta, msgspec.json.encode(_usage(answer)), self.mark,
        )  # fmt: skip
        start, blocks = self._start(answer), self.blocks.close()
        return [*start, *blocks, ("message_delta", told), self._last]

    def _start(self, answer: Answer) -> list[Event]:
        if self._begun:
            return []
        self._begun = True
        message: dict[str, object] = {
            "id": f"msg_{self.name}",
            "type": "message",
            "role": "assistant",
            "model": answer.served_model or self.model,
            "content": (),
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, **_usage(answer), "output_tokens": 0},
        }
        told = msgspec.json.encode({"type": "message_start", "message": message})
        return [("message_start", told)]

    def _copy(self, data: bytes, answer: Answer) -> list[Event]:
        """Pass an event on as it came, but for the names of the message and of who made it."""
        kind = _kind_of(data)
        if kind == "message_stop":  # kept until the answer is known to be whole
            self._last = (kind, data)
            return []
        if kind != "message_start":
            return [(kind, data)]
        event = members(Raw(data))
        ours = {
            "id": Raw(msgspec.json.encode(f"msg_{self.name}")),
            "model": Raw(msgspec.json.encode(answer.served_model or self.model)),
        }
        event["message"] = Raw(msgspec.json.encode(members(event.get("message", NULL)) | ours))
        return [(kind, msgspec.json.encode(event))]

    def _stop_reason(self) -> str:
        """Say why it ended: a cut answer is none that waits for its tools, whatever it holds."""
        if self._refused:
            return "refusal"
        calls = "tool_use" if self.blocks.calls_made else "end_turn"
        return _STOP_REASONS.get(self._finish, calls)


def events_of(reply: Reply) -> Events:
    """Return what makes the events of a request's answer."""
    return Events(name=reply.request, model=reply.model, joined=reply.joined, mark=reply.mark)


def _kind_of(data: bytes) -> str:
    try:
        return _typed.decode(data).type
    except msgspec.DecodeError:  # half a character in a text, which goes on as it came
        return read_name(members(Raw(data)).get("type", NULL)) or ""


def _usage(answer: Answer) -> dict[str, object]:
    """Return the counts as Messages tells them: its input is without what came from the cache."""
    usage = answer.usage
    if usage is None:
        return {"output_tokens": answer.tokens}
    fresh = usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens
    return {
        "input_tokens": max(0, fresh),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
    }
