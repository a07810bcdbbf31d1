"""BLAKE3 of short inputs, which is how generation C's nodes tell their namespaces apart."""

from typing import Final

LONGEST: Final = 1024
"""Bytes of one chunk; longer inputs would need the tree, which no namespace does."""

_BLOCK = 64
_WORD = 0xFFFFFFFF
_START, _END, _ROOT = 1, 2, 8
_IV = (
    0x6A09E667,
    0xBB67AE85,
    0x3C6EF372,
    0xA54FF53A,
    0x510E527F,
    0x9B05688C,
    0x1F83D9AB,
    0x5BE0CD19,
)
_PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_ROUNDS = 7
_MIXED = (  # columns, then diagonals
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
)


def blake3(data: bytes) -> bytes:
    """Return the 32-byte BLAKE3 hash (version 1 of its paper) of at most 1024 bytes.

    Raises ValueError for more.
    """
    if len(data) > LONGEST:
        raise ValueError(f"more than {LONGEST} bytes to hash")
    blocks = [data[at : at + _BLOCK] for at in range(0, len(data), _BLOCK)] or [b""]
    chain = _IV
    for place, block in enumerate(blocks):
        flags = _START if place == 0 else 0
        flags |= _END | _ROOT if place == len(blocks) - 1 else 0
        chain = _compress(chain, block, flags)
    return b"".join(word.to_bytes(4, "little") for word in chain)


def _compress(chain: tuple[int, ...], block: bytes, flags: int) -> tuple[int, ...]:
    """Fold one block of the first chunk, whose counter is 0, into the chaining value."""
    padded = block.ljust(_BLOCK, b"\0")
    words = [int.from_bytes(padded[at : at + 4], "little") for at in range(0, _BLOCK, 4)]
    state = [*chain, *_IV[:4], 0, 0, len(block), flags]
    for _ in range(_ROUNDS):
        for place, (a, b, c, d) in enumerate(_MIXED):
            _mix(state, (a, b, c, d), words[2 * place], words[2 * place + 1])
        words = [words[source] for source in _PERMUTATION]
    return tuple(state[at] ^ state[at + 8] for at in range(8))


def _mix(state: list[int], places: tuple[int, int, int, int], first: int, second: int) -> None:
    a, b, c, d = places
    for word, turn, twist in ((first, 16, 12), (second, 8, 7)):
        state[a] = (state[a] + state[b] + word) & _WORD
        state[d] = _turned(state[d] ^ state[a], turn)
        state[c] = (state[c] + state[d]) & _WORD
        state[b] = _turned(state[b] ^ state[c], twist)


def _turned(word: int, right: int) -> int:
    return (word >> right | word << (32 - right)) & _WORD
