"""Reads requests, one at a time, and stops at the end of each.

Where one message ends and the next begins is the question by which servers are fooled, and llhttp
does not say it. So it is never fed beyond a place where a message can end: a head and a chunked
body end at an empty line (and no piece goes beyond one), a body with a length at its length. What
stands behind belongs to nobody yet: to the next request, or to another protocol.

A client's heads differ in little but their length. So each reader remembers the last one that
llhttp has judged: the same byte for byte, but for the digits, needs no second judgement.
"""

from typing import Final

import httptools
from msgspec import Struct

from exo_supervisor.http.head import (
    MAX_HEAD_BYTES,
    MAX_LINE_BYTES,
    BadHeadError,
    Head,
    read_head,
)

MAX_KNOWN_BYTES: Final = 4_096
"""Bytes of a head that is remembered, at most: as many for each connection."""
MAX_DIGITS: Final = 15
"""Digits of a length that is read without llhttp."""
MAX_PIECES: Final = 4_096
"""Empty lines in one chunked body: each costs a step, and no JSON has so many."""
_EMPTY: Final = b"\r\n\r\n"
_LENGTH: Final = b"ength: "
"""What stands before the digits of a length, however the rest of the name is written."""
_NO_HTTP: Final = "this is not a request that HTTP allows"
_TOO_LONG: Final = f"the head is longer than {MAX_HEAD_BYTES} bytes"


class BadBodyError(Exception):
    """A body is not what its transfer-encoding says; nothing behind it can be read."""


class KnownHead(Struct, frozen=True):
    """A head that was judged, and what stands before and behind the digits of its length."""

    begin: bytes
    rest: bytes
    head: Head


class KnownHeads:
    """What the readers of a server share: a new client is most likely like the last one."""

    last: KnownHead | None = None


class RequestReader:
    """First `take_head` until there is a `head`, then `take_body` until it is `complete`."""

    __slots__ = (
        "_fields", "_got", "_has_fields", "_heads", "_known", "_left", "_overhead", "_parser",
        "_pieces", "_raw", "_seam", "complete", "head", "length", "on_body", "on_header", "raw",
    )  # fmt: skip

    def __init__(self, known: KnownHeads) -> None:
        self.head: Head | None = None
        self.raw: bytes  # set, as the next two are, by `take_head`
        """The head as it came, for whoever reads it anew."""
        self.length: int | None
        """Bytes of the body as announced; None where it comes in chunks, or not at all."""
        self.complete: bool
        self._heads, self._known = known, known.last
        self._raw = bytearray()  # of a head that comes in parts
        self._fields: dict[bytes, bytes] = {}
        self._got: list[bytes] = []
        self.on_header = self._fields.__setitem__  # httptools calls these two: no frame of ours
        self.on_body = self._got.append
        self._has_fields = False
        self._left: int | None = None  # of a body with a length
        self._seam = b""  # the last bytes of a chunked body: an empty line may be cut in two
        self._overhead = self._pieces = 0
        self._parser: httptools.HttpRequestParser | None = None  # of this request alone

    @property
    def has_begun(self) -> bool:
        """Whether a part of a head has come."""
        return bool(self._raw)

    @property
    def target(self) -> bytes:
        """What a head is for that could not be taken; b"" where not even that can be told."""
        line = (bytes(self._raw[: MAX_LINE_BYTES + 2]) or self.raw).partition(b"\r\n")[0]
        parts = line.split(b" ")
        known = len(line) <= MAX_LINE_BYTES and len(parts) == 3  # noqa: PLR2004 -- RFC 9112, 3
        return parts[1] if known else b""

    def take_head(self, data: bytes) -> bytes:
        """Take in what there is of a head; returns what stands behind it. Raises BadHeadError."""
        self.head, self.complete = None, False
        if self._raw:
            return self._take_part(data)
        if self._parser is not None:
            self._forget()
        known = self._known
        if known is not None and data.startswith(known.begin):
            at = len(known.begin)
            to = data.find(b"\r", at, at + MAX_DIGITS + 1)
            digits = data[at:to]
            if data.startswith(known.rest, to) and digits.isdigit():
                end = to + len(known.rest)
                self.length = self._left = length = int(digits)
                self.raw, self.complete = data[:end], not length
                self.head = known.head
                return data[end:]
        data = data.lstrip(b"\r\n")  # empty lines mean nothing (RFC 9112, section 2.2)
        lines, empty, rest = data.partition(_EMPTY)
        if not empty:
            return self._take_part(data)
        self._judge(lines + empty, lines + empty)
        return rest

    def take_body(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what is new of the body, and what stands behind it. Raises BadBodyError."""
        left = self._left
        if left is None:
            return self._take_chunks(data)
        size = len(data)
        if size < left:
            self._left = left - size
            return data, b""
        self.complete = True
        return (data, b"") if size == left else (data[:left], data[left:])

    # ---------------------------------------------------------------- what the parser calls

    def on_headers_complete(self) -> None:
        """Take in that a head is whole."""
        self._has_fields = True

    def on_message_complete(self) -> None:
        """Take in that a request is whole."""
        self.complete = True

    # ---------------------------------------------------------------- within

    def _forget(self) -> None:
        """Let nothing of a request speak for the next."""
        self._parser, self._has_fields = None, False
        self._fields.clear()
        self._seam, self._overhead, self._pieces = b"", 0, 0

    def _take_part(self, data: bytes) -> bytes:
        """Take in a part of a head; the parser judges it already: it may be TLS, or anything."""
        raw, begin = self._raw, len(self._raw)
        self.raw = b""
        raw += data
        end = raw.find(_EMPTY, max(0, begin - 3)) + 4
        if end >= 4:  # noqa: PLR2004 -- found
            whole = bytes(raw[:end])
            raw.clear()
            self._judge(data[: end - begin], whole)
            return data[end - begin :]
        if len(raw) > MAX_HEAD_BYTES:
            raise BadHeadError(_TOO_LONG)
        self._feed(data)
        return b""

    def _feed(self, part: bytes) -> None:
        if self._parser is None:
            self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(part)
        except httptools.HttpParserError:
            raise BadHeadError(_NO_HTTP) from None

    def _judge(self, part: bytes, raw: bytes) -> None:
        """Take in the end of a head, `part` being what the parser has not seen yet."""
        self.raw = raw
        try:
            self._feed(part)
        except httptools.HttpParserUpgrade:
            self._ignore_upgrade()
        if len(raw) > MAX_HEAD_BYTES:
            raise BadHeadError(_TOO_LONG)
        if self._has_fields:
            self.head, self.length = read_head(self.raw, self._fields)
            self._left = self.length
            if self.length is not None:
                self._remember(self.raw, self.head)
        else:
            raise BadHeadError(_NO_HTTP)

    def _remember(self, raw: bytes, head: Head) -> None:
        """Keep a head; those with something unusual about their length are read anew each time."""
        at = raw.find(_LENGTH) + len(_LENGTH)
        to = raw.find(b"\r", at)
        begin = raw.rfind(b"\n", 0, at) + 1
        usual = raw[begin:at].lower() == b"content-length: " and raw[at:to].isdigit()
        if usual and len(raw) <= MAX_KNOWN_BYTES:
            self._known = self._heads.last = KnownHead(raw[:at], raw[to:], head)

    def _ignore_upgrade(self) -> None:
        """Read a head that asks for another protocol as one that does not (RFC 9110, 7.8)."""
        lines = self.raw.split(b"\r\n")
        self.raw = b"\r\n".join(x for x in lines if not x.lower().startswith(b"upgrade:"))
        self._forget()
        self.complete = False
        try:
            self._feed(self.raw)
        except httptools.HttpParserUpgrade:  # CONNECT: what follows its head is no body
            raise BadHeadError("this is no proxy") from None

    def _take_chunks(self, data: bytes) -> tuple[bytes, bytes]:
        """Take in chunks piece by piece, since behind an empty line the body may have ended.

        A body may be made of empty lines alone: there is a bound to them, and no piece costs a
        copy of what stands behind it.
        """
        begin = 0
        while begin < len(data) and not self.complete:
            end = self._end_of_piece(data, begin)
            self._seam = (self._seam + data[max(begin, end - 3) : end])[-3:]
            try:
                self._feed(data[begin:end])
            except BadHeadError:
                raise BadBodyError from None
            begin = end
            self._pieces += self._seam == _EMPTY[1:]
            if self._pieces > MAX_PIECES:
                raise BadBodyError
        got = b"".join(self._got)
        self._got.clear()
        self._overhead = 0 if got else self._overhead + begin
        if self._overhead > MAX_HEAD_BYTES:
            raise BadBodyError
        return got, data[begin:]

    def _end_of_piece(self, data: bytes, begin: int) -> int:
        """Return where the first empty line ends, one included that began in the last piece."""
        across = (self._seam + data[begin : begin + 3]).find(_EMPTY)
        if across >= 0:
            return begin + across + 4 - len(self._seam)
        end = data.find(_EMPTY, begin)
        return len(data) if end < 0 else end + 4
