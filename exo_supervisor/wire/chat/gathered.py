"""What the writers have in common whose clients do not stream: all is held until the end."""

from dataclasses import dataclass, field
from typing import ClassVar

from exo_supervisor.wire.chat.piece import Answer, OversizedAnswerError, Piece, WriteTexts

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Bytes of an answer that is gathered, at most."""


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Gathered:
    """An answer of which at most `most_bytes` are held; its pieces are taken one by one."""

    native: ClassVar[str] = ""

    most_bytes: int = MAX_ANSWER_BYTES
    held: int = field(default=0, init=False)

    def note(self, size: int) -> None:
        """Count the bytes of an event, or of what is kept of it; raises OversizedAnswerError."""
        self.held += size
        if self.held > self.most_bytes:
            raise OversizedAnswerError(f"the answer is larger than {self.most_bytes} bytes")

    def plain(self, _piece: Piece, _answer: Answer, _mark: bytes, _size: int) -> WriteTexts | None:
        """Return None: nothing is written yet."""
        return None

    def end(self, _answer: Answer) -> bytes:
        """Return no bytes: the answer is `result()`."""
        return b""
