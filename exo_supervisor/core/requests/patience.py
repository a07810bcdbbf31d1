"""Whom a request may wait for: a busy target whose time is near, or a seat that will be free."""

from math import inf

from msgspec import Struct

from exo_supervisor.core.names import Side
from exo_supervisor.core.requests.candidate import Candidate
from exo_supervisor.core.requests.candidates import Block, block, crowded
from exo_supervisor.core.requests.catalog import Tier
from exo_supervisor.core.requests.request import RequestState, candidates_of
from exo_supervisor.core.tables import Tables

LAST_RESORT = 300.0
"""Seconds that a request waits for its turn when no other tier is left to it."""
BUSY_TRIES = 2
"""Attempts that one request makes at a target that answers `busy`."""
TRY_EVERY = 60.0
"""Seconds after which one request tries a target that asked to be left alone, if all have."""


class Until(Struct, frozen=True):
    """An instant to wait for.

    `candidate` is the busy target that is tried then: the retry budget is asked before the wait.
    `follows`: another request goes first there, and no event may end the wait sooner.
    """

    at: float
    candidate: Candidate | None = None
    follows: bool = False


def soonest(state: RequestState, tier: Tier, tables: Tables, now: float) -> Until | None:
    """Find the first instant within the house's patience at which somebody may be free."""
    if state.patience_until is None:
        state.patience_until = now + tables.policy.patience
    best = Until(inf)
    for candidate in candidates_of(state, tier, tables, every=True):
        if block(candidate, state.seen, tables, now) is not Block.BUSY:
            continue
        if state.busy_tries.count(candidate.slot) >= BUSY_TRIES:
            continue
        found = _free(candidate, state, state.patience_until, tables, now)
        if found is not None and found.at < best.at:
            best = found
    return best if now < best.at < inf else None


def _free(
    candidate: Candidate, state: RequestState, patience: float, tables: Tables, now: float
) -> Until | None:
    mark = tables.busy.get(candidate.slot)
    free_at = tables.busy.free_at(candidate.slot, state.event.draw)
    if mark is not None and free_at is not None and now < free_at:
        fits = mark.until <= patience
        return Until(free_at, candidate, follows=mark.led is not None) if fits else None
    more = crowded(candidate, tables, now)
    if more == inf:  # a seat comes when another ends
        return Until(state.arrived + LAST_RESORT if state.last_tier() else patience)
    if more is not None and state.last_tier():  # it has just recovered: all in good time
        return Until(more)
    return None


def least_busy(state: RequestState, tables: Tables, now: float) -> tuple[Candidate, Side] | None:
    """Pick the target whose time ends first, where all asked to be left alone; seldom enough.

    A target may name an hour and be free in a minute: one request now and then finds out.
    """
    if Block.BUSY not in state.reasons:
        return None
    best: tuple[float, Candidate, Side] | None = None
    for tier in state.tiers:
        for candidate in candidates_of(state, tier, tables, every=False):
            mark = tables.busy.get(candidate.slot)
            if mark is None or block(candidate, state.seen, tables, now) is not Block.BUSY:
                continue
            if crowded(candidate, tables, now) is not None:  # its seat is taken, marked or not
                continue
            if now < mark.at + TRY_EVERY:
                return None
            if best is None or mark.until < best[0]:
                best = mark.until, candidate, tier.side
    return None if best is None else best[1:]
