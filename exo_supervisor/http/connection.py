"""One HTTP/1.1 connection of a client: a state, a parser, and somebody who is called back.

    IDLE -- send --> SENDING -- all is written --> READING -- the answer's end --> IDLE
      any of them -- lost, close, or whatever makes its next answer doubtful --> CLOSED

A body that nobody wants any more, since it has said everything, is read to its end by the
connection alone, for a moment: then it can be used again.

What a read brings is parsed first and told afterwards, in one `head`, one `data` and one `end` or
`lost` at most, so that nobody is called while the parser is at work.

Nothing that came before a request was sent may ever pass for its answer (a 408, an answer written
twice): a connection on which anything comes while it is idle, or behind an answer's end, is closed.
"""

import asyncio
from collections.abc import Callable
from enum import Enum
from select import POLLIN, poll
from socket import socket
from typing import TYPE_CHECKING, Final, Protocol, cast

import httptools

from exo_supervisor.http.faults import HttpError, NetworkFault, Stage, name_fault

if TYPE_CHECKING:
    from exo_supervisor.http.call import Call

MAX_HEAD_BYTES: Final = 65_536
"""Bytes of a head, of trailers, and of what chunks say beside their data."""
MAX_INTERIM: Final = 32
"""Interim heads (RFC 9110, section 15.2) before an answer's own; a hint or two is usual."""
PART: Final = 262_144
"""Bytes of a body that are handed to the transport at once; the next when those are under way."""
LARGE_READ: Final = 65_536
"""Bytes of one read that are enough for a turn of the loop.

uvloop would bring up to 32 in one turn, each of up to 256,000 bytes: 8 MB."""
LEAVE_SECONDS: Final = 0.2
"""Seconds that a body which has said everything has to end, for its connection to be used again."""
LEAVE_BYTES: Final = 65_536
"""Bytes that may come in them."""
_FORGOTTEN: Final = frozenset({NetworkFault.RESET, NetworkFault.TIMEOUT})
"""What a connection that was kept ends in when the other side had closed it before."""
_CONTINUE, _SWITCHING, _FINAL = 100, 101, 200


class State(Enum):
    """What a connection is doing."""

    IDLE = "idle"
    SENDING = "sending"
    READING = "reading"
    CLOSED = "closed"


# A member of an Enum costs a look-up by its class each time.
_IDLE, _SENDING, _READING, _CLOSED = State.IDLE, State.SENDING, State.READING, State.CLOSED


class Listener(Protocol):
    """Who waits for an answer: a head, then data, then one end or one loss; nothing after it."""

    def head(self, status: int, headers: dict[str, str]) -> None:
        """Take the head in; names are in lower case, and of a repeated one the last is left."""
        ...

    def data(self, data: bytes) -> None:
        """Take in what one read brought of the body; it is not empty."""
        ...

    def end(self) -> None:
        """Take in that the answer was whole."""
        ...

    def lost(self, error: HttpError) -> None:
        """Take in that no more comes, and why."""
        ...


class _UnwantedError(Exception):
    """Stops the parser where it stands."""


class Connection(asyncio.Protocol):
    """`at_rest` is called when it can carry a next request, `at_end` once when it is closed."""

    def __init__(
        self,
        name: str,
        at_rest: "Callable[[Connection], None]",
        at_end: "Callable[[Connection], None]",
    ) -> None:
        self.name = name
        self.state = _IDLE
        self.requests = 0
        self.heard = False
        """Whether a byte came for the request that runs, or ran last."""
        self.idle_since = 0.0
        self._at_rest, self._at_end = at_rest, at_end
        self._transport: asyncio.Transport | None = None
        self._listener: Listener | None = None
        self.call: Call | None = None
        """Whose answer it brings; None once that has ended."""
        self._leaving: asyncio.TimerHandle | None = None
        self._left_bytes = 0  # bytes of a body that is left to end
        self._look = poll()
        self._unsent = memoryview(b"")  # of the body that is being sent
        self._writable = True
        self._fields: dict[bytes, bytes] = {}
        self._headers: dict[str, str] = {}
        self._got: list[bytes] = []
        self._paused = False
        self.on_header = self._fields.__setitem__  # httptools calls these two: no frame of ours
        self.on_body = self._got.append
        self._parser = httptools.HttpResponseParser(self)
        self._new_answer()

    def __repr__(self) -> str:
        return f"<Connection {self.name} {self.state.name}, {self.requests} requests>"

    # ---------------------------------------------------------------- what its owner does

    def send(
        self, listener: Listener, head: bytes, body: bytes, call: "Call | None" = None
    ) -> None:
        """Send a request; raises RuntimeError while another has its answer to come.

        One that is closed calls `lost` before this returns. A connection that was used before and
        ends without a byte has the `call` sent again, if there is one, and calls nothing.
        """
        if self.state in (_SENDING, _READING):
            raise RuntimeError(f"{self} has an answer to bring first")
        self._listener, self.call = listener, call
        if self._transport is None:
            self._headed = False
            self._lose(NetworkFault.RESET)
            return
        self.requests += 1
        self.heard = False
        self._new_answer()
        if len(body) <= PART:
            self.state = _READING
            self._transport.write(head + body)
        else:
            self.state = _SENDING
            self._unsent = memoryview(body)
            self._transport.write(head)
            self._send_on()

    def is_fit(self) -> bool:
        """Say whether it may carry a request: nothing came since, its end included."""
        if self.state is not _IDLE or self._transport is None or self._transport.is_closing():
            return False
        return not self._look.poll(0)

    def leave(self) -> None:
        """Tell nobody of the rest of the body: it ends within a moment, or the connection does."""
        if self._listener is not None:
            self._listener = self.call = None
            self._left_bytes = 0
            self._leaving = asyncio.get_running_loop().call_later(LEAVE_SECONDS, self.close)
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
        self._listener = self.call = None
        self._shut()

    def abort(self) -> None:
        """Close at once, and tell whoever listens."""
        self._lose(NetworkFault.RESET)

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
        if self._listener is None and self._leaving is None:
            self._shut()
            return
        self.heard = True
        self._overhead += len(data)
        broken = False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            broken = not self._complete  # what stands behind a whole answer is not its fault
            self._clean = False
        if self._status and not self._headed:
            self._headed = True
            if self._listener is not None:
                self._listener.head(self._status, self._headers)
        if self._got:
            self._tell_data()
        if broken or self._overhead > MAX_HEAD_BYTES:
            self._lose(NetworkFault.PAYLOAD)
        elif self._complete:
            self._complete_answer()
        if len(data) >= LARGE_READ:
            self._read_on_next_turn()

    def eof_received(self) -> None:
        """Take in that no more comes; of a body without a length this is the end."""
        if self._headed and not self._framed and not self._complete:
            self._clean = False
            self._complete_answer()
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

    # ---------------------------------------------------------------- what the parser calls

    def on_message_begin(self) -> None:
        """Stop where a second answer begins in the same piece."""
        if self._complete:
            raise _UnwantedError

    def on_headers_complete(self) -> None:
        """Take a head in, and pass over an interim one."""
        status = self._parser.get_status_code()
        if status < _CONTINUE or status == _SWITCHING:
            raise _UnwantedError
        if self._overhead > MAX_HEAD_BYTES and self._head_size() > MAX_HEAD_BYTES:
            raise _UnwantedError
        self._overhead = 0
        if status >= _FINAL:
            self._status = status
            self._read_fields()
        else:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise _UnwantedError
        self._fields.clear()  # trailers may follow, and are nobody's headers

    def on_message_complete(self) -> None:
        """Take in that an answer is whole; interim heads are complete, too."""
        if self._status:
            self._complete = True
            self._clean = self._clean and self._parser.should_keep_alive()

    # ---------------------------------------------------------------- within

    def _read_on_next_turn(self) -> None:
        """Let others have a turn: all that uvloop reads in this one may be tiny events to parse."""
        if self._transport is not None and not self._paused:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        if self._transport is not None and not self._paused:
            self._transport.resume_reading()

    def _new_answer(self) -> None:
        """Forget the last answer: nothing of it may speak for the next."""
        self._status = self._interim = self._overhead = 0
        self._headed = self._complete = self._framed = False
        self._clean = True
        self._fields.clear()
        self._got.clear()

    def _send_on(self) -> None:
        """Write part by part while the transport takes them."""
        while self._unsent and self._writable and self._transport is not None:
            part, self._unsent = self._unsent[:PART], self._unsent[PART:]
            self._transport.write(part)
        if not self._unsent and self.state is _SENDING:
            self.state = _READING

    def _tell_data(self) -> None:
        """Tell of all the data that a read brought, in one piece."""
        got = self._got
        data = got[0] if len(got) == 1 else b"".join(got)
        got.clear()
        self._overhead = 0
        if self._listener is not None:
            self._listener.data(data)
        else:
            self._left_bytes += len(data)
            if self._left_bytes > LEAVE_BYTES:
                self._shut()

    def _head_size(self) -> int:
        """Count the bytes of a head: what one read brought may be the body for the most part."""
        return sum(map(len, self._fields)) + sum(map(len, self._fields.values()))

    def _read_fields(self) -> None:
        self._headers = headers = {
            name.lower().decode("latin-1"): value.decode("latin-1")
            for name, value in self._fields.items()
        }
        self._framed = "content-length" in headers or (
            headers.get("transfer-encoding", "").lower().endswith("chunked")
        )

    def _complete_answer(self) -> None:
        """Be at rest, if all was sent and nothing is doubtful; then tell of the end."""
        listener, self._listener, self.call = self._listener, None, None
        if self._clean and self.state is _READING:
            self.state = _IDLE
            if self._leaving is not None:
                self._stop_leaving()
            if self._paused:
                self.resume_reading()  # an idle connection hears its end
            self._at_rest(self)
        else:
            self._shut()
        if listener is not None:
            listener.end()

    def _lose(self, fault: NetworkFault, detail: str = "") -> None:
        listener, self._listener = self._listener, None
        call, self.call = self.call, None
        self._shut()
        if listener is None:
            return
        forgotten = self.requests > 1 and not self.heard and fault in _FORGOTTEN
        if call is not None and forgotten:
            call.send_again()
        else:
            listener.lost(HttpError(fault, Stage.BODY if self._headed else Stage.HEAD, detail))

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
