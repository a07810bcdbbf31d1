"""The head of a request: read strictly, since two servers that read it in two ways can be fooled.

llhttp has judged the syntax before; here stand the rules that it leaves open: how long a line may
be, how many there are, and which of them may come only once.
"""

from typing import Final

from msgspec import Struct

MAX_HEAD_BYTES: Final = 65_536
"""Bytes of a head, and of what chunks say beside their data."""
MAX_LINE_BYTES: Final = 8_190
"""Bytes of the request line or of one header, as in Apache and aiohttp."""
MAX_FIELDS: Final = 128
"""Header lines of one head."""
_LENGTH_DIGITS: Final = 20
"""Digits of a number of 64 bits."""
_ONCE: Final = frozenset({"host", "content-length", "transfer-encoding", "expect"})
"""Headers that no two lines may hold: a list of them means nothing, or two things."""


class BadHeadError(Exception):
    """A head is not what HTTP allows, or too much of it; the text repeats nothing of it."""


class Head(Struct, frozen=True, gc=False):
    """What requests begin with; a header that came more than once is joined by commas, and named.

    Requests that differ in nothing but the length of their bodies may share one.
    """

    method: bytes
    target: bytes
    """As it was sent: with its query, and encoded."""
    headers: dict[str, str]
    """Names are in lower case; without `content-length`. Never changed."""
    repeated: tuple[str, ...]
    """Names of headers of which there were several lines."""
    is_old: bool
    """HTTP/1.0: it knows neither chunks nor 100-continue."""
    keeps_alive: bool = True
    """Whether the client means to send more over this connection (RFC 9112, section 9.3)."""
    expects_continue: bool = False
    """Whether the client waits to be told before it sends its body (RFC 9110, 10.1.1)."""


def read_head(raw: bytes, fields: dict[bytes, bytes]) -> tuple[Head, int | None]:
    """Read a whole head that llhttp has taken, `fields` being what it found, and the body's length.

    That is None where the body comes in chunks, or not at all. Raises BadHeadError.
    """
    lines = raw.count(b"\r\n") - 2
    if len(raw) > MAX_LINE_BYTES and max(map(len, raw.split(b"\r\n"))) > MAX_LINE_BYTES:
        raise BadHeadError(f"a line of the head is longer than {MAX_LINE_BYTES} bytes")
    if lines > MAX_FIELDS:
        raise BadHeadError(f"the head has more than {MAX_FIELDS} header lines")
    parts = raw[: raw.index(b"\r\n")].split(b" ")
    if len(parts) != 3 or not parts[2].startswith(b"HTTP/1."):  # noqa: PLR2004 -- RFC 9112, section 3
        raise BadHeadError("the request line is not METHOD TARGET VERSION")
    headers = {
        name.lower().decode("ascii"): value.decode("utf-8", "surrogateescape").rstrip(" \t")
        for name, value in fields.items()
    }
    repeated: tuple[str, ...] = ()
    if len(headers) != lines:
        headers, repeated = _join_repeated(raw)
    if headers.get("transfer-encoding", "chunked").lower() != "chunked":
        raise BadHeadError("the only transfer-encoding of a request is chunked")
    is_old = parts[2] == b"HTTP/1.0"
    if is_old and "transfer-encoding" in headers:  # RFC 9112, section 6.1: its framing is faulty
        raise BadHeadError("HTTP/1.0 has no transfer-encoding")
    length = headers.pop("content-length", None)
    head = Head(
        method=parts[0],
        target=parts[1],
        headers=headers,
        repeated=repeated,
        is_old=is_old,
        keeps_alive=_keeps_alive(headers.get("connection", ""), is_old=is_old),
        expects_continue=not is_old and headers.get("expect", "").lower() == "100-continue",
    )
    return head, None if length is None else read_length(length)


def read_length(said: str) -> int:
    """Read a content-length that llhttp has taken: it has 64 bits, and any number of zeros first.

    Python reads no more than 4300 digits.
    """
    return int(said[-_LENGTH_DIGITS:])


def _keeps_alive(said: str, *, is_old: bool) -> bool:
    options = {each.strip(" \t") for each in said.lower().split(",")}
    return "close" not in options and (not is_old or "keep-alive" in options)


def _join_repeated(raw: bytes) -> tuple[dict[str, str], tuple[str, ...]]:
    """Read the lines themselves: a dict of them has lost those that came before the last."""
    headers: dict[str, str] = {}
    repeated: dict[str, None] = {}
    for line in raw.split(b"\r\n")[1:-2]:
        field, _, text = line.partition(b":")
        name, value = field.lower().decode("ascii"), text.decode("utf-8", "surrogateescape")
        value = value.strip(" \t")
        if name in headers:
            repeated[name] = None
            value = f"{headers[name]}, {value}"
        headers[name] = value
    if not _ONCE.isdisjoint(repeated):
        raise BadHeadError("a header that may come only once came several times")
    return headers, tuple(repeated)
