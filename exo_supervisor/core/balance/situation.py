"""What a balance policy may look at."""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from exo_supervisor.core.load.concurrency import Concurrency
from exo_supervisor.core.load.latency import Latencies
from exo_supervisor.core.names import ModelId, Target


class Situation(Struct):
    """The house at a choice: `turn` counts the choices, `draw` is a random number in [0, 1).

    `others` are those targets that would be asked for another model, and which. A policy leaves in
    `waits` what it expected of each, where that decides.
    """

    latency: Latencies
    concurrency: Concurrency
    model: ModelId
    turn: int
    draw: float
    now: float
    others: Mapping[Target, ModelId] = {}
    waits: list[float] = []


Choose = Callable[[Sequence[Target], Situation], Target]
"""A policy: it takes one of some nodes, all of which may be asked."""
