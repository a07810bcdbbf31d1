"""A read that is one whole chunk (RFC 9112, section 7.1), as nearly each of a stream of tokens is.

A parser that stands between two chunks stands there again behind it and keeps nothing of it, so
that it need not see it at all: a reader that knows how such a chunk begins and ends may compare.
Its length tells how it begins: there is one head at most that announces so many bytes less its own.
One that is spelled in another way (`0A`, `a;x=y`) is found to differ, and is parsed.
"""

from typing import Final

LONGEST: Final = 1_024
"""Bytes from which on a read is not looked at: a token has a few hundred around it."""
NO_CHUNK: Final[tuple[bytes, int]] = b"", 0
_END: Final = b"\r\n"


def _chunks() -> list[tuple[bytes, int]]:
    chunks = list[tuple[bytes, int]]([NO_CHUNK]) * LONGEST
    for size in range(1, LONGEST):
        head = b"%x\r\n" % size
        length = len(head) + size + len(_END)
        if length < LONGEST:
            chunks[length] = head, size
    return chunks


CHUNKS: Final = _chunks()
"""By the length of a read: how it begins if it is one whole chunk, and the bytes of its data.

b"" where no chunk has that length.
"""


def is_one(data: bytes, pieces: list[bytes]) -> bool:
    """Say whether a read in the midst of an answer's body was one whole chunk, and no more.

    `pieces` are what a parser found of the body in it. Had it stood in the data of a chunk, or in a
    body without chunks, its piece would be the read's first bytes; had it stood behind such data,
    the read would begin with the line's end that is due there, and no head does. So it found a
    chunk's head, which ends with the read's first line, however it began in a read before: the
    piece stands behind it, and as CRLF and the read's end are behind the piece, that is all of the
    chunk.
    """
    head, _ = CHUNKS[len(data)] if len(data) < LONGEST else NO_CHUNK
    if not head or len(pieces) != 1:
        return False
    return data == head + pieces[0] + _END and not data.startswith(pieces[0])
