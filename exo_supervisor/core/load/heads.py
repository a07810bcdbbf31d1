"""How long providers take to begin an answer: learnt, since it differs a hundredfold between them.

Many send their head at once and then think; others, those that load a model first, send it with the
first token. A limit that suits the ones cuts the others off while they work.
"""

from collections import deque

from exo_supervisor.core.names import ProviderName

ENOUGH = 5
"""Heads of a provider before they say how long the next may take."""
KEPT = 20
"""Heads of a provider that are remembered."""
SLACK = 4.0
"""Times as long as the slowest of them that the next may take."""


class Heads:
    """Owns what was measured, in seconds from an attempt's begin; one row per provider."""

    def __init__(self) -> None:
        self._seen: dict[ProviderName, deque[float]] = {}
        self._slowest: dict[ProviderName, float] = {}

    def observe(self, provider: ProviderName, took: float) -> None:
        """Take in how long the head of an answer took that brought content."""
        seen = self._seen.get(provider)
        if seen is None:
            seen = self._seen[provider] = deque(maxlen=KEPT)
        gone = seen[0] if len(seen) == KEPT else 0.0
        seen.append(took)
        slowest = self._slowest.get(provider, 0.0)
        if gone == slowest or took > slowest:
            self._slowest[provider] = max(seen)

    def limit(self, provider: ProviderName, least: float) -> float | None:
        """Return how long a head may take, or None as long as too little is known."""
        seen = self._seen.get(provider)
        if seen is None or len(seen) < ENOUGH:
            return None
        learnt = SLACK * self._slowest[provider]
        if learnt < least:
            return least
        return learnt
