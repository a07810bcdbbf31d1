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
from enum import Enum
from socket import AF_UNIX, socket
from typing import TYPE_CHECKING, Final, Protocol, cast

from exo_supervisor.http.head import BadHeadError, Head
from exo_supervisor.http.peer import bytes_wait, has_left, user_of
from exo_supervisor.http.request_reader import BadBodyError, RequestReader

if TYPE_CHECKING:
    from exo_supervisor.http.server import Server

MAX_PIPELINED: Final = 65_536
"""Bytes behind a request that are kept until it is answered; then no more is read."""
LINGER: Final = 10.0
"""Seconds in which the rest of a body may come that nobody reads, for its connection to go on."""
LAST_READ: Final = 2.0
"""Seconds for which is passed over what a client sends behind something that was no HTTP."""
LAST_TAKE: Final = 75.0
"""Seconds in which a client may take the last bytes that it was sent."""
LEFT_FIRST, LEFT_EVERY = 0.01, 0.25
"""Seconds until it is looked whether a client that is not read from has left, and between looks."""


class Handler(Protocol):
    """One request's other side; it is called back and never awaited."""

    def data(self, data: bytes) -> None:
        """Take in what one read brought of the body; it is not empty."""
        ...

    def end(self) -> None:
        """Take in that the request is whole."""
        ...

    def broken(self) -> None:
        """Take in that the body is no HTTP: an answer is expected, the connection's last."""
        ...

    def writable(self) -> None:
        """Take in that the client reads again, after `full`."""
        ...

    def gone(self) -> None:
        """Take in that the client left; nothing that is written arrives."""
        ...


class State(Enum):
    """What a connection is doing."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    WHOLE = "whole"
    REST = "rest"
    HANDED_OVER = "handed over"
    CLOSING = "closing"
    CLOSED = "closed"


# A member of an Enum costs a look-up by its class each time; these are looked at with every byte.
_IDLE, _HEAD, _BODY, _WHOLE = State.IDLE, State.HEAD, State.BODY, State.WHOLE
_REST, _CLOSING = State.REST, State.CLOSING
_UNANSWERED = (_BODY, _WHOLE)


class ServerConnection(asyncio.Protocol):
    """One client's connection; the handler of its request writes through it."""

    __slots__ = (
        "_broken", "_chunked", "_continued", "_handler", "_head", "_keep", "_left", "_loop",
        "_paused", "_read_paused", "_reader", "_resting", "_saw_eof", "_server", "_started",
        "_timer", "_transport", "_waiting", "_watched", "full", "has_head", "on_tcp", "requests",
        "state", "uid",
    )  # fmt: skip

    def __init__(self, server: "Server") -> None:
        self.state = _IDLE
        self.requests = 0
        self.uid: int | None = None
        """The user at the other end of a Unix socket."""
        self.on_tcp = False
        self.full = False
        """Whether the client has yet to take much of what it was sent."""
        self.has_head = False
        """Whether the head of a request has ever come."""
        self._server, self._loop, self._resting = server, server.loop, server.resting
        self._transport: asyncio.Transport | None = None
        self._reader = RequestReader(server.known)
        self._handler: Handler | None = None
        self._head: Head | None = None  # of the request that is being answered
        self._waiting = bytearray()  # what stands behind it
        self._keep = True
        self._broken = False  # nobody knows what comes next
        self._continued = False
        self._started: bytes | None = None  # an answer's head that waits for the first bytes
        self._chunked = False
        self._left: int | None = None  # of an answer with a length
        self._timer: asyncio.TimerHandle | None = None
        self._read_paused = self._paused = self._saw_eof = self._watched = False

    def __repr__(self) -> str:
        return f"<ServerConnection {self.state.name}, {self.requests} requests>"

    # ---------------------------------------------------------------- what a handler does

    @property
    def buffered(self) -> int:
        """Bytes that the client has yet to take."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send_continue(self) -> None:
        """Ask for the body, where the client waits to be asked."""
        if self._head is not None and self._head.expects_continue and not self._reader.complete:
            self._continued, self._started = True, b"HTTP/1.1 100 Continue\r\n\r\n"
            self._send(b"")
            self._started = None

    def start(self, head: bytes, *, length: int | None = None) -> None:
        """Begin the answer; nothing is sent before the first bytes of its body, or its end.

        `head` is the status line for HTTP/1.1 and header lines, each with its CRLF, without `date`,
        `connection`, `content-length` and `transfer-encoding`. Without a length it goes in chunks.
        """
        request = self._head
        if request is None or self._started is not None:
            raise RuntimeError(f"{self} has no request to answer")
        if request.is_old:
            head = head.replace(b"HTTP/1.1", b"HTTP/1.0", 1)
        is_last = self._saw_eof and self.state is _WHOLE and not self._waiting
        if self._server.draining or is_last:
            self._keep = False
        if request.expects_continue and not (self._continued or self._reader.complete):
            self._keep = False  # the next bytes may be its body, or its next request
        self._chunked, self._left = length is None and not request.is_old, length
        if length is not None:
            framing = b"content-length: %d\r\n" % length
        elif self._chunked:
            framing = b"transfer-encoding: chunked\r\n"
        else:
            framing, self._keep = b"", False
        if not self._keep:
            framing += b"connection: close\r\n"
        elif request.is_old:
            framing += b"connection: keep-alive\r\n"
        self._started = b"%bdate: %b\r\n%b\r\n" % (head, self._server.date(), framing)

    def write(self, data: bytes) -> None:
        """Send a part of the answer in one write; it is not empty."""
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        elif self._left is not None:
            self._left -= len(data)
        self._send(data)

    def finish(self, data: bytes = b"") -> None:
        """Send the last part and the end in one write."""
        if self._chunked:
            data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"
        elif self._left is not None and self._left != len(data):
            self.abort()
            raise RuntimeError(f"{self} was promised an answer of another length")
        self._send(data)
        self._handler = None
        if self._keep and self.state is _WHOLE:
            self._read_paused = False
            self._end_request()
        else:
            self._end_early()

    def abort(self) -> None:
        """Cut the connection at once: what was not sent yet is lost."""
        self._handler = None
        self._cut()

    def abort_after(self, data: bytes, seconds: float) -> None:
        """Send last words, then close without an end, so that nobody takes the answer for whole."""
        self.write(data)
        self._handler = None
        self._close(seconds)

    def pause_reading(self) -> None:
        """Read no more of the body for now."""
        self._read_paused = True
        self._set_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._read_paused = False
        self._set_reading()

    # ---------------------------------------------------------------- what its server does

    def close_idle(self) -> bool:
        """Close, if it is idle; False where bytes are about to be read, or a request is served."""
        served_soon = self._waiting and not self.full
        if self.state not in (_IDLE, _HEAD) or served_soon or bytes_wait(self._socket()):
            return False
        self._close(LAST_TAKE)
        return True

    def drain(self) -> None:
        """Close as soon as what runs is answered."""
        self._keep = False
        if self.state is _CLOSING and self._transport is not None:
            self._transport.close()
        elif self.state in (_IDLE, _HEAD, _REST) and not self._waiting:
            self._close(LAST_TAKE)

    def drop(self) -> None:
        """Cut the connection; whoever handles its request is told."""
        self._cut()

    # ---------------------------------------------------------------- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Come in, if there is a place; on TCP the first head is waited for only so long."""
        self._transport = cast("asyncio.Transport", transport)
        peer = self._socket()
        self.on_tcp = peer.family != AF_UNIX
        self.uid = user_of(peer)
        if not self._server.enter(self):
            self._cut()
        elif self.on_tcp:
            self._loop.call_later(self._server.head_wait, self._look_for_head, True)  # noqa: FBT003

    def data_received(self, data: bytes) -> None:
        """Take bytes in."""
        if self._waiting or (self.full and self._handler is None):
            self._keep_waiting(data)
            return
        while data:
            state = self.state
            if state is _IDLE or state is _HEAD:
                data = self._take_head(data)
            elif state is _BODY or state is _REST:
                data = self._take_body(data)
            else:
                if state is _WHOLE:
                    self._keep_waiting(data)
                return

    def eof_received(self) -> bool:
        """Answer one who has only said that it will send no more, as `nc -N` does.

        On a Unix socket that can be told from a leave; on TCP it cannot, and counts as one. A
        request whose body is not all there can never be answered.
        """
        whole = self.state is _WHOLE or bool(self._waiting)
        if whole and not self.on_tcp and not has_left(self._socket()):
            self._saw_eof = True
            self._watch(LEFT_FIRST)
        elif self._handler is not None:  # a mere close would first wait for it to take the rest
            self._cut()
        elif self.state is _CLOSING and self._transport is not None:
            self._transport.close()
        else:
            self._close(LAST_TAKE)
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- gone is gone
        """Take in that the connection is gone."""
        handler, self._handler = self._handler, None
        self.state = State.CLOSED
        self._transport = None
        self._waiting.clear()
        self._stop_timer()
        self._server.leave(self)
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

    def _take_head(self, data: bytes) -> bytes:
        reader = self._reader
        try:
            rest = reader.take_head(data)
        except BadHeadError as bad:
            self._refuse(str(bad))
            return b""
        head = reader.head
        if head is None:
            self.state = _HEAD if reader.has_begun else _IDLE
            return rest
        self._resting.pop(self, None)
        self.has_head = True
        self.requests += 1
        self._head, self._keep = head, head.keeps_alive
        if reader.complete:
            self.state = _WHOLE
            rest = self._leave_waiting(rest)
        else:
            self.state = _BODY
        handler = self._server.service.accept(head, self)
        if handler is None:
            self._hand_over(reader.raw + rest)
            return b""
        if self._head is head and self.state in _UNANSWERED:
            self._handler = handler
            if self.state is _WHOLE:
                self._loop.call_soon(self._tell_end, handler)
        return rest

    def _take_body(self, data: bytes) -> bytes:
        handler = self._handler
        try:
            got, rest = self._reader.take_body(data)
        except BadBodyError:
            self._break_body(handler)
            return b""
        if self._reader.complete:
            rest = self._leave_waiting(rest)
            if handler is None:
                self._stop_timer()
                self._end_request()
                return rest
            self.state = _WHOLE
            self._loop.call_soon(self._tell_end, handler)
        if got and handler is not None:
            handler.data(got)
        return rest

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
            self._close(LAST_TAKE)
        else:
            self.state = _WHOLE
            handler.broken()

    def _refuse(self, text: str) -> None:
        """Have a request refused that no handler will see; the connection ends with it."""
        self._resting.pop(self, None)
        self._head = Head(b"", b"", {}, (), is_old=False)
        self.state, self._keep, self._broken = _WHOLE, False, True
        self._server.service.refuse(self, text)

    def _hand_over(self, data: bytes) -> None:
        """Let another protocol have the transport, and all that was read and is not answered."""
        transport = self._transport
        if transport is None:
            return
        self.state = State.HANDED_OVER
        data += self._waiting
        self._waiting.clear()
        self._set_reading()
        protocol = self._server.hand_over(self)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)
        if self._saw_eof and not protocol.eof_received():
            transport.close()

    # ---------------------------------------------------------------- one after the other

    def _keep_waiting(self, data: bytes) -> None:
        if self._keep:
            self._waiting += data
            self._set_reading()

    def _leave_waiting(self, rest: bytes) -> bytes:
        """Let what stands behind a whole request wait for the answer, one given at once included.

        Else a read's worth of requests that are refused by their heads would be one turn's work.
        """
        if rest:
            self._keep_waiting(rest)
        return b""

    def _take_waiting(self) -> None:
        if self.full or not self._waiting:
            return
        data = bytes(self._waiting)
        self._waiting.clear()
        self._set_reading()
        self.data_received(data)
        if self._saw_eof and self.state in (_HEAD, _BODY):  # the rest will never come
            self._cut()
        elif self._saw_eof and self.state is _REST:
            self._close(LAST_TAKE)

    def _end_early(self) -> None:
        """Pass over what is left of the body, or close."""
        self._read_paused = False
        if self.state is _BODY and self._keep:
            self.state = _REST
            self._timer = self._loop.call_later(LINGER, self._cut)
            self._set_reading()
        elif self.state is _BODY or self._broken:
            self._close_gently()
        else:
            self._close(LAST_TAKE)

    def _end_request(self) -> None:
        self.state = _IDLE
        self._head = self._started = None
        self._continued = False
        self._resting[self] = self._loop.time()
        if not self._server.is_watching:
            self._server.watch_idle()
        if self._waiting:
            self._loop.call_soon(self._take_waiting)
        elif self._saw_eof:
            self._close(LAST_TAKE)

    # ---------------------------------------------------------------- bytes and their ends

    def _send(self, data: bytes) -> None:
        """Write, behind the answer's head if that has yet to go out."""
        started, transport = self._started, self._transport
        if started is None:
            raise RuntimeError(f"{self} has no answer begun")
        if started:
            data = started + data
            self._started = b""
        if data and transport is not None and not transport.is_closing():
            transport.write(data)

    def _set_reading(self) -> None:
        """Read, unless the handler or what is pipelined says not to."""
        paused = self._read_paused or len(self._waiting) > MAX_PIPELINED
        if self._transport is None or paused is self._paused or self._transport.is_closing():
            return
        self._paused = paused
        if paused:
            self._transport.pause_reading()
            self._watch(LEFT_EVERY)
        else:
            self._transport.resume_reading()

    def _close(self, seconds: float) -> None:
        """Close when all is sent; who does not take it in so many seconds is cut."""
        if self._transport is not None and self.state is not _CLOSING:
            self.state = _CLOSING
            self._resting.pop(self, None)
            self._stop_timer()
            self._timer = self._loop.call_later(seconds, self._cut)
            self._transport.close()

    def _close_gently(self) -> None:
        """Close for writing, and pass over what is still on its way.

        A socket that is closed with bytes unread resets its connection, and the client may lose
        the answer over it.
        """
        if self._saw_eof or self._transport is None or self._transport.is_closing():
            self._close(LAST_TAKE)
            return
        self._waiting.clear()
        self._set_reading()
        self.state = _CLOSING
        self._timer = self._loop.call_later(LAST_READ, self._cut)
        self._transport.write_eof()

    def _cut(self) -> None:
        if self._transport is not None:
            self.state = _CLOSING
            self._transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ---------------------------------------------------------------- looks at the socket

    def _socket(self) -> socket:
        assert self._transport is not None  # noqa: S101 -- whoever asks is connected
        return cast("socket", self._transport.get_extra_info("socket"))

    def _look_for_head(self, again: bool) -> None:  # noqa: FBT001 -- called by a timer
        """Cut who has sent no head; a process that was stopped finds heads and timers together."""
        if self.has_head or self._transport is None:
            return
        if again and bytes_wait(self._socket()):
            self._loop.call_later(LEFT_FIRST, self._look_for_head, False)  # noqa: FBT003
        else:
            self._cut()

    def _watch(self, seconds: float) -> None:
        """Look again and again, while nothing is read, whether the client has left."""
        if not self._watched:
            self._watched = True
            self._loop.call_later(seconds, self._look_for_leave)

    def _look_for_leave(self) -> None:
        self._watched = False
        if self._transport is None or self.state in (_CLOSING, State.HANDED_OVER):
            return
        if has_left(self._socket()):
            self._cut()
        elif self._saw_eof or self._paused:
            self._watch(LEFT_EVERY)
