"""An answer as the lines of JSON that a client of Ollama's reads, or as one object.

Texts go out as they come. A call of a tool has no pieces here: all of them are told once the answer
ends, with their arguments as objects. Durations that nobody measured are left out.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import Raw

from exo_supervisor.wire.chat.arguments import CUT
from exo_supervisor.wire.chat.gathered import Gathered
from exo_supervisor.wire.chat.piece import Answer, Frame, JoinError, Piece, WriteTexts
from exo_supervisor.wire.chat.said import said_in
from exo_supervisor.wire.dialect import Reply
from exo_supervisor.wire.lenient_json import dumps, members
from exo_supervisor.wire.ollama.framing import created_at
from exo_supervisor.wire.openai.calls import Calls, calls_of
from exo_supervisor.wire.openai.merged import write
from exo_supervisor.wire.untrusted_json import UNREADABLE

_REASONS: Final = {"tool_calls": "stop", "function_call": "stop"}
_input = msgspec.json.Decoder(dict[str, Raw])


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class _Lines(Gathered):
    """What a stream and a whole answer have in common; `generates`: as /api/generate says it."""

    reply: Reply
    generates: bool = False

    _calls: Calls = field(default_factory=Calls, init=False)
    _finish: str = field(default="", init=False)

    hold = Gathered.note
    """Counts what is held of an answer, by a stream, too, which notes no event."""

    def hear(self, piece: Piece) -> tuple[bytes, bytes]:
        """Take a piece in, and return its text and its thought as JSON strings."""
        if calls := calls_of(piece):
            self.hold(len(piece.raw))
        for told in calls:
            self._calls.add(told)
        self._finish = piece.finish or self._finish
        said = said_in(piece.delta)
        text = "".join(words for kind, words in said if kind != "thought")
        return dumps(text), dumps("".join(words for kind, words in said if kind == "thought"))

    def line(
        self, answer: Answer, text: bytes, thought: bytes = b'""', *, calls: bytes = b"",
        more: bytes = b',"done":false',
    ) -> bytes:  # fmt: skip
        """Write one line; `more` stands behind what is said."""
        model = msgspec.json.encode(answer.served_model or self.reply.model)
        created = msgspec.json.encode(created_at(self.reply))
        thinking = b"" if thought == b'""' else b',"thinking":%b' % thought
        said = b'"response":%b%b' % (text, thinking)
        if not self.generates:
            said = b'"message":{"role":"assistant","content":%b%b%b}' % (text, thinking, calls)
        return b'{"model":%b,"created_at":%b,%b%b}\n' % (
            model, created, said, more,
        )  # fmt: skip

    def calls(self) -> bytes:
        """Write the calls of tools as a member, nothing where there is none. Raises JoinError."""
        told = [_call(call) for call in self._calls.whole()]
        if not all(told):
            if self._finish not in CUT:
                raise JoinError("the arguments of a call are no JSON object")
            told = [call for call in told if call]  # one that was cut off with the answer
        return b',"tool_calls":%b' % msgspec.json.encode(told) if told else b""

    def ending(self, answer: Answer) -> bytes:
        """Write what the last line says behind the rest."""
        reason = _REASONS.get(self._finish, self._finish)
        counts = b',"eval_count":%d' % answer.tokens
        if answer.usage is not None:
            prompt, completion = answer.usage.prompt_tokens, answer.usage.completion_tokens
            counts = b',"prompt_eval_count":%d,"eval_count":%d' % (prompt, completion)
        done = b',"done":true,"done_reason":%b' % msgspec.json.encode(reason)
        return done + counts + self.reply.mark


class LineWriter(_Lines):
    """Writes pieces as lines, as they come; calls of tools are held, for they are told whole."""

    __slots__ = ()

    def note(self, size: int) -> None:
        """Count no event: what was written is gone."""

    def take(self, piece: Piece, answer: Answer) -> bytes:
        """Write what is said; the end of the answer has a line of its own."""
        if self.reply.transcript is not None:
            self.reply.transcript.note(piece)
        text, thought = self.hear(piece)
        if text == thought == b'""':
            return b""
        return self.line(answer, text, thought)

    def plain(self, piece: Piece, answer: Answer, mark: bytes, _size: int) -> WriteTexts | None:
        """Return what writes around each text what a line has around `mark`."""
        if self.reply.transcript is not None:
            return None
        return Frame(self.line(answer, *self.hear(piece)), mark, blanks=False)

    def end(self, answer: Answer) -> bytes:
        """Write the last line, and before it the calls of tools."""
        calls = self.calls()
        told = self.line(answer, b'""', calls=calls) if calls else b""
        return told + self.line(answer, b'""', more=self.ending(answer))

    def result(self, _answer: Answer) -> list[bytes]:
        """Return nothing: all of it was streamed."""
        return []


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class ObjectWriter(_Lines):
    """Gathers the pieces of an answer for a client that did not stream."""

    _texts: list[bytes] = field(default_factory=list, init=False)
    _thoughts: list[bytes] = field(default_factory=list, init=False)

    def take(self, piece: Piece, _answer: Answer) -> bytes:
        """Add what one piece says; returns no bytes, since the client gets them at the end."""
        text, thought = self.hear(piece)
        self._texts.append(text[1:-1])
        self._thoughts.append(thought[1:-1])
        return b""

    def end(self, _answer: Answer) -> bytes:
        """Return no bytes: the answer is `result()`."""
        self.calls()
        return b""

    def result(self, answer: Answer) -> list[bytes]:
        """Return the whole answer; meant for a reading that is done and has no fault."""
        text, thought = (b'"%b"' % b"".join(each) for each in (self._texts, self._thoughts))
        return [self.line(answer, text, thought, calls=self.calls(), more=self.ending(answer))]


def _call(call: dict[str, object]) -> dict[str, object] | None:
    """Return a call with its arguments as an object, None where they are none."""
    parts: list[bytes] = []
    write(call.get("function"), parts)
    function = members(Raw(b"".join(parts)))
    try:
        text = msgspec.json.decode(function.get("arguments", Raw(b'""')), type=str) or "{}"
        _input.decode(text)
    except UNREADABLE:
        return None
    told = {"name": function.get("name", Raw(b'""')), "arguments": Raw(text.encode())}
    return {"id": call.get("id"), "function": told}
