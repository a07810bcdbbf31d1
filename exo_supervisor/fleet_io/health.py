"""Asks each node how it is, on a beat, and what its cluster runs, when the conductor wants to know.

A beat is one cheap GET: `/node_id` of generations B and C, `/healthcheck` of A. Which generation
answers is found out at first, after every failure, and whenever the answer is not the usual one.
"""

from collections.abc import Callable
from typing import NamedTuple

import anyio
from anyio.abc import TaskGroup

from exo_supervisor.core.effects import ReadPlacement, UnwatchNode, WatchNode
from exo_supervisor.core.names import Address
from exo_supervisor.fleet_io.poller import Gates, LivedAt, Poller, Tell
from exo_supervisor.fleet_io.probe import Prober
from exo_supervisor.fleet_io.turns import ANEW_AT_ONCE, ANEW_LITTLE_BYTES, Turns
from exo_supervisor.runtime.fetch import Get
from exo_supervisor.runtime.timing import Timing

UNPROVEN_AT_ONCE = 256
"""Looks at once at nodes that are only somebody's word: a flood must not take every socket."""


def _nobody_knows(_: Address) -> float | None:
    return None


class Reads(NamedTuple):
    """What some nodes are asked by, and how many bytes that has brought since the start."""

    get: Get
    received: Callable[[], int]


def _turns(timing: Timing, reads: Reads) -> tuple[Turns, Turns]:
    anew = Turns(timing, reads.received, ANEW_AT_ONCE, ANEW_LITTLE_BYTES)
    return Turns(timing, reads.received), anew


class Health:
    """Owns one poller a node, from WatchNode to UnwatchNode; the table of nodes is its bound.

    Who was only `found` is asked in another way than those that a person named, and takes no turn
    of theirs.
    `interval` is the beat, `timeout` is for one probe, in seconds. `tell` takes what was heard:
    most of a house's events are these.
    """

    name = "health"

    def __init__(
        self,
        named: Reads,
        found: Reads,
        tell: Tell,
        timing: Timing,
        *,
        interval: float,
        timeout: float,
        lived_at: LivedAt = _nobody_knows,
        unproven_at_once: int = UNPROVEN_AT_ONCE,
    ) -> None:
        self._tell, self._timing = tell, timing
        self._interval, self._timeout = interval, timeout
        self._lived_at = lived_at
        unproven = anyio.CapacityLimiter(unproven_at_once)
        self._named = named.get, Gates(None, *_turns(timing, named))
        self._found = found.get, Gates(unproven, *_turns(timing, found))
        self._pollers: dict[Address, Poller] = {}
        self._tasks: TaskGroup | None = None

    def __len__(self) -> int:
        return len(self._pollers)

    async def run(self) -> None:
        """Poll until cancelled; a second run goes on with the nodes of the first."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                for _, gates in (self._named, self._found):
                    tasks.start_soon(gates.turns.run)
                    tasks.start_soon(gates.anew.run)
                for poller in self._pollers.values():
                    tasks.start_soon(poller.run)
                await anyio.sleep_forever()
            finally:
                self._tasks = None

    def watch(self, effect: WatchNode) -> None:
        """Begin to poll a node, at once; before `run`, as soon as that begins."""
        if effect.node in self._pollers:
            return
        get, gates = self._named if effect.seeded else self._found
        poller = Poller(
            effect.node,
            Prober(get, effect.url.rstrip("/"), self._timeout, self._timing.now),
            self._tell,
            self._timing,
            interval=self._interval,
            gates=gates,
            lived_at=self._lived_at,
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
