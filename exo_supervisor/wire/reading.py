"""Reading one upstream answer: what counts as content and progress, and how it can fail."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.core.names import Generation
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chunks import (
    Choice,
    Chunk,
    Delta,
    Usage,
    counted,
    read_chunk,
    read_delta,
)
from exo_supervisor.wire.cut import Cut
from exo_supervisor.wire.faults import in_band, safe_text, said
from exo_supervisor.wire.seam import Seam, Transcript
from exo_supervisor.wire.shapes import UNREADABLE
from exo_supervisor.wire.sse import Message, OversizedEventError, SseReader

_PREFILL = b"prefill_progress "
_WORDLESS = frozenset({"length", "tool_calls", "function_call", "content_filter"})
"""Finish reasons with which an answer may be whole without a word."""


class _Prefill(Struct):
    processed_tokens: int
    total_tokens: int = 0


class _PrefillComment(Struct):
    chunk: _Prefill = msgspec.field(name="PrefillProgressChunk")


_prefill = msgspec.json.Decoder(_PrefillComment)


@dataclass(slots=True, kw_only=True)
class Reading(ABC):
    """One upstream answer, read as it comes; `generation` is None for a cloud.

    `asked` is the model that was asked of the upstream; `model` is shown to the client only
    where the upstream names none. A `fault` ends the reading; `done` and `enough` say that no
    more bytes are wanted. `progressed` grows with every sign of work. `choices` is how many
    the client asked for: an answer with fewer is not whole. With a `seam`, it goes on with what
    another upstream began, `before` being the pieces that it sent; a `transcript` takes down what a
    client that streams is told.
    """

    id: str
    created: int
    model: str | None = None
    generation: Generation | None
    include_usage: bool
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    asked: str = ""
    choices: int = 1
    seam: Seam | None = None
    transcript: Transcript | None = None
    before: int = 0

    content: bool = field(default=False, init=False)
    progressed: int = field(default=0, init=False)
    prefill_seen: bool = field(default=False, init=False)
    prefill_total: int = field(default=0, init=False)
    finished: bool = field(default=False, init=False)
    done: bool = field(default=False, init=False)
    enough: bool = field(default=False, init=False)
    fault: Fault | None = field(default=None, init=False)
    message: str = field(default="", init=False)
    retry_after: float | None = field(default=None, init=False)
    malformed: int = field(default=0, init=False)
    served_model: str | None = field(default=None, init=False)
    tokens: int = field(default=0, init=False)
    usage: Usage | None = field(default=None, init=False)

    _usage_text: bytes = field(default=b"", init=False)
    _sse: SseReader = field(default_factory=SseReader, init=False)
    _cut: Cut | None = field(default=None, init=False)
    _ends: dict[int, str] = field(default_factory=dict[int, str], init=False)
    processed: int = field(default=0, init=False)
    _adapts: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.generation == "A":
            self._cut = Cut(self.max_tokens, self.stop)
        self._adapts = self._cut is not None or self.seam is not None

    @property
    def prompt_tokens(self) -> int | None:
        """The upstream's own count, None as long as it has told none."""
        return self.usage and self.usage.prompt_tokens

    @property
    def completion_tokens(self) -> int | None:
        """The upstream's own count, None as long as it has told none."""
        return self.usage and self.usage.completion_tokens

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the body and return what the client gets for them."""
        if self.done or self.fault is not None:
            return b""
        try:
            events = self._sse.feed(data)
        except OversizedEventError as error:
            self.fail(Fault.OVERSIZED, str(error))
            return b""
        written: list[bytes] = []
        for event in events:
            if isinstance(event, Message):
                written.append(self.read_event(event.data, event.event))
                if self.done or self.fault is not None:
                    break
            elif not self.content and event.text.startswith(_PREFILL):
                self._hear(event.text)
        return written[0] if len(written) == 1 else b"".join(written)

    def close(self) -> bytes:
        """Take the clean end of the body and return the client's tail, unless it had it."""
        tail = self.feed(b"\n\n") if self._sse.pending else b""
        if self.done or self.fault is not None:
            return tail
        return tail + self._end()

    def fail(self, fault: Fault, message: str) -> None:
        """End the reading with a fault; `message` is shown to people."""
        self.fault = fault
        self.message = message

    def read_event(self, data: bytes, event: bytes = b"") -> bytes:
        """Take one event's data and return what the client gets for it."""
        if data.startswith(b"[DONE]"):
            return self._end()
        if b"\n" in data:
            # between the tokens of JSON only; copied into one line of our own stream
            data = data.replace(b"\n", b" ")
        try:
            if not data.isascii():
                data.decode()
            chunk = read_chunk(data)
            if chunk.error is None and event != b"error":
                return self._read_chunk(chunk)
            self.read_error(msgspec.json.decode(data))
        except UNREADABLE:
            if event == b"error":
                self.read_error(None)
            else:
                self.malformed += 1
        return b""

    def _read_chunk(self, chunk: Chunk) -> bytes:
        if chunk.model != self.served_model:
            self._read_envelope(chunk)
        if chunk.usage is not None:
            self._read_usage(chunk.usage)
        choices = chunk.choices
        if not choices or self.fault is not None:
            return b""
        if len(choices) == 1:
            return self._read_choice(choices[0], read_delta(choices[0]))
        deltas = [read_delta(choice) for choice in choices]
        return b"".join(map(self._read_choice, choices, deltas))

    def _read_choice(self, choice: Choice, delta: Delta) -> bytes:
        index = choice.index
        if self._adapts and not self._adapt(choice, delta):
            return b""
        end = self._ends.get(index)
        if end is None:
            self._ends[index] = end = ""
            self.finished = False
        if end:
            choice.finish_reason = None
        if delta.said():
            self.tokens += 1
            self.content = True
        elif not choice.finish_reason and (end or not self.content):
            return b""
        if choice.finish_reason:
            self._finish(index, choice.finish_reason)
            if self.fault is not None:
                return b""
        if self.content:
            self.progressed += 1
        written = self.take(choice, delta)
        if self.fault is None and (self.enough or self._is_over()):
            return written + self._end()
        return written

    def _is_over(self) -> bool:
        """Say whether nothing can follow: generation A sends neither usage nor `[DONE]`."""
        return self.generation == "A" and self.finished

    def _finish(self, index: int, reason: str) -> None:
        self._ends[index] = reason
        self.finished = all(self._ends.values())
        if reason == "error":
            self.fail(Fault.ERROR_EVENT, "the upstream ended the answer with an error")
        elif reason in _WORDLESS or self.enough or self.seam is not None:
            # any other end without a word may turn out to be an empty answer
            self.content = True

    def _adapt(self, choice: Choice, delta: Delta) -> bool:
        """Make a piece what the client is to see of it; False where there is no going on."""
        if self._cut is not None:
            self._shorten(self._cut, choice, delta)
        if self.seam is not None:
            self._join(self.seam, choice, delta)
        return self.fault is None

    def _shorten(self, cut: Cut, choice: Choice, delta: Delta) -> None:
        text = delta.content if isinstance(delta.content, str) else ""
        delta.content, choice.finish_reason = cut.push(text, choice.finish_reason)
        self.enough = cut.enough

    def _join(self, seam: Seam, choice: Choice, delta: Delta) -> None:
        seam.push(delta, last=choice.finish_reason is not None)
        choice.delta = Raw(msgspec.json.encode(delta))
        if seam.broken:
            self.fail(Fault.BEGAN_ANEW, "it began anew instead of going on")

    def _end(self) -> bytes:
        """Judge the whole answer at its end; bytes after it are no part of it."""
        self.done = True
        if not self.content:
            self.fail(Fault.EMPTY, "the answer was empty")
        elif not self.finished or len(self._ends) < self.choices:
            self.fail(Fault.UNFINISHED, "the answer ended in the middle")
        else:
            return self.end()
        return b""

    def read_error(self, error: object) -> None:
        """End the reading with an upstream's error, in whatever shape it came."""
        words = said(error)
        self.fail(
            in_band(words, exo=self.generation is not None, content=self.content),
            words.message or "the upstream reported an error",
        )
        self.retry_after = words.retry_after
        if self.fault is Fault.BAD_KEY:
            self.message = ""

    def _read_envelope(self, chunk: Chunk) -> None:
        model = chunk.model
        if not isinstance(model, str) or not model or model == self.served_model:
            return
        self.served_model = model
        if self.generation == "A" and self.asked and model != self.asked:
            shown = safe_text(model)
            self.fail(Fault.WRONG_MODEL, f"another model than asked answered: {shown}")

    def _read_usage(self, usage: object) -> None:
        try:
            self.usage = msgspec.convert(usage, Usage)
        except msgspec.ValidationError:
            return
        if self.before:  # they were a part of this prompt, and are one of the whole answer
            prompt = max(0, self.usage.prompt_tokens - self.before)
            completion = self.usage.completion_tokens + self.before
            self.usage = usage = Usage(prompt, completion, prompt + completion)
        self._usage_text = msgspec.json.encode(usage)

    def usage_text(self) -> bytes:
        """Return the usage as JSON: the upstream's own, else what was counted here, else nothing.

        Generation A sends none, and one token a piece: the pieces are its completion tokens.
        """
        if self.usage is None and self.generation == "A":
            return counted(self.tokens)
        return self._usage_text

    def _hear(self, comment: bytes) -> None:
        """Exo 1.0.68 and later tell how far a prompt is read in comments."""
        try:
            told = _prefill.decode(comment[len(_PREFILL) :]).chunk
        except UNREADABLE:
            return
        self.prefill_seen, self.prefill_total = True, told.total_tokens
        processed = told.processed_tokens
        if processed != self.processed:
            self.processed = processed
            self.progressed += 1

    @abstractmethod
    def take(self, choice: Choice, delta: Delta) -> bytes:
        """Take what one chunk says of one choice; `choice.delta` is its delta as it came."""

    @abstractmethod
    def end(self) -> bytes:
        """Take the success of the whole answer."""
