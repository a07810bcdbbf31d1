"""How late the event loop is: what else runs on it holds up every request by as much."""

from collections.abc import Callable
from time import perf_counter

import anyio

from exo_supervisor.host.metrics.counts import Histogram

EVERY = 1.0
"""Seconds between two looks."""
BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class LoopDelay:
    """A service that sleeps, and sees by how much it overslept."""

    name = "loop_delay"

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self.delays = Histogram(
            "event_loop_delay_seconds", "How late a timer of the event loop comes.", (), BOUNDS
        )

    async def run(self) -> None:
        """Look once a second until cancelled."""
        while True:
            began = self._clock()
            await anyio.sleep(EVERY)
            self.delays.observe((), [max(self._clock() - began - EVERY, 0.0)])
