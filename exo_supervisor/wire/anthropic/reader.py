"""Reading an answer that an upstream streams as Messages.

Its events are read by their grammar: a message begins once, its blocks never overlap, and it ends
behind its last block. Whoever breaks that has lost a piece of the answer, or has made one up.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import Raw

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.anthropic.events import DIALECT
from exo_supervisor.wire.chat.piece import (
    NULL,
    Delta,
    JoinError,
    OversizedAnswerError,
    Piece,
    read_name,
)
from exo_supervisor.wire.chat.reader import JOINS_NOT
from exo_supervisor.wire.chat.stream_reader import StreamReader
from exo_supervisor.wire.chat.usage import read_reported
from exo_supervisor.wire.lenient_json import aside, dumps, members, read_object, value
from exo_supervisor.wire.untrusted_json import UNREADABLE, as_object, check_utf8

_FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "refusal": "content_filter",
}
"""A turn that pauses is not over: to a client that cannot let it go on, it was cut short."""
_PLAIN = frozenset({"text", "thinking", "tool_use"})
_COUNTS: Final = (
    "input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens",
)  # fmt: skip
_KEPT_1H: Final = "ephemeral_1h_input_tokens"
_THOUGHT: Final = "thinking_tokens"
_SIGNS = (b'"delta"', b'"content_block', b'"message_')
"""What stands in an event that may hold a piece of the answer, or its end."""


class _GrammarError(Exception):
    """An event that may not stand where it stands; the text repeats nothing of it."""


@dataclass(slots=True, eq=False, repr=False)
class EventReader(StreamReader):
    """Makes pieces of the events of a Messages stream."""

    _begun: bool = field(default=False, init=False)
    _open: int | None = field(default=None, init=False)
    _kind: str = field(default="", init=False)
    _count: int = field(default=0, init=False)
    _calls: int = field(default=0, init=False)
    _counts: dict[str, int] = field(default_factory=dict, init=False)

    def read_event(self, data: bytes, event: bytes = b"") -> bytes:
        """Take one event's data and return what the client gets for it."""
        if data.startswith(b"[DONE]"):  # some gateways end every stream so
            return self.end()
        data = data.replace(b"\n", b" ")
        try:
            self.writer.note(len(data))
            check_utf8(data)
            data, told = read_object(data)
            if not told:
                raise msgspec.DecodeError("an empty object")
            kind = read_name(told.get("type", NULL)) or event.decode()
            return self._read(kind, told, data)
        except OversizedAnswerError as error:
            self.fail(Fault.OVERSIZED, str(error))
        except _GrammarError as error:
            self.fail(Fault.MALFORMED, str(error))
        except JoinError:
            self.fail(Fault.MALFORMED, JOINS_NOT)
        except UNREADABLE:
            named = event not in (b"", b"ping")
            self.judge_malformed(event, lost=named or any(sign in data for sign in _SIGNS))
        return b""

    def _read(self, kind: str, told: dict[str, Raw], data: bytes) -> bytes:
        match kind:
            case "ping":
                return b""
            case "error":
                self.read_error(aside(Raw(data)))
                return b""
            case "message_start":
                piece = self._start(members(told.get("message", NULL)))
            case "content_block_start":
                piece = self._block(told)
            case "content_block_delta":
                self._inside(told)
                piece = self._delta(members(told.get("delta", NULL)))
            case "content_block_stop":
                self._inside(told)
                self._open, piece = None, Delta()
            case "message_delta":
                return self._ending(told, data)
            case "message_stop":
                return self._stop(data)
            case _:
                piece = Delta()  # of an event that we have never heard of
        return b"" if self.fault is not None else self._tell(piece, data)

    def _tell(self, delta: Delta, data: bytes, finish: str | None = None) -> bytes:
        # what is made to fit another target's answer is no copy of its event any more
        native = data if self.writer.native == DIALECT and not self._adapts else b""
        piece = Piece(delta, Raw(dumps(delta)), finish=finish, native=native)
        return self.take(piece) if piece.tells() else b""

    # ---------------------------------------------------------------- the message

    def _start(self, message: dict[str, Raw]) -> Delta:
        if self._begun:
            raise _GrammarError("a message began in the middle of another")
        self._begun = True
        model = message.get("model", NULL)
        self.read_model(read_name(model), named=model != NULL)
        self.read_id(message.get("id", NULL))
        self._count_tokens(message.get("usage", NULL))
        return Delta()

    def _ending(self, told: dict[str, Raw], data: bytes) -> bytes:
        if not self._begun or self._open is not None:
            raise _GrammarError("a message ended that had not begun, or had a block open")
        self._count_tokens(told.get("usage", NULL))
        reason = members(told.get("delta", NULL)).get("stop_reason", NULL)
        if reason == NULL:
            return self._tell(Delta(), data)
        return self._tell(Delta(), data, _FINISH.get(read_name(reason) or "", "stop"))

    def _stop(self, data: bytes) -> bytes:
        if not self.finished or self._open is not None:
            raise _GrammarError("a message ended without saying why")
        return self._tell(Delta(), data) + self.end()

    def _count_tokens(self, raw: Raw) -> None:
        """Take in the counts so far; those of an earlier event hold where they are not told."""
        told = as_object(aside(raw))
        self._counts |= _counts(told, _COUNTS)
        self._counts |= _counts(as_object(told.get("cache_creation")), (_KEPT_1H,))
        self._counts |= _counts(as_object(told.get("output_tokens_details")), (_THOUGHT,))
        if not self._counts:
            return
        fresh, cached, written, output = (self._counts.get(name, 0) for name in _COUNTS)
        prompt = fresh + cached + written
        details = {"cached_tokens": cached, "cache_write_tokens": written}
        usage: dict[str, object] = {
            "prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output,
        }  # fmt: skip
        if cached or written:
            usage["prompt_tokens_details"] = details
        if thought := self._counts.get(_THOUGHT, 0):
            usage["completion_tokens_details"] = {"reasoning_tokens": min(thought, output)}
        self.read_usage(Raw(msgspec.json.encode(usage)))
        kept, asked = self._counts.get(_KEPT_1H, 0), read_reported(raw)
        self.usage = self.usage and msgspec.structs.replace(
            self.usage, cache_write_1h_tokens=kept, reported_cost=asked
        )

    # ---------------------------------------------------------------- its blocks

    def _inside(self, told: dict[str, Raw]) -> None:
        """Raise _GrammarError unless an event is of the block that is open."""
        if self._open is None or _index(told) != self._open:
            raise _GrammarError("an event of a block that is not open")

    def _block(self, told: dict[str, Raw]) -> Delta:
        index = _index(told)
        if not self._begun or self.finished or self._open is not None or index != self._count:
            raise _GrammarError("a block began where none may begin")
        self._open, self._count = index, index + 1
        block = members(told.get("content_block", NULL))
        self._kind = read_name(block.get("type", NULL)) or ""
        if not self._kind:
            raise _GrammarError("a block of no type began")
        if self._kind == "tool_use":
            return self._call(block)
        if self._kind not in _PLAIN and self.writer.native == DIALECT:
            self.content = True  # a server's tool at work, or a sealed thought: it has begun
        return self._delta(block)

    def _call(self, block: dict[str, Raw]) -> Delta:
        """Begin a call; a few upstreams tell its whole input at once."""
        self._calls += 1
        given = block.get("input", NULL)
        at_once = bytes(given).translate(None, b" \t\r\n") not in (b"{}", b"null")
        function = {
            "name": value(block.get("name", NULL)),
            "arguments": bytes(given).decode() if at_once else "",
        }
        call: dict[str, object] = {
            "index": self._calls - 1,
            "id": value(block.get("id", NULL)),
            "type": "function",
            "function": function,
        }
        return Delta(tool_calls=[call])

    def _delta(self, told: dict[str, Raw]) -> Delta:
        """Return what a delta, or the start of a block, adds; of other blocks nothing is told."""
        match self._kind:
            case "text":
                return Delta(content=_said(told, "text"))
            case "thinking":
                return Delta(reasoning_content=_said(told, "thinking"))
            case "tool_use" if arguments := _said(told, "partial_json"):
                call: dict[str, object] = {
                    "index": self._calls - 1, "function": {"arguments": arguments},
                }  # fmt: skip
                return Delta(tool_calls=[call])
            case _:
                return Delta()


def _counts(told: dict[str, object], names: tuple[str, ...]) -> dict[str, int]:
    counts = ((name, told.get(name)) for name in names)
    return {name: count for name, count in counts if type(count) is int and count >= 0}


def _index(told: dict[str, Raw]) -> int:
    index = value(told.get("index", NULL))
    return index if type(index) is int else -1


def _said(told: dict[str, Raw], name: str) -> str | None:
    """Return a text of a delta, None where there is none."""
    text = value(told[name]) if name in told else None
    return text if isinstance(text, str) and text else None
