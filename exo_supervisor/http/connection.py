"""One HTTP/1.1 connection of a client: a state, a reader, and somebody who is called back.

    IDLE -- send --> SENDING -- all is written --> READING -- the answer's end --> IDLE
      SENDING, READING -- leave --> LEAVING -- the answer's end, in a moment --> IDLE
      any of them -- lost, close, or whatever makes its next answer doubtful --> CLOSED

LEAVING is for a body that nobody wants any more, since it has said everything: the connection reads
it to its end alone, and can be used again.

What a read brings is parsed first and told afterwards, in one `head`, one `data` and one `end` or
`lost` at most, so that nobody is called while the parser is at work; `chunks` go by it.

A connection on which anything comes while it is idle, or behind an answer's end, is closed.
"""

import asyncio
from collections.abc import Callable
from select import POLLIN, poll
from socket import socket
from typing import TYPE_CHECKING, Final, cast

from exo_supervisor.http.chunks import CHUNKS, LONGEST, NO_CHUNK, is_one
from exo_supervisor.http.faults import HttpError, NetworkFault, Stage, name_fault
from exo_supervisor.http.response_reader import Outcome, ResponseReader
from exo_supervisor.http.state import State

if TYPE_CHECKING:
    from exo_supervisor.http.call import Call, Key

PART: Final = 262_144
"""Bytes of a body that are handed to the transport at once; the next when those are under way."""
LARGE_READ: Final = 65_536
"""Bytes of one read that are enough for a turn of the loop: uvloop would bring up to 8 MB in one,
32 reads of up to 256,000 bytes each."""
LEAVE_SECONDS, LEAVE_BYTES = 0.2, 65_536
"""What a body that has said everything may take to end, for its connection to be used again."""
_FORGOTTEN: Final = frozenset({NetworkFault.RESET, NetworkFault.TIMEOUT})
"""What a connection that was kept ends in when the other side had closed it before."""

# A member of an Enum costs a look-up by its class each time.
_IDLE, _SENDING, _READING = State.IDLE, State.SENDING, State.READING
_LEAVING, _CLOSED = State.LEAVING, State.CLOSED
_UNDER_WAY, _WHOLE, _BROKEN = Outcome.UNDER_WAY, Outcome.WHOLE, Outcome.BROKEN


class Connection(asyncio.Protocol):
    """`at_rest` is called when it can carry a next request, `at_end` once when it is closed.

    `resend` is given a call whose request was lost with no byte of an answer on a connection that
    had served before. Nearly always its peer had let it go before it read the request. RFC 9112,
    9.3.1 grants another try to idempotent methods alone; a POST is tried again, too, since a chat
    that ran twice costs tokens and one that is refused costs its answer. A peer that died of this
    very request looks the same, once: on a fresh connection it is told.
    """

    __slots__ = (
        "_at_end", "_at_rest", "_between_chunks", "_headed", "_leaving", "_left_bytes", "_look",
        "_paused", "_reader", "_resend", "_transport", "_unsent", "_writable", "call", "idle_since",
        "key", "requests", "state",
    )  # fmt: skip

    def __init__(
        self,
        key: "Key",
        at_rest: "Callable[[Connection], None]",
        at_end: "Callable[[Connection], None]",
        resend: "Callable[[Call], None]",
    ) -> None:
        self.key = key
        self.state, self.requests = _IDLE, 0
        self.idle_since: float  # set by the pool, as it comes to rest
        self._at_rest, self._at_end, self._resend = at_rest, at_end, resend
        self._transport: asyncio.Transport | None = None
        self.call: Call | None = None
        """Whose answer it brings, and who is told of it, while it is SENDING or READING."""
        self._headed = False  # of the head it was told
        self._between_chunks = False  # stands the parser, for all that it has seen
        self._leaving: asyncio.TimerHandle | None = None
        self._left_bytes = 0  # bytes of a body that is left to end
        self._look = poll()
        self._unsent: memoryview[int] = memoryview(b"")  # of the body that is being sent
        self._writable, self._paused = True, False
        self._reader = ResponseReader()

    def __repr__(self) -> str:
        return f"<Connection {self.key[0]} {self.state.name}, {self.requests} requests>"

    # ---------------------------------------------------------------- what its owner does

    def send(self, call: "Call") -> None:
        """Send a request; raises RuntimeError while another has its answer to come.

        One that is closed calls `lost` before this returns. A connection that was used before and
        ends without a byte has the request sent again, and tells nobody.
        """
        if self.state is not _IDLE and self.state is not _CLOSED:
            raise RuntimeError(f"{self} has an answer to bring first")
        self.call, call.connection = call, self
        self._headed = self._between_chunks = False
        self._reader.reset()
        if self._transport is None:
            self._lose(NetworkFault.RESET)
            return
        self.requests += 1
        body = call.body
        if len(body) <= PART:
            self.state = _READING
            data = call.head + body
            call.sent += len(data)
            self._transport.write(data)
        else:
            self.state = _SENDING
            self._unsent = memoryview(body)
            call.sent += len(call.head)
            self._transport.write(call.head)
            self._send_on()

    def is_fit(self) -> bool:
        """Say whether it may carry a request: nothing came since, its end included."""
        return self.state is _IDLE and not self._look.poll(0)

    def leave(self) -> None:
        """Tell nobody of the rest of the body: it ends within a moment, or the connection does."""
        if self.call is not None:
            self.call.sent += len(self._unsent)  # goes out without it
            self.state, self.call = _LEAVING, None
            self._left_bytes = 0
            if self._reader.outcome is _UNDER_WAY:  # else the same read has brought its end
                loop = asyncio.get_running_loop()
                self._leaving = loop.call_later(LEAVE_SECONDS, self.close)
            self.resume_reading()

    def pause_reading(self) -> None:
        """Read no more for now: whoever listens cannot keep up."""
        if self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._transport is not None and self._paused:
            self._paused = False
            self._transport.resume_reading()

    def close(self) -> None:
        """Close at once; nobody is told of it."""
        self.call = None
        self._shut()

    def fail(self, fault: NetworkFault, detail: str = "") -> None:
        """Close at once, and tell whoever listens why."""
        call, self.call = self.call, None
        self._shut()
        if call is not None:
            stage = Stage.BODY if self._headed else Stage.HEAD
            call.listener.lost(HttpError(fault, stage, detail))

    def option(self, set_on: Callable[[socket], None]) -> None:
        """Have an option set on the socket below."""
        if self._transport is not None:
            set_on(cast("socket", self._transport.get_extra_info("socket")))

    # ---------------------------------------------------------------- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to be idle."""
        self._transport = cast("asyncio.Transport", transport)
        self._look.register(transport.get_extra_info("socket").fileno(), POLLIN)

    def data_received(self, data: bytes) -> None:
        """Parse what came and tell of it."""
        call = self.call
        if self._between_chunks and call is not None and (take := call.take_chunk) is not None:
            head, size = CHUNKS[len(data)] if len(data) < LONGEST else NO_CHUNK
            if size and take(data, head, size):
                return
            self._between_chunks = False
        if call is None and self.state is not _LEAVING:  # nothing was asked
            self._shut()
            return
        reader = self._reader
        reader.feed(data)
        if not self._headed and reader.status:
            self._headed = True
            if call is not None:
                call.body = b""  # it is never sent again now, and may be long
                call.listener.head(reader.status, reader.headers)
        if got := reader.got:
            # Whoever takes chunks was told of a part of the body by an earlier read.
            takes = call is not None and call.take_chunk is not None
            self._between_chunks = takes and is_one(data, got)
            body = b"".join(got)  # told in one piece
            got.clear()
            if (call := self.call) is not None:
                call.listener.data(body)
            else:
                self._pass_over(body)
        if reader.outcome is not _UNDER_WAY:
            self._complete_answer(reader.outcome)
        if len(data) >= LARGE_READ:
            self._read_on_next_turn()

    def eof_received(self) -> None:
        """Take in that no more comes; of a body without a length this is the end."""
        reader = self._reader
        if self._headed and reader.ends_with_connection():
            self._complete_answer(Outcome.LAST)
        elif self._headed:
            self._lose(NetworkFault.PAYLOAD, "the body ended early")
        else:
            self._lose(NetworkFault.RESET)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take in that the connection is gone."""
        self._transport = None
        if exc is None:  # behind TLS a loop may not tell of an end in any other way
            self.eof_received()
            return
        fault = name_fault(exc)  # NO_ROUTE is what it calls the rest: there was a route, this far
        self._lose(NetworkFault.RESET if fault is NetworkFault.NO_ROUTE else fault)

    def pause_writing(self) -> None:
        """Send no further part."""
        self._writable = False

    def resume_writing(self) -> None:
        """Send on."""
        self._writable = True
        self._send_on()

    # ---------------------------------------------------------------- within

    def _read_on_next_turn(self) -> None:
        """Let others have a turn: all that uvloop reads in this one may be tiny events to parse."""
        if self._transport is not None and not self._paused:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        if self._transport is not None and not self._paused:
            self._transport.resume_reading()

    def _send_on(self) -> None:
        """Write part by part while the transport takes them."""
        while self._unsent and self._writable and self._transport is not None:
            part, self._unsent = self._unsent[:PART], self._unsent[PART:]
            if self.call is not None:
                self.call.sent += len(part)
            self._transport.write(part)
        if not self._unsent and self.state is _SENDING:
            self.state = _READING

    def _pass_over(self, data: bytes) -> None:
        self._left_bytes += len(data)
        if self._left_bytes > LEAVE_BYTES:
            self._shut()

    def _complete_answer(self, outcome: Outcome) -> None:
        """Be at rest, if all was sent and nothing is doubtful; then tell of the end."""
        if outcome is _BROKEN:
            self._lose(NetworkFault.PAYLOAD)
            return
        call, self.call = self.call, None
        if outcome is _WHOLE and self.state is not _CLOSED and not self._unsent:
            if self.state is _LEAVING:
                self._stop_leaving()
            self.state = _IDLE
            if self._paused:
                self.resume_reading()  # an idle connection hears its end
            self._at_rest(self)
        else:
            self._shut()
        if call is not None:
            call.listener.end()

    def _lose(self, fault: NetworkFault, detail: str = "") -> None:
        """Fail the call, unless it was lost on a connection that had been dead before."""
        call = self.call
        was_dead = self.requests > 1 and not self._reader.begun and fault in _FORGOTTEN
        if call is not None and was_dead:
            self.close()
            self._resend(call)
        else:
            self.fail(fault, detail)

    def _shut(self) -> None:
        if self.state is _CLOSED:
            return
        self.state = _CLOSED
        self._unsent = memoryview(b"")
        self._stop_leaving()
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        self._at_end(self)

    def _stop_leaving(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
