"""How long a prompt takes to be read, learnt for each model of each cluster."""

from exo_supervisor.core.bounded import Bounded
from exo_supervisor.core.names import ModelId, Scope

SHORT = 2048
"""Bytes of a prompt below which its time says more of the queue than of reading."""
PATIENCE = 3.0
"""How many times the expected time a prompt may take; other requests share the machine."""
FASTER = 0.2
"""The weight of a measurement that is faster than what is known; a slower one counts at once."""
MOST = 1024
"""Models that are measured, at most; the one measured first makes room."""


class Prefill:
    """Owns the measured speeds, in seconds a byte of prompt."""

    def __init__(self) -> None:
        self.pace = Bounded[tuple[Scope, ModelId], float](MOST)

    def observe(self, scope: Scope, model: ModelId, size: int, ttft: float) -> None:
        """Take in that the first content for a prompt of `size` bytes came after `ttft` seconds."""
        if size < SHORT:
            return
        key, new = (scope, model), ttft / size
        old = self.pace.get(key, new)
        self.pace[key] = new if new >= old else old + FASTER * (new - old)

    def allows(self, scope: Scope, model: ModelId, size: int) -> float:
        """Say for how many seconds a first content may well be waited for; 0 if nobody knows."""
        return PATIENCE * max(size, SHORT) * self.pace.get((scope, model), 0.0)
