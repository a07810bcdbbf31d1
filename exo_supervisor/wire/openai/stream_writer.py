"""One upstream answer as the stream that a client of OpenAI's dialect expects."""

from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.piece import NULL, Choice, Delta
from exo_supervisor.wire.openai.lenient import dumps, members
from exo_supervisor.wire.openai.reader import Reading
from exo_supervisor.wire.untrusted_json import as_object

DONE = b"data: [DONE]\n\n"

_ROLE = b'{"role":"assistant",'
_FIRST = b'"choices":[{"index":0,"delta":'

MAX_HELD_BYTES = 1 << 20
"""Bytes of what comes before the first content and waits for it, at most."""


@dataclass(slots=True, kw_only=True)
class Answer(Reading):
    """Turns an upstream's events into chunks of ours, as they come.

    Deltas of clouds and of generation C are copied as they came, except that an index's first
    chunk alone carries the role where Exo repeats it, and that tool calls lose the `id` which
    Exo puts into `function`. Those of A and B are written anew without their nulls. Usage is
    one last chunk, if the client asked and there is any: an upstream of B, C or a cloud that
    told none gets none invented.
    """

    mark: bytes = b""
    """Members that the chunk with the finish reason has beside the usual ones, as JSON."""

    _head: bytes = field(default=b"", init=False)
    _head_of: str | None = field(default=None, init=False)
    _begun: set[int] = field(default_factory=set[int], init=False)
    _held: list[bytes] = field(default_factory=list[bytes], init=False)
    _held_size: int = field(default=0, init=False)

    def take(self, choice: Choice, delta: Delta) -> bytes:
        """Write one chunk; what comes before the first content waits for it."""
        if self.transcript is not None:
            self.transcript.note(choice, delta)
        if self._head_of != self.served_model or not self._head:
            self._head_of = self.served_model
            self._head = self._envelope()
        index = choice.index or 0
        text = self._delta(index, choice.delta, delta)
        extras = self._extras.take()
        if index == 0 and choice.finish_reason is None and choice.logprobs == NULL:
            chunk = b'%b%b%b,"finish_reason":null}]%b}\n\n' % (self._head, _FIRST, text, extras)
        else:
            chunk = self._rare(choice, text, extras)
        if self.content and not self._held:
            return chunk
        return self._hold(chunk)

    def _hold(self, chunk: bytes) -> bytes:
        """Keep what comes before the first content; return all of it, in order, with that."""
        self._held.append(chunk)
        self._held_size += len(chunk)
        if not self.content:
            if self._held_size > MAX_HELD_BYTES:
                self.fail(Fault.OVERSIZED, f"over {MAX_HELD_BYTES} bytes came without a word")
            return b""
        told = b"".join(self._held)
        self._held.clear()
        return told

    def end(self) -> bytes:
        """Write the tail: the usage, if it was asked for and is known, and `[DONE]`."""
        usage = self.usage_text() if self.include_usage else b""
        extras = self._extras.take()
        if usage:
            extras = b',"usage":%b%b' % (usage, extras)
        if not extras:
            return DONE
        return b'%b"choices":[]%b}\n\n%b' % (self._head, extras, DONE)

    def _envelope(self) -> bytes:
        fields = {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.served_model or self.model or self.asked,
        }
        return b"data: %b," % msgspec.json.encode(fields)[:-1]

    def _rare(self, choice: Choice, text: bytes | Raw, extras: bytes) -> bytes:
        """Write a chunk of another index, with a finish reason, or with logprobs."""
        logprobs = b""
        if choice.logprobs != NULL:
            logprobs = b',"logprobs":%b' % choice.logprobs
        finish = msgspec.json.encode(choice.finish_reason)
        return b'%b"choices":[{"index":%d,"delta":%b%b,"finish_reason":%b}]%b%b}\n\n' % (
            self._head,
            choice.index or 0,
            text,
            logprobs,
            finish,
            extras,
            self.mark if choice.finish_reason is not None else b"",
        )

    def _delta(self, index: int, raw: Raw, delta: Delta) -> bytes | Raw:
        if index not in self._begun and self.seam is None:
            self._begun.add(index)
            if delta.role is None:
                delta.role = "assistant"
                raw = _with_role(raw)
        elif self.generation is not None:
            delta.role = None
            text = bytes(raw)
            if text.startswith(_ROLE):
                raw = Raw(b"{" + text[len(_ROLE) :])
        if self.generation is None:
            return raw
        if delta.tool_calls is not None:
            _drop_function_ids(delta)
        elif self.generation == "C":
            return raw
        return dumps(delta)


def _with_role(raw: Raw) -> Raw:
    role = {"role": Raw(b'"assistant"')}
    return Raw(msgspec.json.encode(role | members(raw) | role))


def _drop_function_ids(delta: Delta) -> None:
    """Exo puts the call's `id` into `function` too, which OpenAI's schema does not know."""
    for call in delta.tool_calls or []:
        as_object(call.get("function")).pop("id", None)
