"""Whom a request may wait for: a busy target whose time is near, or a seat that will be free."""

from math import inf

from msgspec import Struct

from exo_supervisor.core.names import Side
from exo_supervisor.core.requests.candidates import Block, Option, Tables, block, crowded
from exo_supervisor.core.requests.catalog import Tier
from exo_supervisor.core.requests.request import Flight, options_of

LAST_RESORT = 300.0
"""Seconds that a request waits for its turn when no other tier is left to it."""
BUSY_TRIES = 2
"""Attempts that one request makes at a target that answers `busy`."""
TRY_EVERY = 60.0
"""Seconds after which one request tries a target that asked to be left alone, if all have."""


class Until(Struct, frozen=True):
    """An instant to wait for.

    `option` is the busy target that is tried then: the retry budget is asked before the wait.
    `follows`: another request goes first there, and no event may end the wait sooner.
    """

    at: float
    option: Option | None = None
    follows: bool = False


def soonest(flight: Flight, tier: Tier, tables: Tables, now: float) -> Until | None:
    """Find the first instant within the house's patience at which somebody may be free."""
    if flight.patience_until is None:
        flight.patience_until = now + tables.policy.patience
    best = Until(inf)
    for option in options_of(flight, tier, tables, every=True):
        if block(option, flight.seen, tables, now) is not Block.BUSY:
            continue
        if flight.busy_tries.get(option.pair(), 0) >= BUSY_TRIES:
            continue
        found = _free(option, flight, flight.patience_until, tables, now)
        if found is not None and found.at < best.at:
            best = found
    return best if now < best.at < inf else None


def _free(
    option: Option, flight: Flight, patience: float, tables: Tables, now: float
) -> Until | None:
    mark = tables.busy.get(option.pair())
    free_at = tables.busy.free_at(option.pair(), flight.event.draw)
    if mark is not None and free_at is not None and now < free_at:
        fits = mark.until <= patience
        return Until(free_at, option, follows=mark.led is not None) if fits else None
    more = crowded(option, tables, now)
    if more == inf:  # a seat comes when another ends
        return Until(flight.arrived + LAST_RESORT if flight.last_tier() else patience)
    if more is not None and flight.last_tier():  # it has just recovered: all in good time
        return Until(more)
    return None


def least_busy(flight: Flight, tables: Tables, now: float) -> tuple[Option, Side] | None:
    """Pick the target whose time ends first, where all asked to be left alone; seldom enough.

    A target may name an hour and be free in a minute: one request now and then finds out.
    """
    if Block.BUSY not in flight.reasons:
        return None
    best: tuple[float, Option, Side] | None = None
    for tier in flight.tiers:
        for option in options_of(flight, tier, tables, every=False):
            mark = tables.busy.get(option.pair())
            if mark is None or block(option, flight.seen, tables, now) is not Block.BUSY:
                continue
            if now < mark.at + TRY_EVERY:
                return None
            if best is None or mark.until < best[0]:
                best = mark.until, option, tier.side
    return None if best is None else best[1:]
