"""Reading an answer of OpenAI's dialect that came whole.

The upstream was asked to stream and answered with one JSON object instead.
"""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.bounds import MAX_CHOICES
from exo_supervisor.wire.chat.piece import NULL, JoinError, OversizedAnswerError, Piece, values
from exo_supervisor.wire.chat.reader import JOINS_NOT
from exo_supervisor.wire.chat.whole_body import WholeBody, WholeReader
from exo_supervisor.wire.exo.traits import PROVIDER
from exo_supervisor.wire.lenient_json import NO_CHANCE, aside, loads, members, written
from exo_supervisor.wire.openai.answer_writer import AnswerWriter
from exo_supervisor.wire.openai.around import AroundReader
from exo_supervisor.wire.openai.calls import call_pieces
from exo_supervisor.wire.openai.chunk import (
    MAX_CHUNK_OBJECTS,
    SMALL,
    Around,
    Choice,
    LooseChoices,
    read_parts,
    read_piece,
)
from exo_supervisor.wire.openai.template import decode_text
from exo_supervisor.wire.untrusted_json import UNREADABLE, as_list, as_object

_ENDS: Final = frozenset({"stop", "length"})
"""How an answer ends that is whole with its text."""
_UNTOLD: Final = (NULL, Raw(b"[]"))
"""Members of a message that no client gets who does not stream."""
_CONTENT: Final = (b'"', b"[", b"n")
"""How a content begins: a text, a list, or null."""
_LF, _CR = b"\n\r"
_MOST_VALUES = MAX_CHUNK_OBJECTS
"""Objects of a whole answer, and values of one message: each takes many times its bytes."""

_TOO_MANY = f"the answer holds more than {_MOST_VALUES} values"


class _Choice(Choice, gc=False):
    message: Raw = NULL


_ONE_LINE = bytes(0x20 if byte in b"\r\n" else byte for byte in range(256))


class _Message(Struct, gc=False, forbid_unknown_fields=True):
    """A message as far as it may be one text and no more; what else it has is read in full."""

    content: Raw
    role: Literal["assistant"] | None = None
    refusal: None = None
    function_call: None = None
    audio: None = None
    annotations: Raw = NULL
    tool_calls: Raw = NULL
    reasoning_content: Raw = NULL
    reasoning: Raw = NULL


class _OneText(Choice, gc=False, kw_only=True):
    message: _Message


_Choices = Annotated[list[_Choice], Meta(max_length=MAX_CHOICES)]
_choices = msgspec.json.Decoder(_Choices | None).decode
_texts = msgspec.json.Decoder(list[_OneText]).decode


@dataclass(slots=True, eq=False, repr=False)
class BodyReader(WholeReader, AroundReader):
    """Makes a piece of each choice of one `chat.completion`, once all of it is here."""

    what: ClassVar[str] = "a chat completion"

    _body: WholeBody = field(default_factory=WholeBody, init=False)

    @property
    def gathered(self) -> WholeBody:
        """What came so far."""
        return self._body

    def read_body(self, body: bytes) -> bytes:
        """Read all of it and return what a streaming client gets, `[DONE]` included."""
        if not body.strip():
            self.fail(Fault.EMPTY, "the answer was empty")
            return b""
        if len(body) > _MOST_VALUES and body.count(b"{") > _MOST_VALUES:
            self.fail(Fault.OVERSIZED, _TOO_MANY)
            return b""
        try:
            if self._takes_text(body):
                return b""
            around, pieces = self.parse(body)
            if around.get("error", NULL) != NULL:
                self.read_error({"error": aside(around["error"])})
                return b""
        except OversizedAnswerError as error:
            self.fail(Fault.OVERSIZED, str(error))
            return b""
        except JoinError:
            self.fail(Fault.MALFORMED, JOINS_NOT)
            return b""
        except UNREADABLE:
            return self._unreadable()
        if len(pieces) > 1 and len({piece.index for piece in pieces}) < len(pieces):
            return self._unreadable()
        self.read_around(around)
        self.extras.owe()
        return self._take_all(pieces, len(body))

    def _takes_text(self, body: bytes) -> bool:
        """Say whether the writer took an answer that is one text and no more.

        Nearly all are. The text is copied at once, and what `take` and `end` would find of such a
        piece is known; all else, and whatever is odd, is judged and joined in full.
        """
        writer, size = self.writer, len(body)
        if self.choices > 1 or self._adapts or self.traits is not PROVIDER or size > SMALL:
            return False
        if not isinstance(writer, AnswerWriter):
            return False
        try:
            around, choices = read_parts(body)
            found = _only_text(_texts(choices))
        except UNREADABLE:
            return False
        if found is None or around.get("error", NULL) != NULL:
            return False
        if not writer.take_text(*found, size):
            return False
        if _LF in body or _CR in body:
            around = {name: Raw(bytes(raw).translate(_ONE_LINE)) for name, raw in around.items()}
        self.read_around(around)
        self.extras.owe()
        if self.fault is None:
            self.tokens = self.progressed = 1
            self.content = self.finished = self.done = True
        return True

    def parse(self, body: bytes) -> tuple[Around, list[Piece]]:
        """Return what stands around the choices, and their pieces.

        Raises JoinError, OversizedAnswerError, or one of UNREADABLE.
        """
        around, choices = _read(body)
        if around.get("error", NULL) != NULL:
            return around, []
        if any(map(_is_huge, choices)):
            raise OversizedAnswerError(_TOO_MANY)
        return around, [_piece(choice) for choice in choices]

    def _take_all(self, pieces: list[Piece], size: int) -> bytes:
        told: list[bytes] = []
        try:
            self.writer.note(size)
            told += [self.take(piece) for piece in pieces if self.fault is None]
        except OversizedAnswerError as error:
            self.fail(Fault.OVERSIZED, str(error))
        except (JoinError, *UNREADABLE):
            self.fail(Fault.MALFORMED, JOINS_NOT)
        if not self.done and self.fault is None:
            told.append(self.end())
        return b"".join(told) if self.fault is None else b""

    def _unreadable(self) -> bytes:
        self.fail(Fault.PAYLOAD, f"the answer is not valid JSON of {self.what}")
        return b""


def _in_one_line(body: bytes) -> tuple[Around, Raw]:
    """Tell the choices from what stands around them, all of it on one line.

    Line ends stand between the tokens of valid JSON only; it is copied into one line of our own
    stream. Raises OversizedAnswerError, or one of UNREADABLE.
    """
    parts = read_parts(body)
    if _LF in body or _CR in body:
        return read_parts(body.translate(_ONE_LINE))
    return parts


def _is_huge(choice: _Choice) -> bool:
    return len(choice.message) > _MOST_VALUES and values(choice.message) > _MOST_VALUES


def _only_text(choices: list[_OneText]) -> tuple[bytes, str] | None:
    """Return the text, as JSON, and the end of an answer that tells, or may tell, nothing else.

    Raises one of UNREADABLE where it is odd.
    """
    if len(choices) != 1:
        return None
    choice, message = choices[0], choices[0].message
    if choice.index or choice.finish_reason not in _ENDS or _has_more(message):
        return None
    if not choice.logprobs == NULL == choice.native_finish_reason:
        return None
    text = bytes(message.content)
    return (text, choice.finish_reason) if decode_text(text) else None


def _has_more(message: _Message) -> bool:
    """Say whether a message has more than a text; in most no other member was told at all."""
    return not (
        message.annotations in _UNTOLD
        and message.tool_calls in _UNTOLD
        and message.reasoning_content in _UNTOLD
        and message.reasoning in _UNTOLD
    )


def _read(body: bytes) -> tuple[Around, list[_Choice]]:
    """Read it, leniently where it is only nearly right; raises as `parse` does."""
    try:
        around, choices = _in_one_line(body)
        return around, _choices(choices) or []
    except msgspec.DecodeError:
        return _read_leniently(body)


def _read_leniently(body: bytes) -> tuple[Around, list[_Choice]]:
    found = loads(body)
    loose = msgspec.convert(found, LooseChoices).choices or []
    fields = as_object(found)
    told = map(as_object, as_list(fields.pop("choices", None)))
    choices = [
        _Choice(
            index=read.index or 0,
            message=Raw(written(choice.get("message"))),
            finish_reason=read.finish_reason,
            logprobs=Raw(written(choice.get("logprobs"), NO_CHANCE)),
            native_finish_reason=Raw(written(choice.get("native_finish_reason"))),
        )
        for read, choice in zip(loose, told, strict=True)
    ]
    return {name: Raw(written(value)) for name, value in fields.items()}, choices


def _piece(choice: _Choice) -> Piece:
    """Return a choice as one piece; raises JoinError, or one of UNREADABLE."""
    message = {} if choice.message == NULL else _object(choice.message)
    if bytes(message.get("content", NULL))[:1] not in _CONTENT:
        raise JoinError("content that is neither text nor a list")
    delta: dict[str, object] = {name: raw for name, raw in message.items() if raw != NULL}
    raw = choice.message
    if "tool_calls" in delta:
        delta["tool_calls"] = [
            {"index": place, **call}
            for place, call in enumerate(call_pieces(message["tool_calls"]))
        ]
        raw = NULL
    if raw == NULL or len(delta) < len(message):
        raw = Raw(msgspec.json.encode(delta))
    choice.delta = raw
    return read_piece(choice)


def _object(raw: Raw) -> dict[str, Raw]:
    if not bytes(raw).startswith(b"{"):
        raise msgspec.DecodeError("not an object")
    return members(raw)
