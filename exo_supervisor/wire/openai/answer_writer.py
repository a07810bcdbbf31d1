"""An answer as the one JSON object that a client of OpenAI's dialect gets that did not stream."""

from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

from exo_supervisor.wire.chat.gathered import Gathered
from exo_supervisor.wire.chat.piece import (
    NULL,
    Answer,
    Piece,
    WriteTexts,
    counted,
)
from exo_supervisor.wire.lenient_json import members
from exo_supervisor.wire.openai.calls import Calls, FunctionCall, call_pieces
from exo_supervisor.wire.openai.merged import Grown, Merged, write

_NAME_TAKES = 512
"""Bytes of memory that a member's name takes over its JSON, about."""

_encode = msgspec.json.Encoder().encode
_TEXTS = frozenset({"content", "reasoning_content", "reasoning", "refusal"})
_AUDIO_TEXTS = frozenset({"data", "transcript"})

_BEFORE_ONE = b'{"index":0,"message":{"role":"assistant","content":'
_BEHIND_ONE = b'},"logprobs":null,"finish_reason":"'


class _Rest:
    """What a choice tells beside the text of its message; most tell nothing."""

    __slots__ = ("audio", "calls", "function", "message")

    def __init__(self) -> None:
        self.message = Merged(_TEXTS)
        self.calls = Calls()
        self.function: FunctionCall | None = None
        self.audio = Merged(_AUDIO_TEXTS)

    def add(self, told: dict[str, Raw]) -> int:
        """Add the members of a delta; returns how many names and calls are new.

        Raises JoinError.
        """
        calls = told.pop("tool_calls", NULL)
        new = 0 if calls == NULL else sum(map(self.calls.add, call_pieces(calls)))
        if function := members(told.pop("function_call", NULL)):
            self.function = self.function or FunctionCall()
            new += self.function.add(function)
        new += self.audio.add(members(told.pop("audio", NULL)))
        return new + self.message.add(told)

    def whole(self) -> dict[str, object]:
        """Return the members, for `write`."""
        message = self.message.whole()
        if audio := self.audio.whole():
            message["audio"] = audio
        if self.calls:
            message["tool_calls"] = self.calls.whole()
        if self.function:
            message["function_call"] = self.function.whole()
        return message


class _Told:
    """One choice as its chunks have told it so far."""

    __slots__ = ("content", "finish", "logprobs", "rest")

    def __init__(self) -> None:
        self.content: Grown | None = None
        self.rest: _Rest | None = None
        self.logprobs: Merged | None = None
        self.finish: str | None = None

    def add(self, piece: Piece) -> int:
        """Add a piece; returns how many names and calls are new. Raises JoinError."""
        told = members(piece.raw)
        told.pop("role", None)
        content = bytes(told.pop("content", NULL))
        new = self.add_content(content) if content[:1] in (b'"', b"[") else 0
        if told:
            self.rest = self.rest or _Rest()
            new += self.rest.add(told)
        if piece.logprobs != NULL:
            self.logprobs = self.logprobs or Merged()
            new += self.logprobs.add(members(piece.logprobs))
        self.finish = piece.finish or self.finish
        return new

    def add_content(self, content: bytes) -> int:
        """Add a JSON text, or list; returns 1 if it is the first."""
        new = 0
        if self.content is None and content != b"[]":
            self.content, new = Grown(), 1
        if self.content is not None:
            self.content.add(content)
        return new

    def text(self, name: str) -> Grown | None:
        """Return the text that a member of its deltas has told so far."""
        if name == "content":
            return self.content
        return None if self.rest is None else self.rest.message.grown.get(name)

    def write(self, into: list[bytes]) -> None:
        """Write the message, and what stands behind it."""
        content, rest = self.content, self.rest
        into.append(b'{"role":"assistant","content":')
        if content is None or (rest is not None and rest.calls and not content):
            into.append(b"null")
        else:
            content.write(into)
        for name, member in () if rest is None else rest.whole().items():
            into.append(b",%b:" % _encode(name))
            write(member, into)
        into.append(b'},"logprobs":')
        write((self.logprobs and self.logprobs.whole()) or None, into)
        into.append(b',"finish_reason":%b}' % _encode(self.finish))


@dataclass(slots=True, eq=False, repr=False)
class AnswerWriter(Gathered):
    """Gathers the pieces of an answer; `model` is shown where the upstream names none."""

    id: str
    created: int
    model: str = ""

    _told: dict[int, _Told] = field(init=False)
    _only: tuple[bytes, str] | None = field(default=None, init=False)
    """The text and the end of an answer that is no more."""

    def __post_init__(self) -> None:
        self._told = {}

    def take(self, piece: Piece, _answer: Answer) -> bytes:
        """Add what one piece says; returns no bytes, since the client gets them at the end."""
        told = self._told.get(piece.index)
        if told is None:
            told = self._told[piece.index] = _Told()
        new = told.add(piece)
        if new:
            self.note(new * _NAME_TAKES)
        return b""

    def add(self, text: bytes, finish: str | None) -> None:
        """Add a piece of the first choice that is a text, or b"", and its end, as `take` does."""
        told = self._told.get(0)
        if told is None:
            told = self._told[0] = _Told()
        told.finish = finish or told.finish
        if text and told.add_content(text):
            self.note(_NAME_TAKES)

    def take_text(self, text: bytes, finish: str, size: int, /) -> bool:
        """Take a whole answer of `size` bytes whose one piece is a text; False: it is too large."""
        held = self.held + size + _NAME_TAKES
        if held > self.most_bytes:
            return False
        self.held, self._only = held, (text, finish)
        return True

    def plain(self, piece: Piece, _answer: Answer, _mark: bytes, size: int) -> WriteTexts | None:
        """Return what adds texts to the content, or the thoughts, of a choice that has some."""
        grown = self._told[piece.index].text(piece.delta.only_text())
        if grown is None or piece.has_extras():
            return None
        around = size + len('""')

        def add(texts: list[bytes]) -> bytes | None:
            # No line feed stands in a JSON string: this takes out the quotes between two.
            inner = b"\n".join(texts)[1:-1].replace(b'"\n"', b"")
            held = self.held + around * len(texts) + len(inner)
            if held > self.most_bytes:
                return None  # which of them is one too many is told by taking them one by one
            self.held = held
            grown.add_text(inner)
            return b""

        return add

    def result(self, answer: Answer) -> list[bytes]:
        """Return the whole answer in parts; meant for a reading that is done and has no fault.

        An upstream that told no usage gets its completion's content chunks counted.
        """
        head = b'{"id":%b,"created":%d,"model":%b,"choices":[' % (
            _encode(self.id), self.created, _encode(answer.served_model or self.model),
        )  # fmt: skip
        usage, extras = answer.usage_text or counted(answer.tokens), answer.extras.take()
        tail = b'],"usage":%b,"object":"chat.completion"%b}' % (usage, extras)
        if self._only is not None:
            text, finish = self._only
            return [head + _BEFORE_ONE, text, b'%b%b"}%b' % (_BEHIND_ONE, finish.encode(), tail)]
        parts = [head]
        for number, (index, told) in enumerate(sorted(self._told.items())):
            parts.append(b'%b{"index":%d,"message":' % (b"," if number else b"", index))
            told.write(parts)
        parts.append(tail)
        return parts
