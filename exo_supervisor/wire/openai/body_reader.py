"""Reading an answer of OpenAI's dialect that came whole.

The upstream was asked to stream and answered with one JSON object instead.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.piece import NULL, values
from exo_supervisor.wire.lenient_json import loads, members, written
from exo_supervisor.wire.openai.chunk import MAX_CHUNK_OBJECTS, Index
from exo_supervisor.wire.openai.reader import ChunkReader
from exo_supervisor.wire.untrusted_json import UNREADABLE, as_list, as_object

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Bytes of a whole answer, at most."""

_MOST_VALUES = MAX_CHUNK_OBJECTS
"""Objects of a whole answer, and values of one message: each takes many times its bytes."""

_MOST_ASIDE = 64 * 1024
"""Bytes of what stands beside the choices, at most; what is longer is left out."""


class _Choice(Struct, gc=False):
    index: Index = 0
    message: Raw = NULL
    finish_reason: str | None = None
    logprobs: Raw = NULL


class _LooseChoice(Struct):
    index: Index | None = 0
    finish_reason: str | None = None


class _Loose(Struct):
    choices: Annotated[list[_LooseChoice], Meta(max_length=128)] | None = None


class _Whole(Struct):
    id: Raw = NULL
    model: Raw = NULL
    choices: Annotated[list[_Choice], Meta(max_length=128)] | None = None
    usage: Raw = NULL
    error: Raw = NULL


_whole = msgspec.json.Decoder(_Whole)
_calls = msgspec.json.Decoder(list[dict[str, Raw]])


@dataclass(slots=True, kw_only=True)
class BodyReader(ChunkReader):
    """Makes pieces of one `chat.completion`, as if it had been streamed, once all of it is here."""

    _parts: list[bytes] = field(default_factory=list[bytes], init=False)
    _size: int = field(default=0, init=False)

    @property
    def held(self) -> int:
        """Return how many bytes of the answer are held here."""
        return self._size

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes in; there is nothing for the client before the end."""
        if self.fault is not None:
            return b""
        self._size += len(data)
        if self._size <= MAX_BODY_BYTES:
            self._parts.append(data)
        else:
            self._parts.clear()
            self.fail(Fault.OVERSIZED, f"the answer is larger than {MAX_BODY_BYTES} bytes")
        return b""

    def close(self) -> bytes:
        """Take the end in and return all that a streaming client gets, `[DONE]` included."""
        if self.fault is not None:
            return b""
        return self._read_body(b"".join(self._parts))

    def _read_body(self, body: bytes) -> bytes:
        if not body.strip():
            self.fail(Fault.EMPTY, "the answer was empty")
            return b""
        if body.count(b"{") > _MOST_VALUES:
            return self._too_many()
        try:
            if not body.isascii():
                body.decode()
            whole = _read(body)
            if whole.error != NULL:
                self.read_error({"error": msgspec.json.decode(_short(whole.error))})
                return b""
            choices = whole.choices or []
            if any(values(choice.message) > _MOST_VALUES for choice in choices):
                return self._too_many()
            events = _events(whole, choices)
        except UNREADABLE:
            return self._unreadable()
        if len({choice.index for choice in choices}) < len(choices):
            return self._unreadable()
        return self._replay(events)

    def _replay(self, events: list[bytes]) -> bytes:
        written: list[bytes] = []
        for event in events:
            written.append(self.read_event(event))
            if self.malformed:
                return self._unreadable()
            if self.fault is not None:
                return b""
        return b"".join(written)

    def _unreadable(self) -> bytes:
        self.fail(Fault.PAYLOAD, "the answer is not valid JSON of a chat completion")
        return b""

    def _too_many(self) -> bytes:
        self.fail(Fault.OVERSIZED, f"the answer holds more than {_MOST_VALUES} values")
        return b""


def _read(body: bytes) -> _Whole:
    """Read it, leniently where it is only nearly right; raises one of UNREADABLE."""
    try:
        return _whole.decode(body)
    except msgspec.DecodeError:
        found = loads(body)
    loose = msgspec.convert(found, _Loose).choices or []
    fields = as_object(found)
    told = map(as_object, as_list(fields.get("choices")))
    choices = [
        _Choice(
            index=read.index or 0,
            message=Raw(written(choice.get("message"))),
            finish_reason=read.finish_reason,
            logprobs=Raw(written(choice.get("logprobs"))),
        )
        for read, choice in zip(loose, told, strict=True)
    ]
    aside = {name: Raw(written(fields.get(name))) for name in ("id", "model", "usage", "error")}
    return _Whole(choices=choices, **aside)


def _short(raw: Raw) -> Raw:
    return raw if len(raw) <= _MOST_ASIDE else NULL


def _events(whole: _Whole, choices: list[_Choice]) -> list[bytes]:
    """Return the same answer as the events of a stream: one for each choice, the usage, the end."""
    head: dict[str, object] = {"id": _short(whole.id), "model": _short(whole.model)}
    last: dict[str, object] = {"choices": list[object](), "usage": _short(whole.usage)}
    chunks = [*(head | {"choices": [_chunk(choice)]} for choice in choices), head | last]
    return [*(msgspec.json.encode(chunk) for chunk in chunks), b"[DONE]"]


def _chunk(choice: _Choice) -> dict[str, object]:
    message = {} if choice.message == NULL else _object(choice.message)
    delta: dict[str, object] = {name: raw for name, raw in message.items() if raw != NULL}
    if "tool_calls" in delta:
        delta["tool_calls"] = [
            {"index": place, **call} for place, call in enumerate(_pieces(message["tool_calls"]))
        ]
    return {
        "index": choice.index,
        "delta": delta,
        "finish_reason": choice.finish_reason,
        "logprobs": choice.logprobs,
    }


def _pieces(calls: Raw) -> list[dict[str, Raw]]:
    try:
        return _calls.decode(calls)
    except msgspec.DecodeError:
        found = msgspec.convert(loads(calls), list[dict[str, Any]])
        return [{name: Raw(written(value)) for name, value in call.items()} for call in found]


def _object(raw: Raw) -> dict[str, Raw]:
    if not bytes(raw).startswith(b"{"):
        raise msgspec.DecodeError("not an object")
    return members(raw)
