"""Lets readings of states begin a few at a time: each takes memory, and time from every beat.

A turn ends with its reading. Where others wait, one that lasts is over before, and its reader, who
is slow, reads on beside them and holds nobody up. How long it may last is not told by a clock: when
our loop or the network is slow, more readings would make it slower still. A turn is over when many
others have ended since it began, and all are when next to nothing comes in from anybody.

Who could not be read in time may have been in the way of others, and they in its: what all of them
tell may take longer over one link than a reading may. They are tried anew in a line of their own,
fewer at a time, or the same would fail together for ever.
"""

from collections.abc import Callable
from typing import Protocol

import anyio

from exo_supervisor.runtime.timing import Timing

AT_ONCE = 16
"""Turns at once: more than a home has nodes, so that none of those ever waits."""
OUTLASTED = 2 * AT_ONCE
"""Other readings that end before one does, at most, before its turn is over."""
MOMENT = 0.1
"""Seconds that are looked back on; a radio link, or a host of many nodes, pauses for less."""
LITTLE_BYTES = 256 * 1024
"""What comes in of all readings in a moment where it is we who wait for them, not they for us.

Hundreds that drip bring less, and one that is read over a radio link brings more.
"""
ANEW_AT_ONCE = 4
ANEW_LITTLE_BYTES = 16 * 1024
"""The same of those that were late: over a slow link, too, fewer then bring all they have.

Where a moment brings less, not even a small state comes in time.
"""


class Reader(Protocol):
    """Who may be in line."""

    def take_turn(self) -> None:
        """Take in that it may begin; it must not wait."""
        ...


class Turns:
    """Owns who has a turn and who is in line for one, in the order in which they asked.

    A reader gives its turn back, or leaves the line, by `end`. `received` counts the bytes that
    came so far.
    """

    def __init__(
        self,
        timing: Timing,
        received: Callable[[], int],
        at_once: int = AT_ONCE,
        little: int = LITTLE_BYTES,
    ) -> None:
        self._timing, self._received = timing, received
        self._at_once, self._little = at_once, little
        self._turns: dict[Reader, int] = {}
        """Who has one, and at which count of `_ended` it is over."""
        self._line: dict[Reader, None] = {}
        self._ended = 0
        """How many ended by their reading while others were in line."""
        self._asked = anyio.Event()

    def __len__(self) -> int:
        return len(self._turns) + len(self._line)

    def __repr__(self) -> str:
        return f"<Turns {len(self._turns)} taken, {len(self._line)} in line>"

    def ask(self, reader: Reader) -> bool:
        """Say whether a reader may begin at once; if not, it is in line and is told when it may."""
        if len(self._turns) < self._at_once:  # so that nobody is in line
            self._turns[reader] = self._ended + OUTLASTED
            return True
        self._line.setdefault(reader)
        self._asked.set()
        return False

    def end(self, reader: Reader) -> None:
        """Take in that a reader is done, or does not want to begin any more."""
        self._line.pop(reader, None)
        if self._turns.pop(reader, None) is not None and self._line:
            self._ended += 1
            self._turns = {each: at for each, at in self._turns.items() if at > self._ended}
            self._call()

    async def run(self) -> None:
        """Look for moments in which little comes in while somebody is in line, until cancelled."""
        while True:
            if not self._line:
                self._asked = anyio.Event()
                await self._asked.wait()
            before = self._received()
            await self._timing.nap(self._timing.now() + MOMENT).over()
            if self._line and self._received() - before < self._little:
                self._turns.clear()
                self._call()

    def _call(self) -> None:
        while self._line and len(self._turns) < self._at_once:
            reader = next(iter(self._line))
            del self._line[reader]
            self._turns[reader] = self._ended + OUTLASTED
            reader.take_turn()
