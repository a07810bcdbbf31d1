"""An answer that comes as one JSON object, gathered until all of it is here."""

from typing import Final

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""Bytes of a whole answer, at most."""


class WholeBody:
    """The bytes that came so far; `size` counts them all."""

    __slots__ = ("_parts", "size")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def add(self, data: bytes) -> bool:
        """Take the next bytes in; False: they are too many, and none are kept."""
        self.size += len(data)
        if self.size <= MAX_BODY_BYTES:
            self._parts.append(data)
            return True
        self._parts.clear()
        return False

    def join(self) -> bytes:
        """Return all of it."""
        return b"".join(self._parts)
