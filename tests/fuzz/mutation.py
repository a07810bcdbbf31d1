"""Changes to bytes that a seed decides: those that parsers stumble over, and any others."""

from itertools import pairwise
from random import Random

_COLON = ord(":")
LARGEST = 2**18
"""Bytes of what a mutation makes at most, so that many are tried."""
ODD = (
    b"null", b"true", b"-1", b"0", b"1e999", b"NaN", b"Infinity", b"[]", b"{}", b'""', b'"',
    b"[[[[[[[[", b'{"a":' * 8, b"\\ud800", b"\xff", b"\x00", b"\xed\xa0\x80", b"\r\n", b"\n\n",
    b"data: ", b"data: [DONE]\n\n", b": x\n\n", b"event: error\n", b"99999999999999999999",
    b"\xe2\x80\xae", b"\xc2\x9b", b"transfer-encoding: chunked\r\n", b"content-length: 5\r\n",
)  # fmt: skip


def mutated(data: bytes, random: Random, others: tuple[bytes, ...] = ()) -> bytes:
    """Change some bytes a few times: flip, cut, double, swap, put something odd in, or join."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        _change(changed, random, others)
    return bytes(changed[:LARGEST])


def _change(changed: bytearray, random: Random, others: tuple[bytes, ...]) -> None:
    at = random.randrange(len(changed) + 1)
    to = min(len(changed), at + random.choice((1, 2, 8, 64, 1024)))
    match random.randrange(8):
        case 0 if changed:
            changed[at % len(changed)] = random.randrange(256)
        case 1:
            del changed[at:to]
        case 2:
            changed[at:at] = changed[at:to] * random.choice((1, 2, 50))
        case 3:
            changed[at:to] = random.choice(ODD)
        case 4 if others:
            other = random.choice(others)
            begin = random.randrange(len(other) + 1)
            changed[at:to] = other[begin : begin + random.choice((16, 256, 4096))]
        case 5:
            del changed[at:]
        case 6:
            _swap_value(changed, random)
        case _:
            changed[at:at] = random.choice(ODD)


def _swap_value(changed: bytearray, random: Random) -> None:
    """Put another value where one stands in JSON, so that it stays JSON."""
    places = [at for at in range(len(changed)) if changed[at] == _COLON][:4096]
    if not places:
        return
    at = random.choice(places) + 1
    end = at
    while end < len(changed) and changed[end] not in b",}]":
        end += 1
    changed[at:end] = random.choice(ODD)


def pieces(data: bytes, random: Random) -> list[bytes]:
    """Cut bytes as a network may: whole, in some parts, or byte by byte."""
    count = random.choice((0, 0, 1, 3, 20))
    edges = sorted({0, len(data), *(random.randrange(len(data) + 1) for _ in range(count))})
    return [data[a:b] for a, b in pairwise(edges)]
