"""How many bytes of whole answers are gathered at once, in all, and how many came so far."""

from typing import Final, Protocol

MAX_GATHERED_BYTES: Final = 256 * 2**20
"""Bytes of large answers that are held at once until they are whole."""
SMALL_BYTES: Final = 65_536
"""Bytes of an answer that is not worth counting."""


class Gathering(Protocol):
    """One answer that is not whole yet."""

    def give_up(self) -> None:
        """Let go of what came, and tell who waits for it."""
        ...


class Intake:
    """Owns what large answers hold, from when they are large until each is released.

    Where there would be too much, the one that has been large for longest is given up: nobody
    waits for memory, and who sends slowly, or without end, cannot keep it from the others.
    """

    def __init__(self, most: int = MAX_GATHERED_BYTES) -> None:
        self._left = most
        self._held: dict[Gathering, int] = {}
        self.received = 0
        """Bytes of all answers, whole or not, since the start."""

    def __len__(self) -> int:
        return len(self._held)

    def count(self, answer: Gathering, size: int, held: int) -> None:
        """Take in that a read brought so many bytes of an answer, which holds so many by now."""
        self.received += size
        if held <= SMALL_BYTES:
            return
        self._left -= held - self._held.get(answer, 0)
        self._held[answer] = held
        while self._left < 0:
            oldest = next(iter(self._held))
            self.release(oldest)
            oldest.give_up()

    def release(self, answer: Gathering) -> None:
        """Count an answer no more: it is whole, or given up."""
        self._left += self._held.pop(answer, 0)
