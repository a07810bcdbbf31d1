"""Asks each node how it is, on a beat, and what its cluster runs, when the conductor wants to know.

A beat is one cheap GET: `/node_id` of generations B and C, `/healthcheck` of A. Which generation
answers is found out at first, after every failure, and whenever the answer is not the usual one.
"""

from collections.abc import Callable
from contextlib import nullcontext

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream
from msgspec import structs

from exo_supervisor.core.effects import ReadPlacement, UnwatchNode, WatchNode
from exo_supervisor.core.events import (
    CardsRead,
    Event,
    PlacementFailed,
    ProbeAnswered,
    ProbeFailed,
)
from exo_supervisor.core.fleet.nodes import MISSES
from exo_supervisor.core.names import Address
from exo_supervisor.fleet_io.probe import Clock, Found, Prober
from exo_supervisor.fleet_io.read_state import read_capacity, read_cards_of, read_placement
from exo_supervisor.fleet_io.untrusted import UntrustedReads
from exo_supervisor.runtime.fetch import Get, GetError
from exo_supervisor.wire.errors import WireError

QUICK = 1.0
"""Seconds to the next look when a node has just gone or come back."""
UNPROVEN_AT_ONCE = 256
"""Looks at once at nodes that are only somebody's word: a flood must not take every socket."""
SPARING = 20
"""How many times longer than a reading takes the node is left in peace after it.

Exo answers from one event loop, and its state only grows: it keeps the prompt of every request
that was aborted until the next session.
"""
SLOWEST = 6
"""Beats to the next look at such a node in the end: after 1, 2, 4, then always so many."""


LivedAt = Callable[[Address], float | None]


def _nobody_knows(_: Address) -> float | None:
    return None


class Health:
    """Owns one poller a node, from WatchNode to UnwatchNode; the table of nodes is its bound.

    `interval` is the beat, `timeout` is for one probe, `state_timeout` for one reading of a
    cluster's placement; all in seconds. `lived_at` tells when an answer of a node made progress.
    """

    name = "health"

    def __init__(
        self,
        get: Get,
        inbox: MemoryObjectSendStream[Event],
        *,
        interval: float,
        timeout: float,
        state_timeout: float = 5.0,
        lived_at: LivedAt = _nobody_knows,
        unproven_at_once: int = UNPROVEN_AT_ONCE,
        clock: Clock = anyio.current_time,
    ) -> None:
        self._get, self._inbox = get, inbox
        self._interval, self._timeout, self._state_timeout = interval, timeout, state_timeout
        self._lived_at, self._clock = lived_at, clock
        self._untrusted = UntrustedReads(get)
        self._unproven = anyio.CapacityLimiter(unproven_at_once)
        self._pollers: dict[Address, _Poller] = {}
        self._tasks: TaskGroup | None = None

    def __len__(self) -> int:
        return len(self._pollers)

    async def run(self) -> None:
        """Poll until cancelled; a second run goes on with the nodes of the first."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                for poller in self._pollers.values():
                    tasks.start_soon(poller.run)
                await anyio.sleep_forever()
            finally:
                self._tasks = None

    def watch(self, effect: WatchNode) -> None:
        """Begin to poll a node, at once; before `run`, as soon as that begins."""
        if effect.node in self._pollers:
            return
        poller = _Poller(
            effect.node,
            Prober(
                self._get if effect.seeded else self._untrusted,
                effect.url.rstrip("/"),
                self._timeout,
                self._clock,
            ),
            self._inbox,
            interval=self._interval,
            state_timeout=self._state_timeout,
            turns=None if effect.seeded else self._unproven,
            lived_at=self._lived_at,
            clock=self._clock,
        )
        self._pollers[effect.node] = poller
        if self._tasks is not None:
            self._tasks.start_soon(poller.run)

    def unwatch(self, effect: UnwatchNode) -> None:
        """Stop polling a node, in the middle of a GET if need be."""
        poller = self._pollers.pop(effect.node, None)
        if poller is not None:
            poller.stop()

    def read(self, effect: ReadPlacement) -> None:
        """Have a node's placement read soon; what was wanted before and not begun is replaced."""
        poller = self._pollers.get(effect.node)
        if poller is not None:
            poller.want(effect)


class _Poller:
    """One node's beat, and the readings between two beats."""

    def __init__(
        self,
        node: Address,
        prober: Prober,
        inbox: MemoryObjectSendStream[Event],
        *,
        interval: float,
        state_timeout: float,
        turns: anyio.CapacityLimiter | None,
        lived_at: LivedAt,
        clock: Clock,
    ) -> None:
        self._node, self._prober, self._inbox = node, prober, inbox
        self._interval, self._state_timeout = interval, state_timeout
        self._turns, self._silent = turns, 0
        self._lived_at, self._clock = lived_at, clock
        self._misses: int | None = None
        self._refused = False
        self._found: Found | None = None
        self._wanted = False
        self._spared_until = 0.0
        self._unread = 0
        self._cards = self._capacity = False
        self._nap: anyio.CancelScope | None = None
        self._scope: anyio.CancelScope | None = None
        self._stopped = False

    def want(self, effect: ReadPlacement) -> None:
        """Note that the placement is wanted, and wake up for it."""
        self._wanted = True
        self._cards = self._cards or effect.cards
        self._capacity = self._capacity or effect.capacity
        if self._nap is not None:
            self._nap.cancel()

    def stop(self) -> None:
        """End the poller, whether or not it runs yet."""
        self._stopped = True
        if self._scope is not None:
            self._scope.cancel()

    async def run(self) -> None:
        """Probe at once, then on the beat."""
        due = self._clock()
        with anyio.CancelScope() as self._scope:
            while not self._stopped:
                async with self._turns or nullcontext():
                    began = self._clock()
                    event = await self._probe(began)
                await self._inbox.send(event)
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
        if isinstance(event, ProbeAnswered) or self._turns is not None:
            return 0.0
        return min(late, self._interval)

    def _pause(self, event: ProbeAnswered | ProbeFailed) -> float:
        """Choose the time from this look's begin to the next one's.

        A node that was well and refuses or resets is gone for sure, and one that is back needs
        a second answer: both are looked at again soon. Silence may be load, and keeps the beat. Who
        never answered and is only somebody's word is looked at ever more rarely.
        """
        if isinstance(event, ProbeAnswered):
            self._turns = None
            back = bool(self._misses)
            self._misses = 0
            return min(QUICK, self._interval) if back else self._interval
        if self._misses is None:
            self._silent += 1
            beats = 1 if self._turns is None else 2 ** min(self._silent - 1, SLOWEST)
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
                wake = min(until, self._spared_until) if self._may_read() else until
                with anyio.CancelScope(deadline=wake) as self._nap:
                    await anyio.sleep_forever()

    async def _read(self, beat: float) -> bool:
        """Read the placement if it is wanted, then the rest of it, all within one timeout.

        Not of a node that refused its last probe: whether it is gone has to be found out first. One
        that was only slow may be at work, and its state says on what; but it costs no `beat`.
        """
        began = self._clock()
        if self._found is None or not self._may_read() or began < self._spared_until:
            return False
        if self._misses and began >= beat:
            return False
        self._wanted = False
        until = began + self._state_timeout
        if self._misses:
            until = min(until, beat)
        try:
            placement, capacity = await read_placement(
                self._prober, self._node, self._found, until, disks=self._capacity
            )
        except GetError as fault:
            self._unread += 1
            if self._unread > 1:  # a single one may be the network's doing
                self._spare(began)
            await self._inbox.send(PlacementFailed(node=self._node, why=fault.why))
            return True
        except WireError:
            await self._inbox.send(PlacementFailed(node=self._node, why="bad_answer"))
            return True
        self._unread = 0
        self._spare(began)
        await self._inbox.send(structs.replace(placement, asked_at=began))
        if self._capacity and self._found.state_paths:
            capacity = await read_capacity(self._prober, self._node, placement.listed, until)
        self._capacity = False
        if capacity is not None:
            await self._inbox.send(capacity)
        if self._cards:
            await self._read_cards(until)
        return True

    def _may_read(self) -> bool:
        return self._wanted and self._found is not None and not (self._misses and self._refused)

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
        await self._inbox.send(CardsRead(node=self._node, cards=cards))
