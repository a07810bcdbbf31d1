"""How many bytes of answers are held at once, in all: whole ones above all, until they are read.

An answer takes room as it grows, and nobody knows how large it will be. Were the room filled in the
order in which it is asked for, each might end up with a part of it, and wait for what the others
have. So the last of it, as much as the largest answer takes, is lent to one answer at a time: the
first that finds no other room has the turn, and others leave it what it may still need (Dijkstra's
banker, with the same claim for all). It cannot stand still:

- whoever has the turn waits for no room. Its answer ends by itself, or by its own timers;
- then the turn, and room for the largest answer, is there for the first of those who wait.

One that makes no use of its turn, since its target is slow, hands it on and keeps what it has, and
so does one that is all here, until its client has read it. The reserve is short of what they keep;
that is little, or is soon read. Only where such answers hold all of it does somebody wait in vain,
and is told so after a stall.
"""

from collections.abc import Callable
from typing import Final

MAX_ANSWERS_BYTES: Final = 256 * 2**20
"""Bytes of answers that are held, at most; bodies of requests have a bound of their own."""
RESERVE_BYTES: Final = 96 * 2**20
"""Bytes of them that one answer holds, at most: what is gathered or kept of it has 64 MiB, and the
rest is for an event that is under way, and for the arguments of its calls."""
FREE_BYTES: Final = 32 * 2**10
"""Bytes of each answer that need no room: small answers go by the large ones."""
GRANT_BYTES: Final = 64 * 2**10
"""Room is taken and given back in steps of this many bytes."""
IDLE: Final = 2.0
"""Seconds after which whoever has the turn, and takes no room meanwhile, hands it on."""


class Room:
    """Grants bytes in the order in which they are asked for, so that nobody starves.

    Nobody may ask for more than `reserve` bytes in all.
    """

    def __init__(self, most: int = MAX_ANSWERS_BYTES, reserve: int = RESERVE_BYTES) -> None:
        self.most = self.left = most
        self.reserve = reserve
        self._waiting: dict[Share, int] = {}
        self._turn: Share | None = None
        self._used = False
        """Whether it was used since the last look."""
        self._idle_since = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(self, share: "Share", size: int) -> bool:
        """Take so many bytes for a share; False: it waits, and is told when they are its own."""
        next_in_line = not self._waiting or (share is self._turn and share not in self._waiting)
        if next_in_line and self._take(share, size):
            return True
        self._waiting[share] = size
        return False

    def give_back(self, size: int) -> None:
        """Give so many bytes back."""
        self.left += size
        self._admit()

    def settle(self, share: "Share") -> None:
        """Let a share wait no more, and hand its turn on: it keeps what it has, and that is all."""
        self._waiting.pop(share, None)
        if share is self._turn:
            self._turn = None
        self._admit()

    def look(self, now: float) -> None:
        """Hand a turn on that is not used; called from time to time by those who wait."""
        if self._used or self._turn in self._waiting:
            self._used, self._idle_since = False, now
        elif now >= self._idle_since + IDLE:
            self._turn = None
            self._admit()

    def _take(self, share: "Share", size: int) -> bool:
        """Take so many bytes for who has the turn, or gets it now, or from what is not reserved."""
        turn = self._turn
        if turn is None and size > self.left - self.reserve:
            turn = self._turn = share
        if share is turn:
            self._used, reserved = True, 0
        else:
            reserved = max(0, self.reserve - (0 if turn is None else turn.granted))
        if size > self.left - reserved:
            return False
        self.left -= size
        return True

    def _admit(self) -> None:
        """Let in who has the turn and, in order, those who wait, as far as there is room."""
        while self._waiting:
            turn = self._turn
            share = turn if turn in self._waiting else next(iter(self._waiting))
            size = self._waiting[share]
            if not self._take(share, size):
                return
            del self._waiting[share]
            share.grant(size)


class Share:
    """What one answer has of the room; `close` gives it back.

    `granted` bytes are its own. `tell` is called once after each `fits` that said no, when it would
    say yes.
    """

    __slots__ = ("_room", "_tell", "granted")

    def __init__(self, room: Room, tell: Callable[[], None]) -> None:
        self._room, self._tell = room, tell
        self.granted = 0

    def fits(self, held: int) -> bool:
        """Say whether an answer may hold so many bytes now, and wait for room if it may not."""
        steps = -(-max(0, held - FREE_BYTES) // GRANT_BYTES)
        more = steps * GRANT_BYTES - self.granted
        if more > 0 and not self._room.ask(self, more):
            return False
        self.granted += more
        if more < 0:
            self._room.give_back(-more)
        return True

    def grant(self, size: int) -> None:
        """Take in that there is room."""
        self.granted += size
        self._tell()

    def settle(self) -> None:
        """Wait for no more: all of the answer is here."""
        self._room.settle(self)

    def close(self) -> None:
        """Give everything back, and wait for no more."""
        self.settle()
        self._room.give_back(self.granted)
