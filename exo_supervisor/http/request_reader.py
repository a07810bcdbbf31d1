"""Reads requests, one at a time, and stops at the end of each.

Where one message ends and the next begins is the question by which servers are fooled, and llhttp
does not say it. So it is never fed beyond a place where a message can end: a head and a chunked
body end at an empty line (and no piece goes beyond one), a body with a length at its length. What
stands behind belongs to nobody yet: to the next request, or to another protocol.
"""

from typing import Final

import httptools

from exo_supervisor.http.head import MAX_HEAD_BYTES, BadHeadError, Head, read_head

_EMPTY: Final = b"\r\n\r\n"
_NO_HTTP: Final = "this is not a request that HTTP allows"
_TOO_LONG: Final = f"the head is longer than {MAX_HEAD_BYTES} bytes"


class BadBodyError(Exception):
    """A body is not what its transfer-encoding says; nothing behind it can be read."""


class RequestReader:
    """First `take_head` until there is a `head`, then `take_body` until it is `complete`."""

    __slots__ = (
        "_fields", "_got", "_has_fields", "_left", "_overhead", "_parser", "_raw", "_seam",
        "complete", "head", "on_body", "on_header", "raw",
    )  # fmt: skip

    def __init__(self) -> None:
        self.head: Head | None = None
        self.raw = b""
        """The head as it came, for whoever reads it anew."""
        self.complete = False
        self._raw = bytearray()  # of a head that comes in parts
        self._fields: dict[bytes, bytes] = {}
        self._got: list[bytes] = []
        self.on_header = self._fields.__setitem__  # httptools calls these two: no frame of ours
        self.on_body = self._got.append
        self._has_fields = False
        self._left: int | None = None  # of a body with a length
        self._seam = b""  # the last bytes of a chunked body: an empty line may be cut in two
        self._overhead = 0
        self._parser = httptools.HttpRequestParser(self)

    @property
    def has_begun(self) -> bool:
        """Whether a part of a head has come."""
        return bool(self._raw)

    def next(self) -> None:
        """Forget a request that is complete: nothing of it may speak for the next."""
        self.head, self.complete, self._has_fields = None, False, False
        self._fields.clear()
        self._seam, self._overhead = b"", 0

    def take_head(self, data: bytes) -> bytes:
        """Take in what there is of a head; returns what stands behind it. Raises BadHeadError."""
        raw, begin = self._raw, len(self._raw)
        if begin:
            raw += data
            end = raw.find(_EMPTY, max(0, begin - 3)) + 4
        else:
            end = data.find(_EMPTY) + 4
        if end < 4:  # noqa: PLR2004 -- found nowhere
            return self._take_part(data, begin)
        part, rest = data[: end - begin], data[end - begin :]
        self.raw = bytes(raw[:end]) if begin else part
        raw.clear()
        try:
            self._parser.feed_data(part)
        except httptools.HttpParserUpgrade:
            self._ignore_upgrade()
        except httptools.HttpParserError:
            raise BadHeadError(_NO_HTTP) from None
        if self._has_fields:
            self._read_head()
        elif self.raw.strip(b"\r\n"):  # empty lines alone mean nothing (RFC 9112, section 2.2)
            raise BadHeadError(_NO_HTTP)
        return rest

    def take_body(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what is new of the body, and what stands behind it. Raises BadBodyError."""
        part, rest = self._cut_body(data)
        try:
            self._parser.feed_data(part)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            raise BadBodyError from None
        got = b"".join(self._got)
        self._got.clear()
        self._overhead = 0 if got else self._overhead + len(part)
        if self._overhead > MAX_HEAD_BYTES:
            raise BadBodyError
        return got, rest

    # ---------------------------------------------------------------- what the parser calls

    def on_headers_complete(self) -> None:
        """Take in that a head is whole."""
        self._has_fields = True

    def on_message_complete(self) -> None:
        """Take in that a request is whole."""
        self.complete = True

    # ---------------------------------------------------------------- within

    def _take_part(self, data: bytes, begin: int) -> bytes:
        """Have the parser judge the beginning of a head already: it may be TLS, or anything."""
        if not begin:
            self._raw += data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            raise BadHeadError(_NO_HTTP) from None
        if len(self._raw) > MAX_HEAD_BYTES:
            raise BadHeadError(_TOO_LONG)
        return b""

    def _read_head(self) -> None:
        if len(self.raw) > MAX_HEAD_BYTES:
            raise BadHeadError(_TOO_LONG)
        self.head = read_head(self.raw.lstrip(b"\r\n"), self._fields)
        self._left = self.head.length

    def _ignore_upgrade(self) -> None:
        """Read a head that asks for another protocol as one that does not (RFC 9110, 7.8)."""
        lines = self.raw.split(b"\r\n")
        self.raw = b"\r\n".join(x for x in lines if not x.lower().startswith(b"upgrade:"))
        self.next()
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(self.raw)
        except httptools.HttpParserUpgrade:  # CONNECT: what follows its head is no body
            raise BadHeadError("this is no proxy") from None

    def _cut_body(self, data: bytes) -> tuple[bytes, bytes]:
        """Cut where the body may end: at its length, or behind an empty line."""
        if self._left is not None:
            end = min(self._left, len(data))
            self._left -= end
            return data[:end], data[end:]
        across = (self._seam + data[:3]).find(_EMPTY)
        end = data.find(_EMPTY) + 4 if across < 0 else across + 4 - len(self._seam)
        if end < 4 and across < 0:  # noqa: PLR2004 -- found nowhere
            end = len(data)
        self._seam = (self._seam + data[max(0, end - 3) : end])[-3:]
        return data[:end], data[end:]
