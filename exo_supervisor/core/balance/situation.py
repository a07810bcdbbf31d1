"""What a balance policy may look at."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from exo_supervisor.core.choice import Expected
from exo_supervisor.core.load.concurrency import Concurrency
from exo_supervisor.core.load.latency import Latencies
from exo_supervisor.core.load.marks import Pair


class Situation(Struct):
    """The house at a choice: `turn` counts the choices, `draw` is a random number in [0, 1).

    A policy leaves in `compared` whom it compared, each with its expected wait in seconds.
    """

    latency: Latencies
    concurrency: Concurrency
    turn: int
    draw: float
    now: float
    compared: list[Expected] = []


Choose = Callable[[Sequence[Pair], Situation], int]
"""A policy: it takes one of some nodes, each with its model, all of which may be asked, and tells
its place."""
