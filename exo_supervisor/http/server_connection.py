"""One HTTP/1.1 connection of a server: whole requests in, one answer after the other out.

    IDLE -- a byte --> HEAD -- its end --> BODY -- its end --> WHOLE -- the answer's end --> IDLE
      IDLE, HEAD -- a route that is not ours --> HANDED_OVER
      BODY -- the answer's end --> REST (of the body is passed over) -- its end --> IDLE
      whatever makes the next head doubtful, and the client's wish --> CLOSING --> CLOSED

The end of a request is told in a next step of the loop: all reads of a turn come first, so that of
many requests none waits for another's work. What is pipelined waits, unread, for its turn.

Nothing is ever called back from within a method that a handler calls.
"""

import asyncio
from typing import TYPE_CHECKING, Final

from exo_supervisor.http.head import BadHeadError, Head
from exo_supervisor.http.leaving import LEFT_EVERY, LEFT_FIRST, only_half_closed, socket_of
from exo_supervisor.http.peer import bytes_wait
from exo_supervisor.http.request_reader import BadBodyError
from exo_supervisor.http.response_writer import ResponseWriter
from exo_supervisor.http.server_transport import State
from exo_supervisor.http.service import Handler, Visitor

if TYPE_CHECKING:
    from exo_supervisor.http.server import Server

MAX_PIPELINED: Final = 65_536
"""Bytes behind a request that are kept until it is answered; then no more is read."""
LINGER: Final = 10.0
"""Seconds in which the rest of a body may come that nobody reads, for its connection to go on."""


# A member of an Enum costs a look-up by its class each time; these are looked at with every byte.
_IDLE, _HEAD, _BODY, _WHOLE = State.IDLE, State.HEAD, State.BODY, State.WHOLE
_REST = State.REST
_UNANSWERED, _UNREAD = (_BODY, _WHOLE), (_BODY, _REST)


class ServerConnection(ResponseWriter):
    """One client's connection; the handler of its request writes through it."""

    __slots__ = ("_broken", "_paused", "_visitor")

    def __init__(self, server: "Server") -> None:
        super().__init__(server)
        self._broken = False  # nobody knows what comes next
        self._paused = False
        self._visitor: Visitor | None = None  # as long as it is let in

    # ---------------------------------------------------------------- what its server does

    def close_idle(self) -> bool:
        """Close, if it is idle; False where bytes are about to be read, or a request is served."""
        served_soon = self._waiting and not self.full
        if not self.is_idle or served_soon or bytes_wait(socket_of(self._transport)):
            return False
        self._close()
        return True

    def drain(self) -> None:
        """Close as soon as what runs, or was sent and is about to be read, is answered."""
        self._keep = False
        if self.state is _REST:
            self._close_gently()
        elif self.is_idle and not self._waiting and not bytes_wait(socket_of(self._transport)):
            self._close()

    # ---------------------------------------------------------------- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Come in, if there is a place; on TCP the first head is waited for only so long."""
        super().connection_made(transport)
        self._visitor = self._server.enter(self)
        if self._visitor is None:
            self.drop()
        elif self.on_tcp:
            self._loop.call_later(self._server.head_wait, self._look_for_head, True)  # noqa: FBT003

    def data_received(self, data: bytes) -> None:
        """Take bytes in."""
        state = self.state
        if self._waiting or state is _WHOLE or (self.full and self._handler is None):
            self._keep_waiting(data)
        elif state is _IDLE or state is _HEAD:
            self._take_head(data)
        elif state is _BODY or state is _REST:
            self._take_body(data)

    def eof_received(self) -> bool:
        """Answer one who has only said that it will send no more, if all of its request is there.

        A request whose body is not can never be answered.
        """
        whole = self.state is _WHOLE or bool(self._waiting)
        if whole and only_half_closed(self._transport):
            self._saw_eof = True
            self._watch_for_leave(LEFT_FIRST)
        elif self._handler is not None:  # a mere close would first wait for it to take the rest
            self.drop()
        elif self.state is State.CLOSING:
            self._transport.close()
        else:
            self._close()
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- gone is gone
        """Take in that the connection is gone."""
        handler, self._handler = self._handler, None
        self.state = State.CLOSED
        self._waiting.clear()
        self._stop_timer()
        self._watch = None  # which refers to us
        self._server.leave(self)
        visitor, self._visitor = self._visitor, None
        if visitor is not None:
            visitor.leave()
        if handler is not None:
            handler.gone()

    def pause_writing(self) -> None:
        """Take in that the client falls behind."""
        self.full = True

    def resume_writing(self) -> None:
        """Take in that the client reads again; what it pipelined goes on then."""
        self.full = False
        if self._handler is not None:  # asyncio loses its way if this very call ends in a close
            self._loop.call_soon(self._tell_writable, self._handler)
        elif self._waiting:
            self._loop.call_soon(self._take_waiting)

    # ---------------------------------------------------------------- requests

    def _take_head(self, data: bytes) -> None:
        reader, visitor = self._reader, self._visitor
        if visitor is None:
            return
        try:
            rest = reader.take_head(data)
        except BadHeadError as bad:
            self._refuse(visitor, str(bad))
            return
        head = reader.head
        if head is None:
            self._wait_for_head()
            return
        self.requests += 1
        self._head, self._keep = head, head.keeps_alive
        if not reader.complete:
            self.state = _BODY
        else:
            self.state = _WHOLE
            if rest:
                self._keep_waiting(rest)
                rest = b""
        handler = visitor.accept(head, reader.length)
        if handler is None:
            self._hand_over(visitor, reader.raw + rest)
            return
        if self._head is head and self.state in _UNANSWERED:
            self._handler = handler
            if self.state is _WHOLE:
                self._loop.call_soon(self._tell_end, handler)
        if rest and self.state in _UNREAD:
            self._take_body(rest)

    def _wait_for_head(self) -> None:
        """Wait for the rest of a head, unless the service ends."""
        self.state = _HEAD if self._reader.has_begun else _IDLE
        if self._server.draining:
            self._close()

    def _take_body(self, data: bytes) -> None:
        reader, handler = self._reader, self._handler
        try:
            got, rest = reader.take_body(data)
        except BadBodyError:
            self._break_body(handler)
            return
        if reader.complete:
            # One that is answered at once included: else a read's worth of requests that are
            # refused by their heads would be one turn's work.
            if rest:
                self._keep_waiting(rest)
            if handler is None:
                self._stop_timer()
                self._end_request()
                return
            self.state = _WHOLE
            self._loop.call_soon(self._tell_end, handler)
        if got and handler is not None:
            handler.data(got)

    def _tell_end(self, handler: Handler) -> None:
        if self._handler is handler:
            handler.end()

    def _tell_writable(self, handler: Handler) -> None:
        if self._handler is handler and not self.full:
            handler.writable()

    def _break_body(self, handler: Handler | None) -> None:
        """Have the handler say what is wrong: of what comes next nobody knows what it is."""
        self._keep, self._broken = False, True
        if handler is None:
            self._close()
        else:
            self.state = _WHOLE
            handler.broken()

    def _refuse(self, visitor: Visitor, text: str) -> None:
        """Have a request refused that no handler will see; the connection ends with it."""
        self._head = Head(b"", self._reader.target, {}, (), is_old=False)
        self.state, self._keep, self._broken = _WHOLE, False, True
        visitor.refuse(text)

    def _hand_over(self, visitor: Visitor, data: bytes) -> None:
        """Let another protocol have the transport, and all that was read and is not answered."""
        if self.state is State.CLOSED:
            return
        transport = self._transport
        self.state = State.HANDED_OVER
        data += self._waiting
        self._waiting.clear()
        self._set_reading()
        self._server.leave(self)
        self._visitor = None
        protocol = visitor.hand_over()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)
        if self._saw_eof and not protocol.eof_received():
            transport.close()

    def _end_answer(self) -> None:
        if self._keep and self.state is _WHOLE:
            self._end_request()
        elif self._keep and self.state is _BODY:
            self.state = _REST
            self._timer = self._loop.call_later(LINGER, self.drop)
        elif self.state is _BODY or self._broken:
            self._close_gently()
        else:
            self._close()

    def _end_request(self) -> None:
        """Be idle, and go on with what is pipelined in another turn."""
        self.state = _IDLE
        self._head = self._started = None
        self._continued = False
        self.idle_since = self._loop.time()
        if self._waiting:
            self._loop.call_soon(self._take_waiting)
        elif self._saw_eof:
            self._close()

    def _keep_waiting(self, data: bytes) -> None:
        if self._keep:
            self._waiting.extend(data)
            self._set_reading()

    def _take_waiting(self) -> None:
        if self.full or not self._waiting:
            return
        data = bytes(self._waiting)
        self._waiting.clear()
        self._set_reading()
        self.data_received(data)
        if self._saw_eof and self.state in (_HEAD, _BODY):  # the rest will never come
            self.drop()
        elif self._saw_eof and self.state is _REST:
            self._close()

    # ---------------------------------------------------------------- its transport

    def _set_reading(self) -> None:
        """Read, unless too much is pipelined."""
        paused = len(self._waiting) > MAX_PIPELINED
        if paused is self._paused or self._transport.is_closing():
            return
        self._paused = paused
        if paused:
            self._transport.pause_reading()
            self._watch_for_leave(LEFT_EVERY)
        else:
            self._transport.resume_reading()

    def _is_unread(self) -> bool:
        return (self._saw_eof or self._paused) and self.state is not State.HANDED_OVER
