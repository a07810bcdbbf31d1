"""How many tokens a text has, where nobody counted them."""

BYTES_A_TOKEN = 4
"""Roughly, of English; other scripts take more bytes a character in UTF-8, and more tokens, too."""
MOST_EXPECTED = 8192
"""Tokens that a prompt is expected to have, at most: the bytes of larger ones are mostly pictures,
which cost a thousandth of what a text of that length does."""


def expected_tokens(size: int) -> int:
    """Return how many tokens a prompt of so many bytes is expected to have, before any count."""
    return max(1, min(size // BYTES_A_TOKEN, MOST_EXPECTED))
