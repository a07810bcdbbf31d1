"""One HTTP/1.1 request on a connection of its own, whose close cancels it at the service, too."""

import time

# What `socket` adds to it, enumerations of all that a system knows, costs a third of a verb.
from _socket import AF_INET, AF_INET6, AF_UNIX, SOCK_STREAM, socket
from collections.abc import Iterator, Mapping

from exo_supervisor.client.errors import CutError, NoAnswerError, RefusedError

Address = str | tuple[str, int]
"""A Unix socket's path, or an address and a port."""

CONNECT_TIMEOUT = 2.0

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024
READ_BYTES = 64 * 1024
OK = 200
_INTERIM = range(100, 200)
_STATUS_DIGITS, _LENGTH_DIGITS = 3, 20
_LINE_END = b"\r\n"
_CLOSED = "the connection was closed"


class Response:
    """One answer; `ended` once its framing says that it is whole.

    `status` is 0 until the head is there; the names in `headers` are in lower case.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.ended = False
        self._kept = b""
        self._body = self._plain
        self._left: int | None = None  # of the body, or of a chunk; None: the connection's end ends
        self._in_trailers = False

    @property
    def surplus(self) -> bytes:
        """What came behind the end of a whole answer."""
        return self._kept if self.ended else b""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, return those of the body. Raises NoAnswerError and CutError."""
        data = self._kept + data
        while not self.status:
            head, blank, rest = data.partition(_LINE_END * 2)
            if len(head) > MAX_HEAD_BYTES:
                raise NoAnswerError("its answer's head has no end")
            if not blank:
                self._kept = data
                return b""
            self._begin(head)
            data = rest
        self._kept = b""
        return self._body(data)

    def close(self) -> None:
        """Take in that nothing more comes. Raises NoAnswerError and CutError if it is not whole."""
        if not self.status:
            raise NoAnswerError(_CLOSED)
        if not self.ended and self._left is not None:
            plain = self._body == self._plain
            raise CutError(f"{self._left} bytes are missing" if plain else "its end is missing")
        self.ended = True

    def refused(self, body: bytes) -> RefusedError:
        """Make an error of an answer that is none; `body` is all of it."""
        again, name = (self.headers.get(key, "") for key in ("retry-after", "x-request-id"))
        return RefusedError(self.status, body, again, name)

    def _begin(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        status = rest.partition(" ")[0]
        known = version.startswith("HTTP/1.") and len(status) == _STATUS_DIGITS
        if not known or not (status.isascii() and status.isdigit()):
            raise NoAnswerError("what answers there does not speak HTTP")
        if int(status) in _INTERIM:
            return
        pairs = (line.partition(":") for line in lines)
        self.headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        self.status = int(status)
        length = self.headers.get("content-length", "")
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            self._body, self._left = self._dechunk, 0
        elif length.isascii() and length.isdigit():
            # More digits than Python reads are zeros, or more bytes than anybody has.
            self._left = int(length.lstrip("0")[:_LENGTH_DIGITS] or "0")

    def _plain(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        body, self._kept = data[: self._left], data[self._left :]
        self._left -= len(body)
        self.ended = not self._left
        return body

    def _dechunk(self, data: bytes) -> bytes:
        """Take the chunks apart: each a line with its size, its bytes, and the end of a line.

        `left` counts that end, too. The last one has no bytes, but trailers, which nobody wants.
        """
        parts: list[bytes] = []
        at, left = 0, self._left or 0
        while not self.ended:
            if left > len(_LINE_END):
                part = data[at : at + left - len(_LINE_END)]
                at, left = at + len(part), left - len(part)
                parts.append(part)
            end = data.find(_LINE_END, at)
            if end < 0:
                break
            line, at = data[at:end], end + len(_LINE_END)
            left = self._after(line) if left else self._size(line)
        self._left, self._kept = left, data[at:]
        if len(self._kept) > MAX_HEAD_BYTES:
            raise CutError("a chunk has no end")
        return b"".join(parts)

    def _after(self, line: bytes) -> int:
        if line:
            raise CutError("a chunk is longer than its size")
        return 0

    def _size(self, line: bytes) -> int:
        """Read the line before a chunk, or a trailer: how much to expect behind it."""
        if self._in_trailers:
            self.ended = not line
            return 0
        digits = line.partition(b";")[0].strip()
        if not digits or digits.strip(b"0123456789abcdefABCDEF"):
            raise CutError("a chunk has no size")
        size = int(digits, 16)
        self._in_trailers = not size
        return size and size + len(_LINE_END)


class Answer:
    """One good answer of the service; `close` cancels it at the service, too."""

    def __init__(self, connection: socket, response: Response, body: bytes, until: float) -> None:
        self._connection, self.response, self._until = connection, response, until
        self._body = body

    def header(self, name: str) -> str:
        return self.response.headers.get(name, "")

    def parts(self) -> Iterator[bytes]:
        """Yield the body as it comes. Raises CutError if it breaks off."""
        yield self._body
        while not self.response.ended:
            try:
                yield _receive(self._connection, self.response, self._until)
            except OSError as error:
                raise CutError(reason_of(error)) from error

    def fileno(self) -> int:
        """Return what becomes readable when more has come."""
        return self._connection.fileno()

    def whole(self) -> bytes:
        """Return the whole body. Raises CutError if it breaks off, or is absurdly long."""
        parts: list[bytes] = []
        size = 0
        for part in self.parts():
            parts.append(part)
            size += len(part)
            check_size(size)
        return b"".join(parts)

    def close(self) -> None:
        self._connection.close()


def check_size(size: int) -> None:
    """Refuse a body that is absurdly long. Raises CutError."""
    if size > MAX_BODY_BYTES:
        raise CutError(f"over {MAX_BODY_BYTES} bytes", "the service's answer is too long")


def connect(address: Address, timeout: float) -> socket:
    """Connect. Raises OSError, and ValueError for what is no address."""
    tcp = AF_INET6 if ":" in address[0] else AF_INET
    connection = socket(AF_UNIX if isinstance(address, str) else tcp, SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def send(connection: socket, request: bytes, *, timeout: float | None) -> Answer:
    """Ask over a new connection, which is closed if this raises, and return a good answer's start.

    `timeout` (seconds) bounds the whole answer. Raises NoAnswerError, RefusedError and CutError.
    """
    until = float("inf") if timeout is None else time.monotonic() + timeout
    try:
        return _answer(connection, request, until)
    except OSError as error:
        connection.close()
        raise NoAnswerError(reason_of(error)) from error
    except BaseException:  # Ctrl-C, too: the service must learn of it
        connection.close()
        raise


def _answer(connection: socket, request: bytes, until: float) -> Answer:
    lost: OSError | None = None
    connection.settimeout(_left(until))
    try:
        connection.sendall(request)
    except (BrokenPipeError, ConnectionResetError) as error:
        lost = error  # who refuses need not read to the end: its answer may be there
    response, body = Response(), b""
    while not response.status:
        try:
            body = _receive(connection, response, until)
        except NoAnswerError:
            if lost is not None:
                raise lost from None
            raise
    answer = Answer(connection, response, body, until)
    if response.status != OK:
        raise response.refused(answer.whole())
    return answer


def _receive(connection: socket, response: Response, until: float) -> bytes:
    """Wait for the next bytes and return those of the body."""
    connection.settimeout(_left(until))
    if data := connection.recv(READ_BYTES):
        return response.feed(data)
    response.close()
    return b""


def _left(until: float) -> float | None:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return None if left == float("inf") else left


def request(
    method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """Write a request whose connection ends with its answer. Raises ValueError."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    if not all(line.isprintable() for line in lines) or len(lines[0].split(" ")) != len("GET"):
        raise ValueError("a header or the path cannot be sent as it stands")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (body or b"")


def wishes(privacy: str | None, route: str | None, deadline: float | None) -> dict[str, str]:
    """Write what is wished of a request as its headers."""
    wished = {"privacy": privacy, "route": route, "deadline": deadline}
    return {f"x-supervisor-{name}": str(wish) for name, wish in wished.items() if wish}


def spelled(address: Address) -> str:
    """Write an address as people do."""
    return address if isinstance(address, str) else f"{address[0]}:{address[1]}"


def reason_of(error: OSError) -> str:
    """Say in a few words what went wrong with a connection."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror or _CLOSED).lower()
