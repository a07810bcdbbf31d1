"""How many bytes of answers are held at once, in all: whole ones above all, until they are read."""

from collections import deque

import anyio

MAX_ANSWERS_BYTES = 256 * 2**20
"""Bytes of answers that are held, at most; bodies of requests have a bound of their own."""
FREE_BYTES = 32 * 2**10
"""Bytes of each answer that need no room: small answers go by the large ones."""
GRANT_BYTES = 64 * 2**10
"""Room is taken and given back in steps of this many bytes."""


class Room:
    """Grants bytes in the order in which they are asked for, so that nobody starves."""

    def __init__(self, most: int = MAX_ANSWERS_BYTES) -> None:
        self.left = most
        self._waiting: deque[tuple[int, anyio.Event]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, size: int) -> bool:
        """Take so many bytes at once; False where there is no room, or others wait for it."""
        if size > self.left or self._waiting:
            return False
        self.left -= size
        return True

    async def wait(self, size: int) -> None:
        """Take so many bytes as soon as there is room."""
        turn = (size, anyio.Event())
        self._waiting.append(turn)
        self._admit()
        try:
            await turn[1].wait()
        except BaseException:
            if turn[1].is_set():
                self.give_back(size)
            else:
                self._waiting.remove(turn)
                self._admit()
            raise

    def give_back(self, size: int) -> None:
        """Give so many bytes back."""
        self.left += size
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._waiting[0][0] <= self.left:
            size, turn = self._waiting.popleft()
            self.left -= size
            turn.set()


class Share:
    """What one answer has of the room; `close` gives it back."""

    def __init__(self, room: Room) -> None:
        self._room, self._granted = room, 0

    def fits(self, held: int) -> bool:
        """Say whether an answer may hold so many bytes now; takes or gives back what is needed."""
        more = self._more(held)
        if more < 0:
            self._room.give_back(-more)
        elif more > 0 and not self._room.take(more):
            return False
        self._granted += more
        return True

    async def wait(self, held: int) -> None:
        """Wait until it may hold so many bytes."""
        more = self._more(held)
        await self._room.wait(more)
        self._granted += more

    def _more(self, held: int) -> int:
        steps = -(-max(0, held - FREE_BYTES) // GRANT_BYTES)
        return steps * GRANT_BYTES - self._granted

    def close(self) -> None:
        """Give everything back."""
        granted, self._granted = self._granted, 0
        self._room.give_back(granted)
