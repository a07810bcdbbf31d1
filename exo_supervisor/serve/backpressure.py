"""Why an answer is not read for now: its client does not read, or there is no room for more of it.

An attempt makes one when either begins to matter; most answers never need it.
"""

from collections.abc import Callable

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.serve.room import FREE_BYTES, Room, Share
from exo_supervisor.serve.timers import SLOW_CLIENT

MAX_KEPT_BYTES = 64 * 2**20
"""Bytes of an answer that are kept back until all of it is in."""


class Backpressure:
    """Since when its client, or the room, keeps an answer from being read; and what is kept back.

    `granted` is called when there is room again after a `fits` that said no.
    """

    __slots__ = ("_blocked_at", "_granted", "_parts", "_room", "_roomless_at", "_share", "_size")

    def __init__(self, room: Room, granted: Callable[[], None]) -> None:
        self._room, self._granted = room, granted
        self._parts: list[bytes] = []
        self._size = 0
        self._share: Share | None = None
        self._blocked_at: float | None = None
        self._roomless_at: float | None = None

    @property
    def stops_reading(self) -> bool:
        """Whether anything stands in the way."""
        return self._blocked_at is not None or self._roomless_at is not None

    def overdue(self, now: float, stall: float) -> Fault | None:
        """Say whether it has stood in the way for too long; a room is waited for as a target is."""
        if self._blocked_at is not None:
            return Fault.CLIENT_LEFT if now >= self._blocked_at + SLOW_CLIENT else None
        if self._roomless_at is not None:
            self._room.look(now)  # which may be what gives this one its room
        late = self._roomless_at is not None and now >= self._roomless_at + stall
        return Fault.OVERLOADED if late else None

    # ---------------------------------------------------------------- the client

    def block(self, now: float) -> bool:
        """Take in that the client does not read; False where that was known."""
        known = self._blocked_at is not None
        if not known:
            self._blocked_at = now
        return not known

    def unblock(self) -> bool:
        """Take in that the client reads; False where it was not waited for."""
        was, self._blocked_at = self._blocked_at, None
        return was is not None

    # ---------------------------------------------------------------- the room

    def keep(self, part: bytes) -> bool:
        """Keep a part back; False where that is too much."""
        self._parts.append(part)
        self._size += len(part)
        return self._size <= MAX_KEPT_BYTES

    def join(self) -> bytes:
        """Return all that was kept; a slow client may take long over it, so one copy is left."""
        parts, self._parts = self._parts, []
        return b"".join(parts)

    def too_large(self, reader_holds: int) -> bool:
        """Say whether all of it is more than one answer may hold, however much room there is."""
        return reader_holds + self._size > self._room.reserve

    def fits(self, reader_holds: int, now: float) -> bool:
        """Say whether there is room for all of it; `join` copies one answer at a time."""
        held = reader_holds + self._size
        if self._share is None:
            if held <= FREE_BYTES:
                return True
            self._share = Share(self._room, self._grant)
        if self._share.fits(held):
            return True
        if self._roomless_at is None:
            self._roomless_at = now
        return False

    def settle(self) -> None:
        """Wait for no more, and keep the room; who was to be told is let go."""
        self._granted = _nobody_waits
        if self._share is not None:
            self._share.settle()

    def close(self) -> None:
        """Give the room back, too."""
        self._granted = _nobody_waits
        share, self._share = self._share, None
        if share is not None:
            share.close()

    def _grant(self) -> None:
        self._roomless_at = None
        self._granted()


def _nobody_waits() -> None:
    """Take the place of an answer that is over: it and this would keep each other in memory."""
