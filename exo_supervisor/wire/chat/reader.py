"""Reading one upstream answer: what counts as content and progress, and how it can fail.

This is the half of reading that no dialect changes. A dialect's reader makes pieces of what comes
and hands each to `take`; what the client gets for it comes back the way it came in, so that a read
is one call down and one up, and nothing is kept between them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import Raw

from exo_supervisor.core.keys import hide_shapes
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.arguments import CUT, Arguments
from exo_supervisor.wire.chat.continuation import Splice
from exo_supervisor.wire.chat.judge import in_band, safe_text, said, tellable
from exo_supervisor.wire.chat.piece import (
    NULL,
    Answer,
    JoinError,
    NotHonouredError,
    OversizedAnswerError,
    Piece,
    Writer,
    counted,
    is_word,
    read_name,
)
from exo_supervisor.wire.chat.stop_filter import StopFilter
from exo_supervisor.wire.chat.usage import usage_told
from exo_supervisor.wire.exo.traits import PROVIDER, Traits
from exo_supervisor.wire.lenient_json import dumps

_WORDLESS = frozenset({"length", "tool_calls", "function_call", "content_filter"})
"""Finish reasons with which an answer may be whole without a word."""
JOINS_NOT = "the pieces of the answer do not fit together"
_FAILED = frozenset(
    {"error", "network_error", "abort", "aborted", "cancelled", "insufficient_system_resource"}
)
"""Finish reasons that say that the answer is not whole, whatever came before, in any case."""


@dataclass(slots=True, eq=False, repr=False)
class Reader(Answer, ABC):
    """One upstream answer, read as it comes, and told to `writer`.

    `asked` is the model that was asked of the upstream. A `fault` ends the reading; `done` and
    `enough` say that no more bytes are wanted. `progressed` grows with every sign of work;
    `processed` is how many tokens of the prompt have been read. `choices` is how many the client
    asked for: an answer with fewer is not whole. With a `seam`, it goes on with what another
    upstream began, `before` being the pieces that it sent; `hide` takes keys out of the upstream's
    words.
    """

    writer: Writer
    traits: Traits = PROVIDER
    asked: str = ""
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    choices: int = 1
    seam: Splice | None = None
    before: int = 0
    hide: Callable[[str], str] = hide_shapes

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

    _named: str | None = field(default=None, init=False)
    _cut: StopFilter | None = field(default=None, init=False)
    _ends: dict[int, str] = field(init=False)
    _adapts: bool = field(default=False, init=False)
    _arguments: Arguments | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._ends = {}
        if self.traits.runs_on:
            self._cut = StopFilter(self.max_tokens, self.stop)
        self._adapts = self._cut is not None or self.seam is not None

    @property
    @abstractmethod
    def held(self) -> int:
        """Return how many bytes of the answer are held here and at the writer."""

    @property
    def reckoned(self) -> int:
        """Return how many tokens the answer has, as far as they were seen."""
        return self.tokens

    def take_texts(self, _data: bytes, _head: bytes, _size: int) -> bytes | None:
        """Take a read that adds texts to the answer and nothing else; None: it has to be fed."""
        return None

    @abstractmethod
    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the body and return what the client gets for them."""

    @abstractmethod
    def close(self) -> bytes:
        """Take the clean end of the body and return the client's tail, unless it had it."""

    def result(self) -> list[bytes]:
        """Return the body of a whole answer in parts; of a stream there is nothing left to send."""
        return self.writer.result(self)

    def fail(self, fault: Fault, message: str) -> None:
        """End the reading with a fault; `message` is shown to people."""
        self.fault = fault
        self.message = message

    def read_error(self, error: object) -> None:
        """End the reading with an upstream's error, in whatever shape it came."""
        words = said(error)
        fault = in_band(words, exo=self.traits.exo, content=self.content)
        unsaid = "" if fault is Fault.BAD_KEY else "the upstream reported an error"
        self.fail(fault, self.hide(tellable(fault, words)) or unsaid)
        self.retry_after = words.retry_after

    def read_model(self, model: str | None, *, named: bool) -> None:
        """Take in the name under which the upstream answers; None: one that cannot be shown."""
        if model is not None and model == self.asked:
            self._named = self.served_model = model
            return
        if self.traits.any_model and self.asked and named:
            shown = safe_text(model or "")
            self.fail(Fault.WRONG_MODEL, f"another model than asked answered: {shown}")
        if model and model != self._named:
            self._named = model
            if is_word(model):
                self.served_model = self.hide(model)

    def read_id(self, raw: Raw) -> None:
        """Take in what the upstream calls its answer, the first time that it tells."""
        if self.response_id is None and (told := read_name(raw)) is not None and is_word(told):
            self.response_id = self.hide(told)

    def read_usage(self, usage: Raw) -> None:
        """Take in the upstream's own count; what is none is passed over."""
        if usage != NULL and (told := usage_told(usage, self.before)) is not None:
            self.usage, self.usage_text = told

    def take(self, piece: Piece) -> bytes:
        """Take the next piece and return what the client gets for it.

        Raises JoinError, or one of UNREADABLE, where it does not fit to the pieces before.
        """
        if self._adapts and not self._adapt(piece):
            return b""
        index = piece.index
        end = self._ends.get(index)
        if end is None:
            self._ends[index] = end = ""
            self.finished = False
        if end:
            piece.finish = None
        if piece.delta.said():
            self.tokens += 1
            self.content = True
            if piece.delta.tool_calls or piece.delta.function_call:
                self._hear_calls(piece)
        elif not piece.finish and (end or not self.content) and not piece.has_extras():
            return b""
        if piece.finish:
            self.end_choice(index, piece, piece.finish)
            if self.fault is not None:
                return b""
        if self.content:
            self.progressed += 1
        return self._write(piece)

    def _write(self, piece: Piece) -> bytes:
        self.traits.tidy(piece)
        try:
            written = self.writer.take(piece, self)
            over = self.enough or (self.finished and self.traits.bare_end)
            return written + self.end() if over else written
        except OversizedAnswerError as error:
            self.fail(Fault.OVERSIZED, str(error))
        except NotHonouredError as error:
            self.fail(Fault.UNSUPPORTED, str(error))
        return b""

    def end_choice(self, index: int, piece: Piece, reason: str) -> None:
        """Take in why a choice ended, the first time that it is told."""
        reason.encode()  # half a character cannot be told to the client; one of UNREADABLE
        self._ends[index] = reason
        self.finished = all(self._ends.values())
        native = bytes(piece.native_finish).lower()
        if reason.lower() in _FAILED or native == b'"error"':
            self.fail(Fault.ERROR_EVENT, "the upstream ended the answer with an error")
        elif self._arguments and reason not in CUT and self._arguments.end_within(index):
            self.fail(Fault.UNFINISHED, "the arguments of a tool call end in the middle")
        elif reason in _WORDLESS or self.enough or self.seam is not None:
            # any other end without a word may turn out to be an empty answer
            self.content = True

    def _hear_calls(self, piece: Piece) -> None:
        self._arguments = self._arguments or Arguments()
        calls, older = piece.delta.tool_calls or [], piece.delta.function_call
        self._arguments.add(piece.index, [*calls, {"function": older}] if older else calls)

    def _adapt(self, piece: Piece) -> bool:
        """Make a piece what the client is to see of it; False where there is no going on."""
        if self._cut is not None:
            delta = piece.delta
            text = delta.content if isinstance(delta.content, str) else ""
            delta.content, piece.finish = self._cut.push(text, piece.finish)
            self.enough = self._cut.enough
        if self.seam is not None:
            self.seam.push(piece.delta, last=piece.finish is not None)
            piece.raw = Raw(dumps(piece.delta))
            if self.seam.broken:
                self.fail(Fault.BEGAN_ANEW, "it began anew instead of going on")
        return self.fault is None

    def end(self) -> bytes:
        """Judge the whole answer at its end; bytes after it are no part of it."""
        self.done = True
        if not self.content:
            self.fail(Fault.EMPTY, "the answer was empty")
        elif not self.finished or len(self._ends) < self.choices:
            self.fail(Fault.UNFINISHED, "the answer ended in the middle")
        else:
            if self.usage is None and self.traits.bare_end:
                self.usage_text = counted(self.tokens)
            try:
                return self.writer.end(self)
            except JoinError:
                self.fail(Fault.MALFORMED, JOINS_NOT)
        return b""
