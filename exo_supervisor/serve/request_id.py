"""The names of requests: sortable by time, unlike each other, and no secret."""

import os
import time
from collections.abc import Callable
from random import Random

_ALPHABET = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_DIGIT = bytes(_ALPHABET[byte & 31] for byte in range(256))
"""The digit that five bits of a byte stand for."""
_DIGITS_OF_TIME, _DIGITS_OF_CHANCE = 10, 16
_LAST = 2
"""Digits of time that differ from one millisecond to the next; the others last a second."""

_bits = Random(os.urandom(32)).getrandbits  # noqa: S311 -- they are unlike each other, no secret


class _Second:
    """The digits of time that names of about the same second share."""

    number, digits = -1, b""


def new_request_id(clock: Callable[[], int] = time.time_ns) -> str:
    """Make a ULID: 48 bits of milliseconds, then 80 random bits, in Crockford's base 32."""
    now = clock() // 1_000_000
    second = now >> 5 * _LAST
    if second != _Second.number:
        fives = (now >> 5 * place & 31 for place in range(_DIGITS_OF_TIME - 1, _LAST - 1, -1))
        _Second.digits = bytes(map(_ALPHABET.__getitem__, fives))
        _Second.number = second
    chance = _bits(8 * _DIGITS_OF_CHANCE).to_bytes(_DIGITS_OF_CHANCE, "little")
    return (_Second.digits + (bytes((now >> 5 & 31, now & 31)) + chance).translate(_DIGIT)).decode()
