"""JSON whose shape nobody promised, looked at without trusting it."""

from typing import cast

import msgspec

UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeError)
"""All that decoding hostile bytes can raise; half a character, read leniently, has no UTF-8."""


def check_utf8(text: bytes) -> None:
    """Look for UTF-8, as the decoder does not in what it keeps raw; raises UnicodeDecodeError."""
    if not text.isascii():
        text.decode()


def as_object(value: object) -> dict[str, object]:
    """Return a JSON object as it is, and an empty one for anything else."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """Return a JSON list as it is, and an empty one for anything else."""
    return cast("list[object]", value) if isinstance(value, list) else []
