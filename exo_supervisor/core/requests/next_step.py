"""One request's way through its tiers: what to do next, decided anew after everything it meets.

A request first tries the targets of its tier, each at most once. Before it leaves the tier it may
try one of them again: after a fault that often passes (a lone 500, a reset before any byte), or
when a busy one named a time that is worth waiting for. Then it goes on to the next tier.
"""

from msgspec import Struct

from exo_supervisor.core.names import Side
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.requests.budget import Budget
from exo_supervisor.core.requests.candidates import Block, Option, Tables, block, pick, why_none
from exo_supervisor.core.requests.catalog import Tier
from exo_supervisor.core.requests.fail import Fail, fail
from exo_supervisor.core.requests.patience import BUSY_TRIES, least_busy, soonest
from exo_supervisor.core.requests.request import Flight, options_of

PAUSE = 0.05
"""Seconds before a second try at the same target; up to twice that with jitter."""


class Start(Struct, frozen=True):
    """Make an attempt; `early` takes a breaker's probe before its rest is over."""

    option: Option
    side: Side
    early: bool = False


class Wait(Struct, frozen=True):
    """Ask again at an instant, or when something changes."""

    until: float


Step = Start | Wait | Fail


def advance(flight: Flight, tables: Tables, budget: Budget, now: float) -> Step:
    """Decide what a request does next; it has no attempt out."""
    if now < flight.pause_until:
        return Wait(flight.pause_until)
    anew, flight.anew = flight.anew, None
    if anew is not None and block(anew[0], flight.seen, tables, now) is None:
        return Start(*anew)
    while flight.place < len(flight.tiers):
        step = _within_tier(flight, flight.tiers[flight.place], tables, budget, now)
        if step is not None:
            return step
        _leave_tier(flight)
    return (
        _panic(flight, tables, now)
        or _try_least_busy(flight, tables, now)
        or _await_model(flight, tables, now)
        or fail(flight, tables, now)
    )


def served_at_home(flight: Flight, tables: Tables, now: float) -> bool:
    """Say whether a fresh request would go to Exo at once.

    Then it need not wait for the end of the first look, which keeps requests from the cloud, and
    from a refusal, that an Exo not yet seen could answer.
    """
    first = flight.tiers[0] if flight.tiers else None
    if first is None or first.side != "exo":
        return False
    options = options_of(flight, first, tables, every=False)
    return any(block(each, flight.seen, tables, now) is None for each in options)


def _within_tier(
    flight: Flight, tier: Tier, tables: Tables, budget: Budget, now: float
) -> Step | None:
    here = flight.faults[len(flight.faults) - flight.attempts_here :]
    blocks = {Block.BUSY if fault is Fault.BUSY else Block.FAILED for _, fault in here}
    if flight.attempts_here < tables.policy.attempts:
        free = _free(flight, tier, tables, now, blocks)
        if free:
            option = pick(_failover_first(flight, free, tables), tables, flight.event.draw, now)
            if _affordable(flight, option, tables, budget, now):
                return Start(option, tier.side)
        else:
            step = _again(flight, tables, budget, now) or _wait(flight, tier, tables, budget, now)
            if step is not None:
                return step
    reason = why_none(blocks, tables)
    flight.reasons.append(reason)
    if flight.shift is None:
        flight.shift = reason.value
    return None


def _free(
    flight: Flight, tier: Tier, tables: Tables, now: float, blocks: set[Block]
) -> list[Option]:
    """List what can be taken; the whole tier is searched only if a sample finds nothing."""
    for every in (False, True):
        free: list[Option] = []
        for option in options_of(flight, tier, tables, every=every):
            reason = block(option, flight.seen, tables, now)
            if reason is None and flight.busy_tries.get(option.pair(), 0) >= BUSY_TRIES:
                reason = Block.BUSY
            if reason is None:
                free.append(option)
            else:
                blocks.add(reason)
        if free:
            return free
    return []


def _failover_first(flight: Flight, free: list[Option], tables: Tables) -> list[Option]:
    """Prefer a failover that is free to a rested breaker's probe, which is not."""
    if flight.attempts_here == 0 or not flight.free_failover:
        return free
    return [option for option in free if _is_closed(option, tables)] or free


def _is_closed(option: Option, tables: Tables) -> bool:
    return all(tables.breakers.is_closed(key) for key in option.guards())


def _affordable(flight: Flight, option: Option, tables: Tables, budget: Budget, now: float) -> bool:
    """Say whether this attempt is free or within the budget.

    Free are a request's first attempt in each tier, and its first failover within one to a target
    whose breaker is closed.
    """
    if flight.attempts_here == 0 or option.target in flight.retried:
        return True  # a second try at the same target was paid for when its pause was granted
    if flight.paid:
        flight.paid = False
        return True
    if _is_free(flight, option, tables):
        flight.free_failover = False
        return True
    return budget.spend(now)


def _is_free(flight: Flight, option: Option, tables: Tables) -> bool:
    if flight.attempts_here == 0:
        return True
    anew = option.pair() in flight.busy_tries
    return flight.free_failover and not anew and _is_closed(option, tables)


def _again(flight: Flight, tables: Tables, budget: Budget, now: float) -> Step | None:
    """Try the same target once more, after a fault that often passes."""
    option, flight.once = flight.once, None
    if option is None or option.target in flight.retried:
        return None
    open_now = not all(tables.breakers.may_admit(key, now) for key in option.guards())
    if open_now or not budget.spend(now):
        return None
    flight.retried.add(option.target)
    flight.seen.failed.discard(option.target)
    flight.seen.pardoned = option.target
    flight.pause_until = now + PAUSE * (1.0 + flight.event.draw)
    return Wait(flight.pause_until)


def _wait(flight: Flight, tier: Tier, tables: Tables, budget: Budget, now: float) -> Step | None:
    """Wait for a busy target; the budget is asked before, or the wait might be for nothing."""
    until = soonest(flight, tier, tables, now)
    if until is None:
        return None
    if until.option is not None and not _is_free(flight, until.option, tables):
        if not (flight.paid or budget.spend(now)):
            return None
        flight.paid = True
    if until.follows:  # not even news bring everybody back at once
        flight.pause_until = until.at
    return Wait(until.at)


def _leave_tier(flight: Flight) -> None:
    flight.place += 1
    flight.attempts_here = 0
    flight.free_failover = True
    flight.once = None
    flight.patience_until = None
    flight.paid = False


def _panic(flight: Flight, tables: Tables, now: float) -> Step | None:
    """When every breaker of a model is open, probe the one whose rest ends first."""
    if flight.attempts or Block.BREAKER not in flight.reasons:
        return None
    best: tuple[float, Option, Side] | None = None
    for tier in flight.tiers:
        for option in options_of(flight, tier, tables, every=False):
            if block(option, flight.seen, tables, now) is not Block.BREAKER:
                continue
            bench = option.bench()
            if bench is not None and not tables.seats.free(bench, option.seats):
                continue
            if not all(tables.breakers.may_probe(key) for key in option.guards()):
                continue
            ends = max(tables.breakers.rest_ends(key) or 0.0 for key in option.guards())
            if best is None or ends < best[0]:
                best = ends, option, tier.side
    if best is None:
        return None
    flight.shift = "panic"
    return Start(best[1], best[2], early=True)


def _try_least_busy(flight: Flight, tables: Tables, now: float) -> Step | None:
    found = least_busy(flight, tables, now)
    return None if found is None else Start(*found)


def _await_model(flight: Flight, tables: Tables, now: float) -> Step | None:
    """Where nothing else can serve, wait for a model that is being placed, within limits."""
    until = flight.arrived + tables.policy.load_wait
    if now >= until or flight.rejected is not None:
        return None
    tiers = [tier for tier in flight.tiers if tier.side == "exo"]
    if not any(tables.keeper.expects(tier.models) for tier in tiers):
        return None
    where_ready, stays = tables.registry.where_ready, flight.seen.local_only
    if any(where_ready(model, local_only=stays) for tier in tiers for model in tier.models):
        return None  # it is there, and could not be used: waiting would not help
    flight.start_over()
    return Wait(until)
