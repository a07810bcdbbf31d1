"""The same bytes, framed otherwise: as the diseases of the framing have it."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from exo_supervisor.demo.diseases import Name
from exo_supervisor.demo.steps import Head, Pause, Step, Write

_APART: Final = 0.002
"""Seconds between two pieces, so that a reader meets each alone."""
_CONTINUED: Final = range(0x80, 0xC0)
"""Bytes with which a character of UTF-8 goes on (RFC 3629)."""


def crlf(steps: Iterator[Step]) -> Iterator[Step]:
    """End each line with CR and LF."""
    for step in steps:
        if isinstance(step, Write):
            yield replace(step, data=step.data.replace(b"\n", b"\r\n"))
        else:
            yield step


def split_bytes(steps: Iterator[Step]) -> Iterator[Step]:
    """Write byte by byte."""
    for step in steps:
        if isinstance(step, Write):
            yield from (Write(step.data[at : at + 1]) for at in range(len(step.data) - 1))
            yield replace(step, data=step.data[-1:])
        else:
            yield step


def split_characters(steps: Iterator[Step]) -> Iterator[Step]:
    """Write apart what belongs to one character of UTF-8."""
    for step in steps:
        if not isinstance(step, Write):
            yield step
            continue
        begin = 0
        for at, byte in enumerate(step.data):
            if byte in _CONTINUED:
                yield Write(step.data[begin:at])
                yield Pause(_APART)
                begin = at
        yield replace(step, data=step.data[begin:])


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
    "crlf": crlf,
    "split_bytes": split_bytes,
    "split_characters": split_characters,
    "gzip": gzip,
    "duplicate_headers": duplicate_headers,
}
