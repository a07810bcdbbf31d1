"""How many bytes of answers are held at once, in all: whole ones above all, until they are read."""

from collections.abc import Callable

MAX_ANSWERS_BYTES = 256 * 2**20
"""Bytes of answers that are held, at most; bodies of requests have a bound of their own."""
FREE_BYTES = 32 * 2**10
"""Bytes of each answer that need no room: small answers go by the large ones."""
GRANT_BYTES = 64 * 2**10
"""Room is taken and given back in steps of this many bytes."""


class Room:
    """Grants bytes in the order in which they are asked for, so that nobody starves."""

    def __init__(self, most: int = MAX_ANSWERS_BYTES) -> None:
        self.most = self.left = most
        self._waiting: dict[Share, int] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, size: int) -> bool:
        """Take so many bytes at once; False where there is no room, or others wait for it."""
        if size > self.left or self._waiting:
            return False
        self.left -= size
        return True

    def wait(self, share: "Share", size: int) -> None:
        """Have a share told as soon as so many bytes are its own."""
        self._waiting[share] = size

    def forget(self, share: "Share") -> None:
        """Wait no more."""
        if self._waiting.pop(share, None) is not None:
            self._admit()

    def give_back(self, size: int) -> None:
        """Give so many bytes back."""
        self.left += size
        self._admit()

    def _admit(self) -> None:
        while self._waiting:
            share, size = next(iter(self._waiting.items()))
            if size > self.left:
                return
            del self._waiting[share]
            self.left -= size
            share.grant(size)


class Share:
    """What one answer has of the room; `close` gives it back.

    `granted` is called once after each `fits` that said no, when it would say yes.
    """

    __slots__ = ("_granted", "_room", "_tell")

    def __init__(self, room: Room, granted: Callable[[], None]) -> None:
        self._room, self._tell = room, granted
        self._granted = 0

    def fits(self, held: int) -> bool:
        """Say whether an answer may hold so many bytes now, and wait for room if it may not."""
        steps = -(-max(0, held - FREE_BYTES) // GRANT_BYTES)
        more = steps * GRANT_BYTES - self._granted
        if more > 0 and not self._room.take(more):
            self._room.wait(self, more)
            return False
        self._granted += more
        if more < 0:
            self._room.give_back(-more)
        return True

    def grant(self, size: int) -> None:
        """Take in that there is room."""
        self._granted += size
        self._tell()

    def close(self) -> None:
        """Give everything back, and wait for no more."""
        self._room.forget(self)
        self._room.give_back(self._granted)
