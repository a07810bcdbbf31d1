"""Writes answers, one at a time, and frames each for its client to know where it ends.

A part of an answer is one write, and so is its last part with the end.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING

from exo_supervisor.http.head import Head
from exo_supervisor.http.request_reader import RequestReader
from exo_supervisor.http.server_transport import ServerTransport, State
from exo_supervisor.http.service import Handler

if TYPE_CHECKING:
    from exo_supervisor.http.server import Server


class ResponseWriter(ServerTransport):
    """What the handler of a request has of its connection."""

    __slots__ = (
        "_chunked", "_continued", "_handler", "_head", "_keep", "_left", "_reader", "_started",
        "_waiting",
    )  # fmt: skip

    def __init__(self, server: "Server") -> None:
        super().__init__(server)
        self._reader = RequestReader(server.known)
        self._handler: Handler | None = None
        self._head: Head | None = None  # of the request that is being answered
        self._waiting = bytearray()  # what stands behind it
        self._keep: bool  # set by each head
        self._continued = False
        self._started: bytes | None = None  # an answer's head that waits for the first bytes
        self._chunked = False
        self._left: int | None = None  # of an answer with a length

    @property
    def target(self) -> bytes:
        """What the last request was for, as it was sent; b"" where it could not be read."""
        return b"" if self._head is None else self._head.target

    def send_continue(self) -> None:
        """Ask for the body, where the client waits to be asked."""
        if self._head is not None and self._head.expects_continue and not self._reader.complete:
            self._continued, self._started = True, b"HTTP/1.1 100 Continue\r\n\r\n"
            self._send(b"")
            self._started = None

    def start(self, head: bytes, length: int | None = None) -> None:
        """Begin the answer; nothing is sent before the first bytes of its body, or its end.

        `head` is the status line for HTTP/1.1 and header lines, each with its CRLF, without `date`,
        `connection`, `content-length` and `transfer-encoding`. Without a length it goes in chunks.
        """
        request, server = self._head, self._server
        if request is None or self._started is not None:
            raise RuntimeError(f"{self} has no request to answer")
        is_old, self._left = request.is_old, length
        self._chunked = length is None and not is_old
        if (
            (self._saw_eof and self.state is State.WHOLE and not self._waiting)
            or server.draining
            or (is_old and length is None)
            # The next bytes may be its body, or its next request.
            or (request.expects_continue and not (self._continued or self._reader.complete))
        ):
            self._keep = False
        self._started = frame_head(head, server.date(), length, is_old=is_old, keep=self._keep)

    def write(self, data: bytes) -> None:
        """Send a part of the answer in one write; it is not empty."""
        if self._chunked:  # in a line, as the sending: a token costs two calls less
            data = b"%x\r\n%b\r\n" % (len(data), data)
        elif self._left is not None:
            self._left -= len(data)
        if self._started != b"":
            self._send(data)
        elif not self._transport.is_closing():
            self._transport.write(data)

    def finish(self, data: bytes = b"") -> None:
        """Send the last part and the end in one write."""
        if self._chunked:
            data = last_chunks(data)
        elif self._left is not None and self._left != len(data):
            self.abort()
            raise RuntimeError(f"{self} was promised an answer of another length")
        self._send(data)
        self._handler = None
        self._end_answer()

    def abort(self) -> None:
        """Cut the connection at once: what was not sent yet is lost."""
        self._handler = None
        self.drop()

    def abort_after(self, data: bytes, seconds: float) -> None:
        """Send last words, then close without an end, so that nobody takes the answer for whole."""
        if data:
            self.write(data)
        self._handler = None
        self._close(seconds)

    def _send(self, data: bytes) -> None:
        """Write, behind the answer's head if that has yet to go out."""
        started = self._started
        if started is None:
            raise RuntimeError(f"{self} has no answer begun")
        if started:
            data = started + data
            self._started = b""
        if data and not self._transport.is_closing():
            self._transport.write(data)

    @abstractmethod
    def _end_answer(self) -> None:
        """Go on to the next request, or close."""


def frame_head(head: bytes, date: bytes, length: int | None, *, is_old: bool, keep: bool) -> bytes:
    """Complete an answer's head; without a length the body goes in chunks, or ends by a close."""
    if is_old:
        head = head.replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    framing = b""
    if length is not None:
        framing = b"content-length: %d\r\n" % length
    elif not is_old:
        framing = b"transfer-encoding: chunked\r\n"
    if not keep:
        framing += b"connection: close\r\n"
    elif is_old:
        framing += b"connection: keep-alive\r\n"
    return head + date + framing + b"\r\n"


def last_chunks(data: bytes) -> bytes:
    """Frame the last part of a body, which may be empty, and its end."""
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"
