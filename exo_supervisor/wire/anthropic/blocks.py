"""Pieces of an answer as the content blocks of a message.

Blocks never overlap, and each has an index of its own. A text, a thought or a call goes on as long
as pieces of its own kind come; anything else closes it first. Calls of tools may come interleaved:
one that begins while another is not whole waits for its turn, so that the order is kept.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.wire.chat.arguments import CUT
from exo_supervisor.wire.chat.piece import JoinError, OversizedAnswerError, Piece
from exo_supervisor.wire.chat.said import said_in
from exo_supervisor.wire.lenient_json import dumps
from exo_supervisor.wire.openai.calls import Call, Calls, arguments_in, calls_of

Event = tuple[str, bytes]
"""The type of an event, and its data."""

MAX_CALL_BYTES: Final = 16 * 1024 * 1024
"""Bytes of the arguments of all calls of an answer, at most."""

Kind = tuple[bytes, bytes]
"""A kind of block: its start, and how a piece is added to it."""

_TEXT: Final[Kind] = (b'{"type":"text","text":""}', b'{"type":"text_delta","text":%b}')
_THOUGHT: Final[Kind] = (
    b'{"type":"thinking","thinking":"","signature":""}',
    b'{"type":"thinking_delta","thinking":%b}',
)
_CALL: Final[Kind] = (
    b'{"type":"tool_use","id":%b,"name":%b,"input":{}}',
    b'{"type":"input_json_delta","partial_json":%b}',
)
_DELTA = b'{"type":"content_block_delta","index":%d,"delta":%b}'


class _Waiting(Struct):
    """A call whose block is not closed yet, with what has come of its arguments."""

    call: Call
    arguments: list[bytes] = msgspec.field(default_factory=list)


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Blocks:
    """Writes blocks; with `begun`, a text at index 0 is open already.

    `calls_made` is how many calls of tools there are; `name` tells their made-up ids apart from
    those of other answers.
    """

    name: str
    begun: bool = False
    calls_made: int = field(default=0, init=False)
    held: int = field(default=0, init=False)

    _index: int = field(default=-1, init=False)
    _open: Kind | None = field(default=None, init=False)
    _calls: Calls = field(default_factory=Calls, init=False)
    _queue: list[_Waiting] = field(default_factory=list, init=False)
    """The call whose block is open comes first; the others wait for it."""
    _closed: list[Call] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if self.begun:
            self._index, self._open = 0, _TEXT

    def take(self, piece: Piece) -> list[Event]:
        """Return the events of one piece. Raises JoinError and OversizedAnswerError."""
        calls, events = calls_of(piece), list[Event]()
        for kind, text in said_in(piece.delta):
            events += self._say(_THOUGHT if kind == "thought" else _TEXT, text)
        for told in calls:
            events += self._call(told)
        if piece.finish is not None:
            events += self.close(cut=piece.finish in CUT)
        return events

    def open_words(self) -> tuple[int, Kind] | None:
        """Return the index and the kind of the text or thought that is open, None where none is."""
        kind = self._open
        return None if kind is None or kind is _CALL else (self._index, kind)

    def close(self, *, cut: bool = False) -> list[Event]:
        """Close what is open, and write all that waits. Raises JoinError.

        Unless the answer was `cut`, each call has arguments that are an object: a client reads them
        as one as soon as their block is closed.
        """
        events: list[Event] = []
        while self._queue:
            if not cut and not self._queue[0].call.function.is_said():
                raise JoinError("the arguments of a call are no JSON object")
            events += self._next_call()
        return events + self._stop()

    # ---------------------------------------------------------------- within

    def _say(self, kind: Kind, text: str) -> list[Event]:
        events: list[Event] = []
        if self._open is not kind:
            events = self.close() + self._start(kind, kind[0])
        return [*events, self._delta(kind, dumps(text))]

    def _call(self, told: dict[str, Raw]) -> list[Event]:
        arguments = arguments_in(told)
        call, _ = self._calls.take(told)
        if any(call is closed for closed in self._closed):
            if arguments:
                raise JoinError("a call of a tool goes on after another has begun")
            return []
        waiting = next((each for each in self._queue if each.call is call), None)
        if waiting is None:
            waiting = _Waiting(call)
            self._queue.append(waiting)
        if arguments:
            self.held += len(arguments)
            if self.held > MAX_CALL_BYTES:
                raise OversizedAnswerError(f"calls of tools are larger than {MAX_CALL_BYTES} bytes")
            waiting.arguments.append(arguments)
        return self._go_on()

    def _go_on(self) -> list[Event]:
        """Write what can be written of the calls, in their order."""
        events: list[Event] = []
        while len(self._queue) > 1 and self._queue[0].call.function.is_whole():
            events += self._next_call()
        return events + self._write_first()

    def _next_call(self) -> list[Event]:
        """Write the rest of the first call, and close it."""
        first = self._queue[0]
        if not first.call.name:
            raise JoinError("a call of a tool that has no name")
        events = self._write_first() + self._stop()
        self._closed.append(self._queue.pop(0).call)
        return events

    def _write_first(self) -> list[Event]:
        first, events = self._queue[0], list[Event]()
        call = first.call
        if not call.name:
            return []
        if self._open is not _CALL:
            self.calls_made += 1
            identity = call.id or f"toolu_{self.name}_{self.calls_made}"
            events = self._stop() + self._start(
                _CALL, _CALL[0] % (dumps(identity), dumps(call.name))
            )
        events += [self._delta(_CALL, each) for each in first.arguments]
        first.arguments.clear()
        return events

    def _start(self, kind: Kind, block: bytes) -> list[Event]:
        self._open, self._index = kind, self._index + 1
        start = b'{"type":"content_block_start","index":%d,"content_block":%b}'
        return [("content_block_start", start % (self._index, block))]

    def _delta(self, kind: Kind, text: bytes) -> Event:
        return "content_block_delta", _DELTA % (self._index, kind[1] % text)

    def _stop(self) -> list[Event]:
        if self._open is None:
            return []
        self._open = None
        return [("content_block_stop", b'{"type":"content_block_stop","index":%d}' % self._index)]


def words_delta(index: int, kind: Kind, text: bytes) -> bytes:
    """Write a piece of the text or thought in a block; the text is given as JSON."""
    return _DELTA % (index, kind[1] % text)
