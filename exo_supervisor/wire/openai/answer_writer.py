"""One upstream answer as the one JSON object that a client gets which did not stream."""

from dataclasses import dataclass, field
from typing import cast

import msgspec
from msgspec import Raw

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.piece import NULL, Choice, Delta, counted
from exo_supervisor.wire.openai.calls import Calls, FunctionCall
from exo_supervisor.wire.openai.lenient import dumps, loads, members
from exo_supervisor.wire.openai.merged import NOTHING, JoinError, Merged, write
from exo_supervisor.wire.openai.reader import Reading

_MOST_BYTES = 64 * 1024 * 1024
_NAME_TAKES = 512
"""Bytes of memory that a member's name takes over its JSON, about."""

_calls = msgspec.json.Decoder(list[dict[str, Raw]] | None)

_TEXTS = frozenset({"content", "reasoning_content", "reasoning", "refusal"})
_AUDIO_TEXTS = frozenset({"data", "transcript"})


@dataclass(slots=True)
class _Told:
    """One choice as its chunks have told it so far."""

    message: Merged = field(default_factory=lambda: Merged(_TEXTS))
    calls: Calls = field(default_factory=Calls)
    function: FunctionCall | None = None
    audio: Merged = field(default_factory=lambda: Merged(_AUDIO_TEXTS))
    logprobs: Merged = field(default_factory=Merged)
    finish: str | None = None

    def add(self, told: dict[str, Raw]) -> int:
        """Add the members of a delta; returns how many names and calls are new.

        Raises JoinError.
        """
        told.pop("role", None)
        content = bytes(told.get("content", NULL))
        if not content.startswith((b'"', b"[")) and content not in NOTHING:
            raise JoinError("a piece of the content that is neither text nor a list")
        new = sum(map(self.calls.add, _pieces(told.pop("tool_calls", NULL))))
        if function := members(told.pop("function_call", NULL)):
            self.function = self.function or FunctionCall()
            new += self.function.add(function)
        new += self.audio.add(members(told.pop("audio", NULL)))
        return new + self.message.add(told)

    def whole(self, index: int) -> dict[str, object]:
        message: dict[str, object] = {"role": "assistant", "content": None}
        message |= self.message.whole()
        if audio := self.audio.whole():
            message["audio"] = audio
        if self.calls:
            message["tool_calls"] = self.calls.whole()
            message["content"] = message["content"] or None
        if self.function:
            message["function_call"] = self.function.whole()
        return {
            "index": index,
            "message": message,
            "logprobs": self.logprobs.whole() or None,
            "finish_reason": self.finish,
        }


def _pieces(calls: Raw) -> list[dict[str, Raw]]:
    """Return the pieces of calls in one delta; raises one of UNREADABLE."""
    try:
        return _calls.decode(calls) or []
    except msgspec.DecodeError:
        found = cast("list[object]", loads(calls))
        return [members(Raw(dumps(call))) for call in found]


@dataclass(slots=True, kw_only=True)
class Aggregate(Reading):
    """Gathers an upstream's events into one answer of at most `most_bytes`."""

    most_bytes: int = _MOST_BYTES
    _told: dict[int, _Told] = field(default_factory=dict[int, _Told], init=False)
    _size: int = field(default=0, init=False)

    @property
    def held(self) -> int:
        """Return how many bytes of the answer are held here."""
        return self._size + self._sse.held

    def read_event(self, data: bytes, event: bytes = b"") -> bytes:
        """Take one event's data, all of which counts towards the bound."""
        self._grow(len(data))
        return b"" if self.fault is not None else Reading.read_event(self, data, event)

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self.most_bytes:
            self.fail(Fault.OVERSIZED, f"the answer is larger than {self.most_bytes} bytes")

    def take(self, choice: Choice, delta: Delta) -> bytes:
        """Add what one chunk says; returns no bytes, since the client gets them at the end."""
        told = self._told.get(choice.index or 0)
        if told is None:
            told = self._told[choice.index or 0] = _Told()
        if self.generation == "A":
            new = told.add({"content": Raw(dumps(delta.content))})
        else:
            new = told.add(members(choice.delta))
        new += told.logprobs.add(members(choice.logprobs))
        told.finish = choice.finish_reason or told.finish
        self._grow(new * _NAME_TAKES)
        return b""

    def end(self) -> bytes:
        """Return no bytes: the answer is `result()`."""
        return b""

    def result(self) -> list[bytes]:
        """Return the whole answer in parts; meant for a reading that is done and has no fault.

        An upstream that told no usage gets its completion's content chunks counted.
        """
        usage = self.usage_text() or counted(self.tokens)
        parts: list[bytes] = []
        whole: dict[str, object] = {
            "id": self.id,
            "created": self.created,
            "model": self.served_model or self.model or self.asked,
            "choices": [told.whole(index) for index, told in sorted(self._told.items())],
            "usage": Raw(usage),
            "object": "chat.completion",
        }
        write(whole, parts)
        parts[-1] = b"%b}" % self._extras.take()
        return parts
