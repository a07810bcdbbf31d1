"""The same bytes, framed otherwise: as the diseases of the framing have it."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from exo_supervisor.demo.diseases import Name
from exo_supervisor.demo.steps import Head, Pause, Step, Write

_APART: Final = 0.002
"""Seconds between two pieces, so that a reader meets each alone."""
_CONTINUED: Final = range(0x80, 0xC0)
"""Bytes with which a character of UTF-8 goes on (RFC 3629)."""


def crlf(write: Write) -> Iterator[Step]:
    """End each line with CR and LF."""
    yield replace(write, data=write.data.replace(b"\n", b"\r\n"))


def split_bytes(write: Write) -> Iterator[Step]:
    """Write byte by byte."""
    yield from (Write(write.data[at : at + 1]) for at in range(len(write.data) - 1))
    yield replace(write, data=write.data[-1:])


def split_characters(write: Write) -> Iterator[Step]:
    """Write apart what belongs to one character of UTF-8."""
    begin = 0
    for at, byte in enumerate(write.data):
        if byte in _CONTINUED:
            yield Write(write.data[begin:at])
            yield Pause(_APART)
            begin = at
    yield replace(write, data=write.data[begin:])


def rewritten(rewrite: Callable[[Write], Iterator[Step]], steps: Iterator[Step]) -> Iterator[Step]:
    """Put other steps in the place of each that writes."""
    for step in steps:
        if isinstance(step, Write):
            yield from rewrite(step)
        else:
            yield step


def gzip(steps: Iterator[Step]) -> Iterator[Step]:
    """Compress, although nobody asked for it."""
    packer = zlib.compressobj(wbits=31)
    for step in steps:
        match step:
            case Head():
                packed = (*step.headers, ("Content-Encoding", "gzip"))
                yield replace(step, length=None, headers=packed)
            case Write():
                data = packer.compress(step.data) + packer.flush(zlib.Z_SYNC_FLUSH)
                yield replace(step, data=data)
            case _:
                yield step
    yield Write(packer.flush())


def duplicate_headers(steps: Iterator[Step]) -> Iterator[Step]:
    """Say the content type twice."""
    for step in steps:
        if isinstance(step, Head):
            yield replace(step, headers=(*step.headers, ("Content-Type", step.content_type)))
        else:
            yield step


FRAMINGS: Final[dict[Name, Callable[[Iterator[Step]], Iterator[Step]]]] = {
    "crlf": partial(rewritten, crlf),
    "split_bytes": partial(rewritten, split_bytes),
    "split_characters": partial(rewritten, split_characters),
    "gzip": gzip,
    "duplicate_headers": duplicate_headers,
}
