"""Fernet's encryption (AES-128-CBC and HMAC), which ai-token-manager keeps its keys under.

Written out here since it is needed once, of 32 bytes, and a library for it is 10 MB.
"""

import hmac
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cache

_BLOCK = 16
_ROUNDS = 10
_KEY_BYTES = 32
_REDUCED = 0x11B
"""AES's polynomial."""
_THIRD = 0xF6


def encrypt(key: bytes, text: bytes, *, now: float | None = None, salt: bytes = b"") -> bytes:
    """Encrypt as Fernet's version 0x80; `salt` is the initial vector. Raises ValueError."""
    raw = urlsafe_b64decode(key)
    if len(raw) != _KEY_BYTES:
        raise ValueError("the key is none of Fernet's: 32 bytes in URL-safe base64")
    padding = _BLOCK - len(text) % _BLOCK
    text += bytes([padding]) * padding
    last = salt = salt or os.urandom(_BLOCK)
    blocks = list[bytes]()
    keys = _round_keys(raw[16:])
    for at in range(0, len(text), _BLOCK):
        last = _encrypt_block(keys, bytes(a ^ b for a, b in zip(text[at:], last, strict=False)))
        blocks.append(last)
    seconds = int(time.time() if now is None else now)
    said = b"\x80" + seconds.to_bytes(8, "big") + salt + b"".join(blocks)
    return urlsafe_b64encode(said + hmac.digest(raw[:16], said, "sha256"))


def new_key() -> bytes:
    """Return a key as Fernet makes them."""
    return urlsafe_b64encode(os.urandom(_KEY_BYTES))


def _times(a: int, b: int) -> int:
    """Multiply in AES's field of 256 elements."""
    product = 0
    while b:
        product ^= a * (b & 1)
        a <<= 1
        a ^= _REDUCED * (a >> 8)
        b >>= 1
    return product


@cache
def _box() -> bytes:
    """Walk through the field by its generator 3, and by 1/3 through the inverses."""
    box = bytearray([0x63] * 256)
    a = inverse = 1
    for _ in range(255):
        a, inverse = _times(a, 3), _times(inverse, _THIRD)
        spread = inverse ^ inverse << 1 ^ inverse << 2 ^ inverse << 3 ^ inverse << 4
        box[a] = (spread ^ spread >> 8) & 0xFF ^ 0x63
    return bytes(box)


def _round_keys(key: bytes) -> list[bytes]:
    box, words, factor = _box(), [key[at : at + 4] for at in range(0, _BLOCK, 4)], 1
    while len(words) < 4 * (_ROUNDS + 1):
        word = words[-1]
        if len(words) % 4 == 0:
            word = bytes(box[byte] for byte in word[1:] + word[:1])
            word = bytes([word[0] ^ factor]) + word[1:]
            factor = _times(factor, 2)
        words.append(bytes(a ^ b for a, b in zip(words[-4], word, strict=True)))
    return [b"".join(words[at : at + 4]) for at in range(0, len(words), 4)]


def _encrypt_block(keys: list[bytes], block: bytes) -> bytes:
    box = _box()
    state = bytes(a ^ b for a, b in zip(block, keys[0], strict=True))
    for number, key in enumerate(keys[1:], 1):
        state = bytes(box[state[(at + 4 * (at % 4)) % _BLOCK]] for at in range(_BLOCK))
        if number < _ROUNDS:
            state = b"".join(_mixed(state[at : at + 4]) for at in range(0, _BLOCK, 4))
        state = bytes(a ^ b for a, b in zip(state, key, strict=True))
    return state


def _mixed(column: bytes) -> bytes:
    total = column[0] ^ column[1] ^ column[2] ^ column[3]
    return bytes(
        byte ^ total ^ _times(byte ^ column[(at + 1) % 4], 2) for at, byte in enumerate(column)
    )
