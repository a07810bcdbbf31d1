"""How requests ended, counted, and the last that failed."""

from collections import Counter

from msgspec import Struct, field

from exo_supervisor.core.outcomes import RefusedAs
from exo_supervisor.core.requests.refusals import short
from exo_supervisor.core.requests.request import RequestState

COUNTED_AS: dict[RefusedAs, str] = {
    "failure": "failed",
    "neutral": "refused",
    "refused": "refused",
    "abandoned": "abandoned",
}
"""Under which end a refusal is counted: it does not matter whether by a target or by us."""
MOST_TOLD = 4
"""Attempts of the last failed request that are told of, the last ones."""


class Failed(Struct, frozen=True):
    """A request that failed; `why` repeats nothing that a client or a target said."""

    at: float
    why: str


class Tally(Struct):
    """Counts requests by their ends: exo, cloud, refused, failed, abandoned; and their total."""

    counts: Counter[str] = field(default_factory=Counter[str])
    last_failed: Failed | None = None

    def end(self, state: RequestState, end: str, now: float) -> None:
        """Count a request out."""
        self.counts[end] += 1
        if end == "failed":
            tried = ", ".join(f"{at}: {fault.value}" for at, fault in state.faults[-MOST_TOLD:])
            self.last_failed = Failed(now, f"{short(state.route.name)} ({tried})")
