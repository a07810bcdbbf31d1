"""Whose bodies take the room there is: nobody all of it, and the slow ones make room first.

A user holds at most half of what the others leave, so that whoever comes next finds as much again,
and the two rooms, 256 MiB in all, are never full.
What a body begins with comes out of a room of its own, where large ones take nothing.
"""

from typing import Protocol

SMALL_BODY = 64 * 1024
"""Bytes of each body that come out of the room for small ones, while there is any."""
SMALL_ROOM = 32 * 1024 * 1024
LARGE_ROOM = 224 * 1024 * 1024
LARGEST_BODY = LARGE_ROOM // 2
"""Bytes for which there is room in one body, at most: where nobody else holds any."""
MIN_AGE = 5.0
"""Seconds for which a body may be slow before it has to make room for a faster one."""

Owner = int | None
"""A user's id; None for everybody who came by TCP."""


class Shares:
    """A room in bytes; each owner may take half of what the others leave."""

    def __init__(self, most: int) -> None:
        self._most, self.total = most, 0
        self._held: dict[Owner, int] = {}

    def take(self, owner: Owner, size: int) -> bool:
        """Take so many bytes for an owner; False where they are more than its share."""
        held = self._held.get(owner, 0)
        if 2 * (held + size) > self._most - (self.total - held):
            return False
        self._held[owner] = held + size
        self.total += size
        return True

    def give_back(self, owner: Owner, size: int) -> None:
        """Give an owner's bytes back."""
        self.total -= size
        left = self._held.pop(owner, 0) - size
        if left:
            self._held[owner] = left


class Sender(Protocol):
    """One body that is under way, or held, and how much of it is in which room.

    `Bodies` alone changes `small` and `large`, from 0 on. They stand here so that it needs no
    record of its own: neither one more object a request, nor a look-up for each part of a body.
    """

    owner: Owner
    began: float
    small: int
    large: int

    def evict(self) -> object:
        """End its reading."""


class Bodies:
    """Owns what is held of bodies, and knows which are still under way."""

    def __init__(self, small: int = SMALL_ROOM, large: int = LARGE_ROOM) -> None:
        self._small, self._large = Shares(small), Shares(large)
        self._sending: dict[Sender, None] = {}

    @property
    def sending(self) -> int:
        """Return how many are under way."""
        return len(self._sending)

    @property
    def held(self) -> int:
        """Return how many bytes are held."""
        return self._small.total + self._large.total

    def begin(self, sender: Sender) -> None:
        """Note that a body is under way."""
        self._sending[sender] = None

    def end(self, sender: Sender) -> None:
        """Note that it is under way no more; it is still held."""
        self._sending.pop(sender, None)

    def take(self, sender: Sender, size: int, now: float) -> bool:
        """Hold more of a body; False where there is no room that a slower one could make."""
        small = sender.small + size
        if small <= SMALL_BODY and not sender.large and self._small.take(sender.owner, size):
            sender.small = small  # all there is of most bodies
            return True
        if not sender.large:
            begins = min(size, SMALL_BODY - sender.small)
            if self._small.take(sender.owner, begins):
                sender.small += begins
                size -= begins
        while size and not self._large.take(sender.owner, size):
            slowest = self._slowest(sender, _speed(sender, now, size), now)
            if slowest is None:
                return False
            self.close(slowest)
            slowest.evict()
        sender.large += size
        return True

    def _slowest(self, sender: Sender, speed: float, now: float) -> Sender | None:
        """Find the slowest body of the same owner that is slower by half than this one."""
        old = (
            one for one in self._sending
            if one is not sender and one.owner == sender.owner and now - one.began >= MIN_AGE
        )  # fmt: skip
        slowest = min(old, key=lambda one: _speed(one, now), default=None)
        slow = slowest is not None and 2 * _speed(slowest, now) < speed
        return slowest if slow else None

    def close(self, sender: Sender) -> None:
        """Let go of a body."""
        self._sending.pop(sender, None)
        self._small.give_back(sender.owner, sender.small)
        if sender.large:
            self._large.give_back(sender.owner, sender.large)
        sender.small = sender.large = 0


def _speed(sender: Sender, now: float, more: int = 0) -> float:
    """Return a body's bytes a second, `more` that have just come included."""
    return (sender.small + sender.large + more) / max(now - sender.began, 1e-3)
