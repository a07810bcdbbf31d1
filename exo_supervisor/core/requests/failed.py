"""The last request that failed, for whoever asks how the house does."""

from msgspec import Struct

from exo_supervisor.core.requests.refusals import short
from exo_supervisor.core.requests.request import RequestState

MOST_TOLD = 4
"""Attempts of the last failed request that are told of, the last ones."""


class Failed(Struct, frozen=True):
    """A request that failed; `why` repeats nothing that a client or a target said."""

    at: float
    why: str


def failed(state: RequestState, now: float) -> Failed:
    """Tell of a request that fails now."""
    tried = ", ".join(f"{at}: {fault.value}" for at, fault in state.faults[-MOST_TOLD:])
    return Failed(now, f"{short(state.route.name)} ({tried})")
