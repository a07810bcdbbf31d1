"""The names of requests: sortable by time, unlike each other, and no secret."""

import os
import time
from random import Random

_ALPHABET = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_DIGIT = bytes(_ALPHABET[byte & 31] for byte in range(256))
"""The digit that five bits of a byte stand for."""
_DIGITS_OF_TIME, _DIGITS_OF_CHANCE = 10, 16

_bits = Random(os.urandom(32)).getrandbits  # noqa: S311 -- they are unlike each other, no secret


class _Millisecond:
    """The digits of the millisecond in which the last name was made."""

    number, digits = -1, b""


def new_request_id() -> str:
    """Make a ULID: 48 bits of milliseconds, then 80 random bits, in Crockford's base 32."""
    now = time.time_ns() // 1_000_000
    if now != _Millisecond.number:
        fives = (now >> 5 * place & 31 for place in range(_DIGITS_OF_TIME - 1, -1, -1))
        _Millisecond.number, _Millisecond.digits = now, bytes(map(_ALPHABET.__getitem__, fives))
    chance = _bits(8 * _DIGITS_OF_CHANCE).to_bytes(_DIGITS_OF_CHANCE, "little").translate(_DIGIT)
    return (_Millisecond.digits + chance).decode()
