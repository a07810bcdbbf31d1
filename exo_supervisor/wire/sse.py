"""Server-sent events out of bytes, however the network cut them (WHATWG HTML, section 9.2)."""

from msgspec import Struct

from exo_supervisor.errors import SupervisorError

_MARK = b"\xef\xbb\xbf"
_LF, _CR = b"\n\r"
_DATA = b"data: "


class OversizedEventError(SupervisorError):
    """One event of the stream is larger than the reader was told to hold."""


class Message(Struct, gc=False):
    """One dispatched event: its data lines joined by line feeds, and its `event` field."""

    data: bytes
    event: bytes = b""


class Comment(Struct, gc=False):
    """One comment line, without its colon and the space after it."""

    text: bytes


class SseReader:
    """Cuts a byte stream into messages and comments; the work is linear in the bytes fed.

    An event may hold at most `max_event` bytes of lines; fields other than `data` and `event`
    are ignored.
    """

    def __init__(self, max_event: int = 8 * 1024 * 1024) -> None:
        self._max = max_event
        self._line: list[bytes] = []
        self._data: list[bytes] = []
        self._event = b""
        self._size = 0
        self._held = 0
        self._after_return = False
        self._at_start = True

    @property
    def pending(self) -> bool:
        """Whether bytes of an unfinished event remain."""
        return bool(self._line or self._data or self._event)

    @property
    def is_clear(self) -> bool:
        """Whether the next byte begins an event, whatever came before."""
        return not (self.pending or self._after_return)

    @property
    def held(self) -> int:
        """How many bytes of an unfinished event are held."""
        return self._size + self._held

    def one_message(self, data: bytes) -> bytes | None:
        """Return the data of bytes that are one usual message and no more; None: feed them.

        Most reads of a stream are; they need not be cut into lines.
        """
        if self._line or self._data or self._event or self._after_return:
            return None
        if data[:6] != _DATA or data[-2:] != b"\n\n" or len(data) > self._max:
            return None
        message = data[6:-2]
        if _LF in message or _CR in message:
            return None
        self._at_start = False
        return message

    def one_comment(self, data: bytes) -> bytes | None:
        """Return the text of bytes that are one comment and a blank line; None: feed them."""
        if data[:1] != b":" or data[-2:] != b"\n\n" or len(data) > self._max or not self.is_clear:
            return None
        text = data[1:-2]
        if _LF in text or _CR in text:
            return None
        self._at_start = False
        return text.removeprefix(b" ")

    def feed(self, data: bytes) -> list[Message | Comment]:
        """Take the next bytes and return what they complete; raises OversizedEventError."""
        if self._after_return or _CR in data:
            data = self._plain(data)
        lines = data.split(b"\n")
        rest = lines.pop()
        if not lines:
            self._keep(rest)
            return []
        if self._line:
            self._line.append(lines[0])
            lines[0] = b"".join(self._line)
            self._line.clear()
        self._size = 0
        if self._at_start:
            self._at_start = False
            lines[0] = lines[0].removeprefix(_MARK)
        found = self._read(lines)
        self._keep(rest)
        return found

    def _plain(self, data: bytes) -> bytes:
        """All three line ends as line feeds; a CR and its LF may come in two pieces."""
        if self._after_return and data:
            data = data.removeprefix(b"\n")
            self._after_return = False
        if data.endswith(b"\r"):
            self._after_return = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _keep(self, rest: bytes) -> None:
        """Put the start of a line aside; joined once, when its end arrives."""
        if rest:
            self._line.append(rest)
            self._size += len(rest)
            self._bound(self._size)

    def _bound(self, size: int) -> None:
        if size + self._held > self._max:
            raise OversizedEventError(f"one event is larger than {self._max} bytes")

    def _read(self, lines: list[bytes]) -> list[Message | Comment]:
        found: list[Message | Comment] = []
        for line in lines:
            if not line:
                if self._data:
                    data = self._data
                    found.append(
                        Message(data[0] if len(data) == 1 else b"\n".join(data), self._event)
                    )
                    data.clear()
                    self._held = 0
                self._event = b""
            elif line[:5] == b"data:":
                self._bound(len(line))
                self._held += len(line)
                self._data.append(line[5:].removeprefix(b" "))
            elif line[:1] == b":":
                self._bound(len(line))
                found.append(Comment(line[1:].removeprefix(b" ")))
            elif line[:6] == b"event:":
                self._bound(len(line))
                self._event = line[6:].removeprefix(b" ")
            elif line == b"data":
                self._held += 1
                self._bound(0)
                self._data.append(b"")
            elif line == b"event":
                self._event = b""
        return found
