"""Reading an answer of OpenAI's dialect that came whole.

The upstream was asked to stream and answered with one JSON object instead.
"""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta, Raw, Struct

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.piece import NULL, JoinError, OversizedAnswerError, Piece, values
from exo_supervisor.wire.chat.reader import JOINS_NOT
from exo_supervisor.wire.chat.whole_body import MAX_BODY_BYTES, WholeBody
from exo_supervisor.wire.lenient_json import loads, members, written
from exo_supervisor.wire.openai.calls import call_pieces
from exo_supervisor.wire.openai.chunk import (
    MAX_CHUNK_OBJECTS,
    Choice,
    Chunk,
    LooseChoices,
    read_piece,
)
from exo_supervisor.wire.openai.reader import ChunkReader
from exo_supervisor.wire.untrusted_json import UNREADABLE, as_list, as_object

_MOST_VALUES = MAX_CHUNK_OBJECTS
"""Objects of a whole answer, and values of one message: each takes many times its bytes."""

_TOO_MANY = f"the answer holds more than {_MOST_VALUES} values"
_MOST_ASIDE = 64 * 1024
"""Bytes of what stands beside the choices, at most; what is longer is left out."""


class _Choice(Choice, gc=False):
    message: Raw = NULL


class _Whole(Struct):
    model: Raw = NULL
    choices: Annotated[list[_Choice], Meta(max_length=128)] | None = None
    usage: Raw = NULL
    error: Raw = NULL


_ONE_LINE = bytes(0x20 if byte in b"\r\n" else byte for byte in range(256))
_whole = msgspec.json.Decoder(_Whole)


@dataclass(slots=True, kw_only=True)
class BodyReader(ChunkReader):
    """Makes a piece of each choice of one `chat.completion`, once all of it is here."""

    what: ClassVar[str] = "a chat completion"

    _body: WholeBody = field(default_factory=WholeBody, init=False)

    @property
    def held(self) -> int:
        """Return how many bytes of the answer are held here."""
        return self._body.size

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes in; there is nothing for the client before the end."""
        if self.fault is None and not self._body.add(data):
            self.fail(Fault.OVERSIZED, f"the answer is larger than {MAX_BODY_BYTES} bytes")
        return b""

    def close(self) -> bytes:
        """Take the end in and return all that a streaming client gets, `[DONE]` included."""
        if self.fault is not None:
            return b""
        return self._read_body(self._body.join())

    def _read_body(self, body: bytes) -> bytes:
        if not body.strip():
            self.fail(Fault.EMPTY, "the answer was empty")
            return b""
        if body.count(b"{") > _MOST_VALUES:
            self.fail(Fault.OVERSIZED, _TOO_MANY)
            return b""
        try:
            if not body.isascii():
                body.decode()
            told, pieces = self.parse(body)
            if told.error != NULL:
                self.read_error({"error": msgspec.json.decode(_short(told.error))})
                return b""
        except OversizedAnswerError as error:
            self.fail(Fault.OVERSIZED, str(error))
            return b""
        except UNREADABLE:
            return self._unreadable()
        if len({piece.index for piece in pieces}) < len(pieces):
            return self._unreadable()
        self.read_named(_short(told.model))
        self.read_usage(_short(told.usage))
        return self._take_all(pieces, len(body))

    def parse(self, body: bytes) -> tuple[Chunk, list[Piece]]:
        """Return the pieces of an answer, and what stands beside them.

        Raises OversizedAnswerError, or one of UNREADABLE.
        """
        whole = _read(body)
        told = Chunk(model=whole.model, usage=whole.usage, error=whole.error)
        choices = whole.choices or []
        if whole.error != NULL:
            return told, []
        if any(values(choice.message) > _MOST_VALUES for choice in choices):
            raise OversizedAnswerError(_TOO_MANY)
        return told, [_piece(choice) for choice in choices]

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


def _read(body: bytes) -> _Whole:
    """Read it, leniently where it is only nearly right; raises one of UNREADABLE."""
    try:
        whole = _whole.decode(body)
        if b"\n" in body or b"\r" in body:
            # between the tokens of JSON only; copied into one line of our own stream
            whole = _whole.decode(body.translate(_ONE_LINE))
    except msgspec.DecodeError:
        found = loads(body)
    else:
        return whole
    loose = msgspec.convert(found, LooseChoices).choices or []
    fields = as_object(found)
    told = map(as_object, as_list(fields.get("choices")))
    choices = [
        _Choice(
            index=read.index or 0,
            message=Raw(written(choice.get("message"))),
            finish_reason=read.finish_reason,
            logprobs=Raw(written(choice.get("logprobs"))),
            native_finish_reason=Raw(written(choice.get("native_finish_reason"))),
        )
        for read, choice in zip(loose, told, strict=True)
    ]
    aside = {name: Raw(written(fields.get(name))) for name in ("model", "usage", "error")}
    return _Whole(choices=choices, **aside)


def _short(raw: Raw) -> Raw:
    return raw if len(raw) <= _MOST_ASIDE else NULL


def _piece(choice: _Choice) -> Piece:
    """Return a choice as one piece; raises one of UNREADABLE."""
    message = {} if choice.message == NULL else _object(choice.message)
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
