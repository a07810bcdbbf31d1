"""An upstream that was asked to stream and answered with one JSON object instead."""

import msgspec
from msgspec import Struct

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.reading import Reading
from exo_supervisor.wire.shapes import UNREADABLE, as_list, as_object

MOST_BYTES = 64 * 1024 * 1024
"""Bytes of a whole answer, at most."""


class _Choice(Struct):
    index: int = 0
    message: dict[str, object] | None = None
    finish_reason: str | None = None
    logprobs: object = None


class _Whole(Struct):
    id: object = None
    model: object = None
    choices: list[_Choice] | None = None
    usage: object = None
    error: object = None


_whole = msgspec.json.Decoder(_Whole)


def read_whole(body: bytes, into: Reading) -> bytes:
    """Read a whole `chat.completion` as if it had been streamed into `into`.

    Returns what a streaming client gets, `[DONE]` included; faults are set at `into`.
    """
    if not body.strip():
        into.fail(Fault.EMPTY, "the answer was empty")
        return b""
    try:
        if not body.isascii():
            body.decode()
        whole = _whole.decode(body)
    except UNREADABLE:
        into.fail(Fault.PAYLOAD, "the answer is not valid JSON of a chat completion")
        return b""
    if whole.error:
        return into.read_event(msgspec.json.encode({"error": whole.error}))
    written: list[bytes] = []
    for event in _events(whole):
        written.append(into.read_event(event))
        if into.fault is not None:
            return b""
    return b"".join(written)


def _events(whole: _Whole) -> list[bytes]:
    """Return the same answer as the events of a stream: one for each choice, the usage, the end."""
    head: dict[str, object] = {"id": whole.id, "model": whole.model}
    chunks: list[dict[str, object]] = [
        head | {"choices": [_chunk(choice)]} for choice in whole.choices or []
    ]
    chunks.append(head | {"choices": [], "usage": whole.usage})
    return [*(msgspec.json.encode(chunk) for chunk in chunks), b"[DONE]"]


def _chunk(choice: _Choice) -> dict[str, object]:
    delta = {name: value for name, value in (choice.message or {}).items() if value is not None}
    calls = as_list(delta.get("tool_calls"))
    if calls:
        delta["tool_calls"] = [
            {"index": place, **as_object(call)} for place, call in enumerate(calls)
        ]
    return {
        "index": choice.index,
        "delta": delta,
        "finish_reason": choice.finish_reason,
        "logprobs": choice.logprobs,
    }


class Whole:
    """Takes one JSON object in piece by piece, in the place of a stream of events."""

    def __init__(self, into: Reading) -> None:
        self._into = into
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes in; there is nothing for the client before the end."""
        if self._into.fault is not None:
            return b""
        self._size += len(data)
        if self._size <= MOST_BYTES:
            self._parts.append(data)
        else:
            self._parts.clear()
            self._into.fail(Fault.OVERSIZED, f"the answer is larger than {MOST_BYTES} bytes")
        return b""

    def close(self) -> bytes:
        """Take the end in and return all that a streaming client gets."""
        if self._into.fault is not None:
            return b""
        return read_whole(b"".join(self._parts), self._into)
