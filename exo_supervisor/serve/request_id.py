"""The names of requests: sortable by time, unlike each other, and no secret."""

import os
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]


def new_request_id() -> str:
    """Make a ULID: 48 bits of milliseconds, then 80 random bits, in Crockford's base 32."""
    number = int(time.time() * 1000) << 80 | int.from_bytes(os.urandom(10))
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])
