"""What stands between the dialects: the pieces of an answer, and who writes them.

A reader makes pieces out of what an upstream sends in its dialect, a writer makes of them what a
client gets in its own. The two meet here only, so that each dialect needs one of either.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Protocol

import msgspec
from msgspec import Meta, Raw, Struct

from exo_supervisor.errors import SupervisorError
from exo_supervisor.wire.bounds import MAX_NAME_CHARS
from exo_supervisor.wire.chat.extras import Extras
from exo_supervisor.wire.lenient_json import members

NULL = Raw(b"null")

MAX_CALLS = 1024
"""Calls of tools in one delta; no model asks for as many at once."""
Calls = Annotated[list[dict[str, object]], Meta(max_length=MAX_CALLS)]

_NOTHING = frozenset({b"null", b'""', b"false", b"0", b"{}", b"[]"})


class OversizedAnswerError(SupervisorError):
    """An answer is larger than its writer may hold."""


class JoinError(SupervisorError):
    """Pieces of an answer do not say how they belong together; the text repeats none of them."""


class NotHonouredError(SupervisorError):
    """An answer is not what the request asked for, and says so; the text names the field."""


class Delta(Struct, omit_defaults=True, gc=False):
    """What one chunk adds to one choice; written again, it has lost its nulls."""

    role: object = None
    content: str | list[object] | None = None
    reasoning_content: object = None
    reasoning: object = None
    reasoning_details: object = None
    refusal: object = None
    tool_calls: Calls | None = None
    function_call: object = None
    audio: object = None
    name: object = None
    tool_call_id: object = None

    def said(self) -> bool:
        """Whether it adds anything that a reader of the answer would miss."""
        return bool(
            self.content
            or (self.reasoning_content and isinstance(self.reasoning_content, str))
            or self.tool_calls
            or (self.reasoning and isinstance(self.reasoning, str))
            or (self.refusal and isinstance(self.refusal, str))
            or (self.function_call and isinstance(self.function_call, dict))
            or (self.reasoning_details and isinstance(self.reasoning_details, list))
            or (self.audio and isinstance(self.audio, dict))
        )

    def only_text(self) -> str:
        """Name the member whose text is all that it adds; "" where there is none, or more."""
        role, text = self.role, self.content
        if text is not None:
            name, alone = "content", Delta(role, text)
        elif (text := self.reasoning_content) is not None:
            name, alone = "reasoning_content", Delta(role, reasoning_content=text)
        else:
            text = self.reasoning
            name, alone = "reasoning", Delta(role, reasoning=text)
        return name if text and isinstance(text, str) and self == alone else ""


_KNOWN = frozenset(Delta.__struct_fields__)


class _Known(Delta, forbid_unknown_fields=True, gc=False):
    """A delta that has no other members."""


_known = msgspec.json.Decoder(_Known).decode


class Piece(Struct, gc=False):
    """What an upstream said at once of one choice.

    `raw` says the same as `delta`, as a JSON object of OpenAI's dialect. Of an upstream that speaks
    it these are the very bytes that it sent: a client that speaks it too gets members that we have
    never heard of, and numbers as they were written.

    `native` is the event's data as it came, on one line, where its dialect is the one that the
    writer can copy: then even a piece that adds nothing to the delta tells something.
    """

    delta: Delta
    raw: Raw
    index: int = 0
    finish: str | None = None
    logprobs: Raw = NULL
    native_finish: Raw = NULL
    native: bytes = b""

    def has_extras(self) -> bool:
        """Say whether it tells something though it has no word: logprobs, for one."""
        if self.logprobs != NULL or self.native:
            return True
        try:
            _known(self.raw)
        except msgspec.DecodeError:
            told = members(self.raw).items()
            return any(name not in _KNOWN and bytes(raw) not in _NOTHING for name, raw in told)
        return False

    def tells(self) -> bool:
        """Say whether anything is in it."""
        return self.finish is not None or self.delta.said() or self.has_extras()


class Usage(Struct, frozen=True, gc=False):
    """The token counts of an answer, as its upstream counted them.

    As OpenAI means it, `prompt_tokens` include those that were read from a cache (`cached_tokens`)
    or written into one, `cache_write_1h_tokens` being those of the writes that are kept for an
    hour; and `completion_tokens` include `reasoning_tokens`. `reported_cost` is what the upstream
    says that it asks, in pico-dollars.
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    reported_cost: int | None = None


@dataclass(slots=True, eq=False, repr=False)
class Answer:
    """What is known of an answer so far: its reader updates it, its writer reads it.

    `tokens` counts the pieces that said something; `usage_text` is the usage as JSON, b"" where the
    upstream told none and none may be made up. `response_id` is what the upstream calls it.
    """

    content: bool = field(default=False, init=False)
    tokens: int = field(default=0, init=False)
    served_model: str | None = field(default=None, init=False)
    response_id: str | None = field(default=None, init=False)
    usage: Usage | None = field(default=None, init=False)
    usage_text: bytes = field(default=b"", init=False)
    extras: Extras = field(default_factory=Extras, init=False)


WriteTexts = Callable[[list[bytes]], bytes | None]
"""Writes texts, each a JSON string, as one piece each; None: take those pieces one by one.

For a client that streams it is never b"": a chunk of no bytes would be the end of its answer.
"""


class Frame:
    """Writes texts where all pieces are alike but for their text, as `marked` is with `mark`.

    Without `blanks`, the client gets nothing for a text of no letter.
    """

    __slots__ = ("_between", "_blanks", "after", "before")

    def __init__(self, marked: bytes, mark: bytes, *, blanks: bool) -> None:
        self.before, _, self.after = marked.partition(mark)
        self._between, self._blanks = self.after + self.before, blanks

    def __call__(self, texts: list[bytes]) -> bytes | None:
        """Write them; None where one is to be taken by itself."""
        if not self._blanks and b'""' in texts:
            return None
        return self.before + self._between.join(texts) + self.after


class Writer(Protocol):
    """Writes an answer in one client's dialect, as a stream or as one body."""

    native: ClassVar[str]
    """The dialect whose events it can copy as they came; "" for none."""

    @property
    def held(self) -> int:
        """How many bytes of the answer are held here."""
        ...

    def note(self, size: int, /) -> None:
        """Count the bytes of an event, whatever is in it; raises OversizedAnswerError."""
        ...

    def take(self, piece: Piece, answer: Answer, /) -> bytes:
        """Take the next piece, and return what a streaming client gets for it.

        Raises OversizedAnswerError, and JoinError where the pieces do not fit together.
        """
        ...

    def plain(self, piece: Piece, answer: Answer, mark: bytes, size: int, /) -> WriteTexts | None:
        """Return what writes pieces that differ in their text alone from one that was taken.

        `mark` is that text in `piece`, as JSON, and `size` what an event has around its text. None
        where such pieces have to be taken one by one.
        """
        ...

    def end(self, answer: Answer, /) -> bytes:
        """Return the tail of a stream whose answer is whole."""
        ...

    def result(self, answer: Answer, /) -> list[bytes]:
        """Return the body of a whole answer in parts; of a stream there is nothing left to send."""
        ...


def values(raw: bytes | Raw) -> int:
    """Return how many values a text can hold at most, without decoding it."""
    text = bytes(raw)
    return text.count(b",") + text.count(b"[") + text.count(b"{")


MAX_NAME_BYTES = 6 * MAX_NAME_CHARS + len('""')
"""Bytes of a name as JSON, each of its characters an escape."""
_name = msgspec.json.Decoder(str).decode


def read_name(raw: Raw | bytes) -> str | None:
    """Return a name that may be shown, or None where there is none, or one beyond the bound."""
    if len(raw) > MAX_NAME_BYTES or bytes(raw)[:1] != b'"':
        return None
    try:
        name = _name(raw)
    except msgspec.DecodeError:
        return None
    return name if name.isprintable() and 0 < len(name) <= MAX_NAME_CHARS else None


def is_word(name: str) -> bool:
    """Say whether a name that an upstream gives is one word, and no prompt that it repeats."""
    return name.isascii() and " " not in name


def counted(tokens: int) -> bytes:
    """Write a usage of which only the completion's tokens were counted: no other is made up."""
    return b'{"completion_tokens":%d}' % tokens
