"""Reading one upstream answer: what counts as content and progress, and how it can fail."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.core.keys import hide_shapes
from exo_supervisor.core.names import Generation
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.continuation import Splice, Transcript
from exo_supervisor.wire.chat.judge import in_band, safe_text, said, tellable
from exo_supervisor.wire.chat.piece import (
    NULL,
    Choice,
    Chunk,
    Delta,
    Piece,
    Usage,
    counted,
    read_chunk,
    read_name,
)
from exo_supervisor.wire.chat.stop_filter import StopFilter
from exo_supervisor.wire.openai.extras import Extras, has_extras
from exo_supervisor.wire.openai.lenient import dumps, loads, read_chunk_leniently
from exo_supervisor.wire.openai.merged import JoinError
from exo_supervisor.wire.sse import Message, OversizedEventError, SseReader
from exo_supervisor.wire.untrusted_json import UNREADABLE

_PREFILL = b"prefill_progress "
_WORDLESS = frozenset({"length", "tool_calls", "function_call", "content_filter"})
"""Finish reasons with which an answer may be whole without a word."""
_FAILED = frozenset(
    {"error", "network_error", "abort", "aborted", "cancelled", "insufficient_system_resource"}
)
"""Finish reasons that say that the answer is not whole, whatever came before, in any case."""
_MAX_ASIDE = 65_536
"""Bytes of an error or a usage that are read, at most."""
_NO_NAME = Raw(b'""')
_MAX_CACHED = 4_096
"""Bytes of what stands around the choices of a chunk, up to which the next one's is compared."""


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
    more bytes are wanted. `progressed` grows with every sign of work; `processed` is how many
    tokens of the prompt have been read. `choices` is how many the client asked for: an answer with
    fewer is not whole. With a `seam`, it goes on with what another upstream began, `before` being
    the pieces that it sent; a `transcript` takes down what a client that streams is told, and
    `hide` takes keys out of the upstream's words.
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
    seam: Splice | None = None
    transcript: Transcript | None = None
    before: int = 0
    hide: Callable[[str], str] = hide_shapes

    content: bool = field(default=False, init=False)
    progressed: int = field(default=0, init=False)
    processed: int = field(default=0, init=False)
    prefill_total: int = field(default=0, init=False)
    finished: bool = field(default=False, init=False)
    done: bool = field(default=False, init=False)
    enough: bool = field(default=False, init=False)
    fault: Fault | None = field(default=None, init=False)
    message: str = field(default="", init=False)
    retry_after: float | None = field(default=None, init=False)
    malformed: int = field(default=0, init=False)
    served_model: str | None = field(default=None, init=False)
    _named: str | None = field(default=None, init=False)
    tokens: int = field(default=0, init=False)
    usage: Usage | None = field(default=None, init=False)

    _extras: Extras = field(default_factory=Extras, init=False)
    _around: bytes | None = field(default=None, init=False)
    _usage_text: bytes = field(default=b"", init=False)
    _sse: SseReader = field(default_factory=SseReader, init=False)
    _cut: StopFilter | None = field(default=None, init=False)
    _ends: dict[int, str] = field(default_factory=dict[int, str], init=False)
    _adapts: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.generation == "A":
            self._cut = StopFilter(self.max_tokens, self.stop)
        self._adapts = self._cut is not None or self.seam is not None

    @property
    def prompt_tokens(self) -> int | None:
        """The upstream's own count, None as long as it has told none."""
        return self.usage and self.usage.prompt_tokens

    @property
    def completion_tokens(self) -> int | None:
        """The upstream's own count, None as long as it has told none."""
        return self.usage and self.usage.completion_tokens

    @property
    def held(self) -> int:
        """Return how many bytes of the answer are held here."""
        return self._sse.held

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
            chunk, pieces = read_chunk(data)
        except UNREADABLE:
            try:
                chunk, pieces = read_chunk_leniently(data)
            except UNREADABLE:
                return self._skip(data, event)
        if chunk.error != NULL or event == b"error":
            self.read_error(_aside(Raw(data)))
            return b""
        try:
            return self._read_chunk(chunk, pieces, data)
        except (JoinError, *UNREADABLE):
            self.fail(Fault.MALFORMED, "the pieces of the answer do not fit together")
            return b""

    def _skip(self, data: bytes, event: bytes) -> bytes:
        """Pass over what cannot be read, unless it may have held a piece of the answer."""
        if event == b"error":
            self.read_error(None)
            return b""
        self.malformed += 1
        if b'"choices"' in data:
            self.fail(Fault.MALFORMED, "an event that held a piece of the answer is malformed")
        return b""

    def _read_chunk(self, chunk: Chunk, pieces: list[Piece], data: bytes) -> bytes:
        around = data.replace(chunk.choices, b"", 1)
        if around != self._around:
            self._around = around if len(around) <= _MAX_CACHED else None
            self._read_envelope(chunk)
            if chunk.usage != NULL:
                self._read_usage(chunk.usage)
            if self.generation != "A":  # what it tells there of itself is made up
                self._extras.see(data, around)
        self._extras.owe()
        if self._extras.too_many:
            self.fail(Fault.OVERSIZED, "the answer tells too much beside its choices")
        if not pieces or self.fault is not None:
            return b""
        if len(pieces) == 1:
            return self._read_choice(*pieces[0])
        return b"".join(self._read_choice(*piece) for piece in pieces if _tells(*piece))

    def _read_choice(self, choice: Choice, delta: Delta) -> bytes:
        index = choice.index = choice.index or 0
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
        elif not choice.finish_reason and (end or not self.content) and not has_extras(choice):
            return b""
        if choice.finish_reason:
            self._finish(index, choice)
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

    def _finish(self, index: int, choice: Choice) -> None:
        self._ends[index] = reason = choice.finish_reason or ""
        self.finished = all(self._ends.values())
        native = bytes(choice.native_finish_reason).lower()
        if reason.lower() in _FAILED or native == b'"error"':
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

    def _shorten(self, cut: StopFilter, choice: Choice, delta: Delta) -> None:
        text = delta.content if isinstance(delta.content, str) else ""
        delta.content, choice.finish_reason = cut.push(text, choice.finish_reason)
        self.enough = cut.enough

    def _join(self, seam: Splice, choice: Choice, delta: Delta) -> None:
        seam.push(delta, last=choice.finish_reason is not None)
        choice.delta = Raw(dumps(delta))
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
        fault = in_band(words, exo=self.generation is not None, content=self.content)
        unsaid = "" if fault is Fault.BAD_KEY else "the upstream reported an error"
        self.fail(fault, self.hide(tellable(fault, words)) or unsaid)
        self.retry_after = words.retry_after

    def _read_envelope(self, chunk: Chunk) -> None:
        model = read_name(chunk.model)
        named = bytes(chunk.model).startswith(b'"') and chunk.model != _NO_NAME
        if self.generation == "A" and self.asked and named and model != self.asked:
            shown = safe_text(model or "")
            self.fail(Fault.WRONG_MODEL, f"another model than asked answered: {shown}")
        if model and model != self._named:
            self._named, self.served_model = model, self.hide(model)

    def _read_usage(self, usage: Raw) -> None:
        try:
            self.usage = msgspec.convert(_aside(usage), Usage)
        except msgspec.ValidationError:
            return
        self._usage_text = bytes(usage)
        if self.before:  # they were a part of this prompt, and are one of the whole answer
            prompt = max(0, self.usage.prompt_tokens - self.before)
            completion = self.usage.completion_tokens + self.before
            self.usage = Usage(prompt, completion, prompt + completion)
            self._usage_text = msgspec.json.encode(self.usage)

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
        self.prefill_total = told.total_tokens
        if told.processed_tokens != self.processed:  # a first `0/N` tells nothing yet
            self.processed = told.processed_tokens
            self.progressed += 1

    @abstractmethod
    def take(self, choice: Choice, delta: Delta) -> bytes:
        """Take what one chunk says of one choice; `choice.delta` is its delta as it came."""

    @abstractmethod
    def end(self) -> bytes:
        """Take the success of the whole answer."""


def _aside(raw: Raw) -> object:
    """Return the value of what stands beside the answer, or None for what is too long to read."""
    try:
        return None if len(raw) > _MAX_ASIDE else loads(raw)
    except UNREADABLE:
        return None


def _tells(choice: Choice, delta: Delta) -> bool:
    """Say whether anything is in one of several pieces, each of which would get an envelope."""
    return choice.finish_reason is not None or delta.said() or has_extras(choice)
