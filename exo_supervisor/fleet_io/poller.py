"""Keeps one node's beat, and reads its placement between two beats."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Literal, NamedTuple

import anyio
from msgspec import structs

from exo_supervisor.core.effects import ReadPlacement
from exo_supervisor.core.events import (
    CapacityRead,
    CardsRead,
    Event,
    PlacementFailed,
    ProbeAnswered,
    ProbeFailed,
)
from exo_supervisor.core.fleet.nodes import MISSES
from exo_supervisor.core.names import Address
from exo_supervisor.fleet_io.probe import Found, Prober
from exo_supervisor.fleet_io.read_state import read_capacity, read_cards_of, read_placement
from exo_supervisor.fleet_io.turns import Turns
from exo_supervisor.runtime.fetch import GetError
from exo_supervisor.runtime.timing import Nap, Timing
from exo_supervisor.wire.errors import WireError

QUICK = 1.0
"""Seconds to the next look when a node has just gone or come back."""
READING = 5.0
"""Seconds for one reading of a placement, and of what comes with it."""
SPARING = 20
"""How many times longer than a reading takes the node is left in peace after it.

Exo answers from one event loop, and its state only grows: it keeps the prompt of every request
that was aborted until the next session.
"""
SLOWEST = 6
"""Beats between two looks, at most, at a node that is only somebody's word: 1, 2, 4, then 6."""

LivedAt = Callable[[Address], float | None]
"""Tells when an answer of a node last made progress; None: none is under way."""
Tell = Callable[[Event], None]
"""Takes an event at once."""


class Gates(NamedTuple):
    """What a poller passes: `looks` as long as its node is only somebody's word.

    `anew` are the turns of those that could not be read in time.
    """

    looks: anyio.CapacityLimiter | None
    turns: Turns
    anew: Turns


class Poller:
    """One node's beat, and the readings between two beats."""

    def __init__(
        self,
        node: Address,
        prober: Prober,
        tell: Tell,
        timing: Timing,
        *,
        interval: float,
        gates: Gates,
        lived_at: LivedAt,
    ) -> None:
        self._node, self._prober, self._tell = node, prober, tell
        self._interval = interval
        self._gates, self._looks, self._silent = gates, gates.looks, 0
        self._turns = gates.turns
        self._turn: Literal["asked", "come"] | None = None
        self._lived_at = lived_at
        self._clock, self._nap_until = timing.now, timing.nap
        self._misses: int | None = None
        self._refused = False
        self._found: Found | None = None
        self._wanted = False
        self._spared_until = 0.0
        self._unread, self._overran = 0, False
        self._cards = self._capacity = False
        self._nap: Nap | None = None
        self._scope: anyio.CancelScope | None = None
        self._stopped = False

    def want(self, effect: ReadPlacement) -> None:
        """Note that the placement is wanted, and wake up for it."""
        self._wanted = True
        self._cards = self._cards or effect.cards
        self._capacity = self._capacity or effect.capacity
        if self._nap is not None:
            self._nap.wake()

    def stop(self) -> None:
        """End the poller, whether or not it runs yet."""
        self._stopped = True
        if self._scope is not None:
            self._scope.cancel()

    def take_turn(self) -> None:
        """Take in that the reading that is wanted may begin; a probe under way goes first."""
        self._turn = "come"
        if self._nap is not None:
            self._nap.wake()

    async def run(self) -> None:
        """Probe at once, then on the beat."""
        with anyio.CancelScope() as self._scope:
            try:
                await self._beat()
            finally:
                self._end_turn()

    async def _beat(self) -> None:
        due = self._clock()
        while not self._stopped:
            async with self._looks or nullcontext():
                began = self._clock()
                event = await self._probe(began)
            self._tell(event)
            due = began + self._pause(event) - self._late(event, began - due)
            await self._rest(due)

    async def _probe(self, began: float) -> ProbeAnswered | ProbeFailed:
        try:
            found = await self._prober.look()
        except GetError as fault:
            lived_at = self._lived_at(self._node)
            return ProbeFailed(
                node=self._node, why=fault.why, detail=fault.detail, lived_at=lived_at
            )
        self._found = found
        return ProbeAnswered(
            node=self._node,
            generation=found.identity.generation,
            node_id=found.identity.node_id,
            latency=found.answered - began,
            state_paths=found.state_paths,
            version=found.identity.version,
        )

    def _late(self, event: ProbeAnswered | ProbeFailed, late: float) -> float:
        """Say how much of the next beat a reading that overran this one has taken already.

        A host that left in the midst of a reading is to be missed no later than any other.
        """
        if isinstance(event, ProbeAnswered) or self._looks is not None:
            return 0.0
        return min(late, self._interval)

    def _pause(self, event: ProbeAnswered | ProbeFailed) -> float:
        """Choose the time from this look's begin to the next one's.

        A node that was well and refuses or resets is gone for sure, and one that is back needs
        a second answer: both are looked at again soon. Silence may be load, and keeps the beat. Who
        never answered and is only somebody's word is looked at ever more rarely.
        """
        if isinstance(event, ProbeAnswered):
            self._looks = None
            back = bool(self._misses)
            self._misses = 0
            return min(QUICK, self._interval) if back else self._interval
        if self._misses is None:
            self._silent += 1
            beats = 1 if self._looks is None else 2 ** min(self._silent - 1, SLOWEST)
            return self._interval * min(beats, SLOWEST)
        self._misses += 1
        self._refused = event.why != "timeout"
        gone = event.why in ("refused", "reset") and self._misses < MISSES
        return min(QUICK, self._interval) if gone else self._interval

    async def _rest(self, until: float) -> None:
        """Wait for the next beat; read what is wanted meanwhile, once even if there is no time."""
        await self._read(until)
        while self._clock() < until:
            if not await self._read(until):
                spared = self._turn is None and self._may_read()
                self._nap = self._nap_until(min(until, self._spared_until) if spared else until)
                await self._nap.over()

    async def _read(self, beat: float) -> bool:
        """Read the placement if it is wanted and its turn has come; say whether it was read.

        Not of a node that refused its last probe: whether it is gone has to be found out first. One
        that was only slow may be at work, and its state says on what; but it costs no `beat`.
        """
        found, began = self._found, self._clock()
        costs_a_beat = bool(self._misses) and began >= beat
        if found is None or not self._may_read() or began < self._spared_until or costs_a_beat:
            self._end_turn()
            return False
        if self._turn is None:
            self._turns = self._gates.anew if self._overran else self._gates.turns
            self._turn = "come" if self._turns.ask(self) else "asked"
        if self._turn == "asked":
            return False
        try:
            until = began + READING
            await self._read_state(found, began, min(until, beat) if self._misses else until)
        finally:
            self._end_turn()
        return True

    async def _read_state(self, found: Found, began: float, until: float) -> None:
        """Read the placement, then the rest of it, all within one timeout."""
        self._wanted = False
        try:
            placement, capacity = await read_placement(
                self._prober, self._node, found, until, disks=self._capacity
            )
        except GetError as fault:
            self._unread += 1
            self._overran = fault.why == "timeout"
            if self._unread > 1:  # a single one may be the network's doing
                self._spare(began)
            self._tell(PlacementFailed(node=self._node, why=fault.why))
            return
        except WireError:
            self._tell(PlacementFailed(node=self._node, why="bad_answer"))
            return
        self._unread, self._overran = 0, False
        self._spare(began)
        self._tell(structs.replace(placement, asked_at=began))
        if self._capacity and found.state_paths:
            capacity = await read_capacity(self._prober, self._node, placement.listed, until)
        await self._finish_reading(capacity, until)

    async def _finish_reading(self, capacity: CapacityRead | None, until: float) -> None:
        """Tell the capacity, and read the cards if they are wanted."""
        self._capacity = False
        if capacity is not None:
            self._tell(capacity)
        if self._cards:
            await self._read_cards(until)

    def _may_read(self) -> bool:
        return self._wanted and self._found is not None and not (self._misses and self._refused)

    def _end_turn(self) -> None:
        if self._turn is not None:
            self._turn = None
            self._turns.end(self)

    def _spare(self, began: float) -> None:
        """Leave the node in peace for so long that its state is no burden."""
        now = self._clock()
        self._spared_until = now + SPARING * (now - began)

    async def _read_cards(self, until: float) -> None:
        """Read the cards; the next reading tries again if this one fails, they only explain."""
        try:
            cards = await read_cards_of(self._prober, until)
        except (GetError, WireError):
            return
        self._cards = False
        self._tell(CardsRead(node=self._node, cards=cards))
