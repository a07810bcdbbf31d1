"""How many tokens a text has, where nobody counted them."""

BYTES_A_TOKEN = 4
"""Roughly, of English; other scripts take more bytes a character in UTF-8, and more tokens, too."""
