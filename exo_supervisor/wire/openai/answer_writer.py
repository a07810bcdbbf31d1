"""An answer as the one JSON object that a client of OpenAI's dialect gets that did not stream."""

from dataclasses import dataclass, field
from typing import ClassVar

import msgspec
from msgspec import Raw

from exo_supervisor.wire.chat.piece import (
    NULL,
    Answer,
    JoinError,
    OversizedAnswerError,
    Piece,
    WriteTexts,
    counted,
)
from exo_supervisor.wire.lenient_json import members
from exo_supervisor.wire.openai.calls import Calls, FunctionCall, call_pieces
from exo_supervisor.wire.openai.merged import NOTHING, Merged, write

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Bytes of the events of an answer that is gathered, at most."""
_NAME_TAKES = 512
"""Bytes of memory that a member's name takes over its JSON, about."""

_TEXTS = frozenset({"content", "reasoning_content", "reasoning", "refusal"})
_SAID = frozenset({"role", "content"})
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
        calls = told.pop("tool_calls", NULL)
        new = 0 if calls == NULL else sum(map(self.calls.add, call_pieces(calls)))
        if function := members(told.pop("function_call", NULL)):
            self.function = self.function or FunctionCall()
            new += self.function.add(function)
        new += self.audio.add(members(told.pop("audio", NULL)))
        return new + self.message.add(told)

    def write(self, into: list[bytes]) -> None:
        """Write the message, and what stands behind it."""
        message: dict[str, object] = {"role": "assistant", "content": None}
        message |= self.message.whole()
        if audio := self.audio.whole():
            message["audio"] = audio
        if self.calls:
            message["tool_calls"] = self.calls.whole()
            message["content"] = message["content"] or None
        if self.function:
            message["function_call"] = self.function.whole()
        write(message, into)
        into.append(b',"logprobs":')
        write(self.logprobs.whole() or None, into)
        into.append(b',"finish_reason":%b}' % msgspec.json.encode(self.finish))


@dataclass(slots=True, kw_only=True)
class AnswerWriter:
    """Gathers the pieces of an answer whose events have at most `most_bytes` in all.

    `model` is shown where the upstream names none.
    """

    id: str
    created: int
    model: str = ""
    most_bytes: int = MAX_ANSWER_BYTES

    native: ClassVar[str] = ""

    held: int = field(default=0, init=False)
    _told: dict[int, _Told] = field(default_factory=dict[int, _Told], init=False)

    def take(self, piece: Piece, _answer: Answer) -> bytes:
        """Add what one piece says; returns no bytes, since the client gets them at the end."""
        told = self._told.get(piece.index)
        if told is None:
            told = self._told[piece.index] = _Told()
        new = told.add(members(piece.raw))
        if piece.logprobs != NULL:
            new += told.logprobs.add(members(piece.logprobs))
        told.finish = piece.finish or told.finish
        self.note(new * _NAME_TAKES)
        return b""

    def plain(self, piece: Piece, _answer: Answer, _mark: bytes, size: int) -> WriteTexts | None:
        """Return what adds texts to the content of a choice that has some."""
        content = self._told[piece.index].message.grown.get("content")
        others = members(piece.raw).items()
        if content is None or any(
            name not in _SAID and bytes(raw) not in NOTHING for name, raw in others
        ):
            return None

        def add(texts: list[bytes]) -> bytes | None:
            held = self.held + size * len(texts) + sum(map(len, texts))
            if held > self.most_bytes:
                return None  # which of them is one too many is told by taking them one by one
            self.held = held
            for text in texts:
                content.add(text)
            return b""

        return add

    def note(self, size: int) -> None:
        """Count the bytes of an event, or of what is kept for a name."""
        self.held += size
        if self.held > self.most_bytes:
            raise OversizedAnswerError(f"the answer is larger than {self.most_bytes} bytes")

    def end(self, _answer: Answer) -> bytes:
        """Return no bytes: the answer is `result()`."""
        return b""

    def result(self, answer: Answer) -> list[bytes]:
        """Return the whole answer in parts; meant for a reading that is done and has no fault.

        An upstream that told no usage gets its completion's content chunks counted.
        """
        model = msgspec.json.encode(answer.served_model or self.model)
        head = b'{"id":%b,"created":%d,"model":%b,"choices":['
        parts = [head % (msgspec.json.encode(self.id), self.created, model)]
        for number, (index, told) in enumerate(sorted(self._told.items())):
            parts.append(b'%b{"index":%d,"message":' % (b"," if number else b"", index))
            told.write(parts)
        usage = answer.usage_text or counted(answer.tokens)
        tail = b'],"usage":%b,"object":"chat.completion"%b}'
        parts.append(tail % (usage, answer.extras.take()))
        return parts
