"""Bodies that a client has compressed, inflated part by part as they come, and never past a bound.

A small body may hold a thousand times its size. So what is inflated comes in pieces of a bounded
size, and whoever takes them counts them and may stop at any; what stands between two codings of
one body is bounded alike.
"""

import sys
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Final, Protocol, cast

from exo_supervisor.core.outcomes import BadRequestError, Refusal, bad_request

PIECE: Final = 256 * 1024
"""Bytes that are inflated at once."""
MOST_CODINGS: Final = 3
"""Codings of one body, one within the other."""
MOST_MEMBERS: Final = 64
"""Members of gzip, or frames of zstd, in one coding: an empty one costs as much as one that is not,
and a hundred bytes of the coding around them may hold a hundred thousand."""
_MAX_WINDOW_LOG: Final = 23
"""Eight megabytes: what RFC 8878 asks of every decoder, and more than a chat has use for."""


class Inflater(Protocol):
    """One coding's decoder."""

    @property
    def done(self) -> bool:
        """Whether the coding has come to its end."""
        ...

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes, and give what is in them in pieces. Raises zlib.error."""
        ...


class BodyDecoder:
    """All codings of one body, the outermost first; `most` bounds each of them in bytes."""

    def __init__(self, codings: list[str], most: int) -> None:
        self._codings, self._most = codings, most
        self._inflaters: list[Inflater] = [_INFLATERS[each]() for each in codings]
        self._sizes = [0] * (len(codings) + 1)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes, and give what is in them in pieces. Raises BadRequestError."""
        return self._through(0, data)

    def end(self) -> None:
        """Take the end of the body. Raises BadRequestError where a coding goes on."""
        for coding, inflater in zip(self._codings, self._inflaters, strict=True):
            if not inflater.done:
                raise _broken(coding)

    def _through(self, place: int, data: bytes) -> Iterator[bytes]:
        self._sizes[place] += len(data)
        if self._sizes[place] > self._most:
            raise BadRequestError(too_large(self._most))
        if place == len(self._inflaters):
            yield data
            return
        try:
            for piece in self._inflaters[place].feed(data):
                if piece:
                    yield from self._through(place + 1, piece)
        except zlib.error:
            raise _broken(self._codings[place]) from None


def read_codings(header: str) -> list[str]:
    """Return the codings of a `content-encoding`, in the order in which they are undone.

    Raises BadRequestError for one that we do not know, or for too many.
    """
    named = [each.strip(" \t").lower() for each in header.split(",")]
    codings = [_ALIASES.get(each, each) for each in named if each not in ("", "identity")]
    if len(codings) > MOST_CODINGS or not _INFLATERS.keys() >= set(codings):
        known = ", ".join(_INFLATERS)
        text = f"the content-encoding of the body is not supported: {known} are, or none at all"
        raise BadRequestError(Refusal(415, "unsupported_encoding", text))
    return codings[::-1]


def too_large(most: int) -> Refusal:
    """Say that a body is too large, compressed or not."""
    text = f"the body is larger than {most} bytes (server.max_body_bytes)"
    return Refusal(413, "body_too_large", text)


def _broken(coding: str) -> BadRequestError:
    text = f"the body is not whole {coding}, as its content-encoding says"
    return bad_request("bad_http", text)


def _one_more(members: int, coding: str) -> int:
    """Count one more member of a coding. Raises BadRequestError for one too many."""
    if members == MOST_MEMBERS:
        text = f"the body holds more than {MOST_MEMBERS} members of {coding}: compress it as one"
        raise bad_request("bad_http", text)
    return members + 1


class _Gzip:
    """Members of gzip, one or more in a row (RFC 1952)."""

    def __init__(self) -> None:
        self.done = False
        self._members = 1
        self._member = zlib.decompressobj(_GZIP)

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self.done:
                self._members = _one_more(self._members, "gzip")
                self._member, self.done = zlib.decompressobj(_GZIP), False
            yield self._member.decompress(data, PIECE)
            data = self._member.unconsumed_tail
            if self._member.eof:
                self.done, data = True, self._member.unused_data


class _Deflate:
    """What RFC 9110 means by deflate, or the bare one that many clients send for it."""

    def __init__(self) -> None:
        self.done = False
        self._begin = b""
        self._stream = zlib.decompressobj()

    def feed(self, data: bytes) -> Iterator[bytes]:
        if len(self._begin) < _ZLIB_HEAD:
            self._begin += data
            if len(self._begin) < _ZLIB_HEAD:
                return
            data = self._begin
            if data[0] & 0x0F != _DEFLATED or int.from_bytes(data[:_ZLIB_HEAD]) % 31:
                self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        while data:
            yield self._stream.decompress(data, PIECE)
            data = self._stream.unconsumed_tail
            if self._stream.eof:
                self.done = True
                if self._stream.unused_data:
                    raise zlib.error


class _BrotliDecompressor(Protocol):
    def process(self, data: bytes, *, output_buffer_limit: int) -> bytes: ...
    def is_finished(self) -> bool: ...


class _Brotli:
    def __init__(self) -> None:
        module = import_module("brotli")  # few clients send it: not before one does
        self._stream = cast("_BrotliDecompressor", module.Decompressor())
        self._error = cast("type[Exception]", module.error)

    @property
    def done(self) -> bool:
        return self._stream.is_finished()

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            while piece := self._stream.process(data, output_buffer_limit=PIECE):
                yield piece
                data = b""
                if self.done:
                    return
        except self._error:
            raise zlib.error from None


class _Zstd:
    """Frames of zstd, one or more in a row (RFC 8878)."""

    def __init__(self) -> None:
        # few clients send it, and it is not imported before one does
        if sys.version_info >= (3, 14):
            from compression import zstd  # noqa: PLC0415
        else:
            from backports import zstd  # noqa: PLC0415

        self._options = {int(zstd.DecompressionParameter.window_log_max): _MAX_WINDOW_LOG}
        self._make, self._error = zstd.ZstdDecompressor, zstd.ZstdError
        self._frame = self._make(options=self._options)
        self.done = False
        self._frames = 1

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            while data or not (self._frame.needs_input or self.done):
                if self.done:
                    self._frames = _one_more(self._frames, "zstd")
                    self._frame, self.done = self._make(options=self._options), False
                yield self._frame.decompress(data, PIECE)
                data = b""
                if self._frame.eof:
                    self.done, data = True, self._frame.unused_data
        except self._error:
            raise zlib.error from None


_GZIP: Final = 16 + zlib.MAX_WBITS
_ZLIB_HEAD: Final = 2
_DEFLATED: Final = 8

_INFLATERS: Final[dict[str, Callable[[], Inflater]]] = {
    "gzip": _Gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}
_ALIASES: Final = {"x-gzip": "gzip"}
