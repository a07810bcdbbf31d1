"""What is held of one answer until its client gets it, and the room that it takes for that."""

from collections.abc import Callable

from exo_supervisor.serve.room import FREE_BYTES, Room, Share

MAX_HELD_BYTES = 64 * 2**20
"""Bytes of an answer that are kept back until all of it is in."""


class Held:
    """Parts that are kept back, and a share of the room for them and for what a reader holds.

    `granted` is called when there is room again after a `fits` that said no.
    """

    __slots__ = ("_granted", "_parts", "_room", "_share", "_size")

    def __init__(self, room: Room, granted: Callable[[], None]) -> None:
        self._room, self._granted = room, granted
        self._parts: list[bytes] = []
        self._size = 0
        self._share: Share | None = None

    def keep(self, part: bytes) -> bool:
        """Keep a part back; False where that is too much."""
        self._parts.append(part)
        self._size += len(part)
        return self._size <= MAX_HELD_BYTES

    def join(self) -> bytes:
        """Return all that was kept; a slow client may take long over it, so one copy is left."""
        parts, self._parts = self._parts, []
        return b"".join(parts)

    def fits(self, reader_holds: int) -> bool:
        """Say whether there is room for all of it; what is kept is copied once, by `join`."""
        held = reader_holds + 2 * self._size
        if self._share is None:
            if held <= FREE_BYTES:
                return True
            self._share = Share(self._room, self._granted)
        return self._share.fits(held)

    def close(self) -> None:
        """Give the room back, and wait for no more."""
        if self._share is not None:
            self._share.close()
