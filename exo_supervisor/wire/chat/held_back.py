"""What comes before the first content waits for it, so that a failed attempt costs nothing."""

from typing import Final

from exo_supervisor.wire.chat.piece import OversizedAnswerError

MAX_HELD_BYTES: Final = 1 << 20
"""Bytes that wait for the first content, at most."""


class HeldBack:
    """The parts of a stream that wait; none do once there was content."""

    __slots__ = ("_size", "parts")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._size = 0

    def add(self, written: bytes, *, content: bool) -> bytes:
        """Keep a part, or return all of them in order; raises OversizedAnswerError."""
        self.parts.append(written)
        self._size += len(written)
        if not content:
            if self._size > MAX_HELD_BYTES:
                raise OversizedAnswerError(f"over {MAX_HELD_BYTES} bytes came without a word")
            return b""
        told = b"".join(self.parts)
        self.parts.clear()
        return told
