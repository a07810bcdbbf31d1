"""Models that were placed once: they tell a 503 from a 404."""

from collections.abc import Iterable

from exo_supervisor.core.names import ModelId

MAX_KNOWN = 10_000
"""Models that were placed and are remembered."""


def remember(known: dict[ModelId, None], models: Iterable[ModelId]) -> None:
    """Remember that models were placed; the one heard of longest ago makes room."""
    for model in models:
        if len(known) >= MAX_KNOWN:
            known.pop(model, None)
        known.setdefault(model)
    while len(known) > MAX_KNOWN:
        del known[next(iter(known))]
