"""One request's way through its tiers: what to do next, decided anew after everything it meets.

A request first tries the targets of its tier, each at most once. Before it leaves the tier it may
try one of them again: after a fault that often passes (a lone 500, a reset before any byte), or
when a busy one named a time that is worth waiting for. Then it goes on to the next tier.
"""

from collections.abc import Iterator
from math import ceil, inf

from msgspec import Struct

from exo_supervisor.core.catalog import Tier
from exo_supervisor.core.flights import Flight
from exo_supervisor.core.names import Address, Side
from exo_supervisor.core.options import (
    Block,
    Option,
    Seen,
    Tables,
    block,
    crowded,
    options,
    pick,
    why_none,
)
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.refusals import short
from exo_supervisor.core.retry import Budget

PAUSE = 0.05
"""Seconds before a second try at the same target; up to twice that with jitter."""
LAST_RESORT = 300.0
"""Seconds that a request waits for its turn when no other tier is left to it."""
BUSY_TRIES = 2
"""Attempts that one request makes at a target that answers `busy`."""


class Start(Struct, frozen=True):
    """Make an attempt; `early` takes a breaker's probe before its rest is over."""

    option: Option
    side: Side
    early: bool = False


class Wait(Struct, frozen=True):
    """Ask again at an instant, or when something changes."""

    until: float


class Fail(Struct, frozen=True):
    """Give up; `retry_after` in seconds."""

    status: int
    code: str
    message: str
    param: str | None = None
    retry_after: float | None = None


Step = Start | Wait | Fail


def advance(flight: Flight, tables: Tables, budget: Budget, now: float) -> Step:
    """Decide what a request does next; it has no attempt out."""
    if now < flight.pause_until:
        return Wait(flight.pause_until)
    while flight.place < len(flight.tiers):
        step = _within_tier(flight, flight.tiers[flight.place], tables, budget, now)
        if step is not None:
            return step
        _leave_tier(flight)
    return (
        _panic(flight, tables, now)
        or _await_model(flight, tables, now)
        or _fail(flight, tables, now)
    )


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
        elif (step := _again(flight, tables, budget, now)) is not None:
            return step
        elif (until := _worth_waiting(flight, tier, tables, now)) is not None:
            return Wait(until)
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
        for option in _options(flight, tier, tables, every=every):
            reason = block(option, flight.seen, tables, now)
            if reason is None and flight.busy_tries.get(option.target, 0) >= BUSY_TRIES:
                reason = Block.BUSY
            if reason is None:
                free.append(option)
            else:
                blocks.add(reason)
        if free:
            return free
    return []


def _options(flight: Flight, tier: Tier, tables: Tables, *, every: bool) -> Iterator[Option]:
    local_only = flight.seen.local_only
    return options(tier, tables, flight.event.draw, every=every, local_only=local_only)


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
    if flight.attempts_here == 0:
        return True
    if option.target in flight.retried:
        return True  # paid for when the pause was granted
    if option.target in flight.busy_tries:
        return budget.spend(now)
    if flight.free_failover and _is_closed(option, tables):
        flight.free_failover = False
        return True
    return budget.spend(now)


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


def _worth_waiting(flight: Flight, tier: Tier, tables: Tables, now: float) -> float | None:
    """Tell until when a busy target is worth waiting for, within the house's patience."""
    if flight.patience_until is None:
        flight.patience_until = now + tables.policy.patience
    patience = flight.patience_until
    soonest = inf
    for option in _options(flight, tier, tables, every=True):
        if block(option, flight.seen, tables, now) is not Block.BUSY:
            continue
        if flight.busy_tries.get(option.target, 0) >= BUSY_TRIES:
            continue
        mark = tables.busy.get(option.target)
        if mark is not None and now < mark.until:
            if mark.until <= patience:
                soonest = min(soonest, mark.until)
        elif (more := crowded(option, tables, now)) == inf:  # a seat comes when another ends
            turn = flight.arrived + LAST_RESORT if flight.last_tier() else patience
            soonest = min(soonest, turn)
        elif more is not None and flight.last_tier():  # it has just recovered: all in good time
            soonest = min(soonest, more)
    return soonest if now < soonest < inf else None


def _leave_tier(flight: Flight) -> None:
    flight.place += 1
    flight.attempts_here = 0
    flight.free_failover = True
    flight.once = None
    flight.patience_until = None


def _panic(flight: Flight, tables: Tables, now: float) -> Step | None:
    """When every breaker of a model is open, probe the one whose rest ends first."""
    if flight.attempts or Block.BREAKER not in flight.reasons:
        return None
    best: tuple[float, Option, Side] | None = None
    for tier in flight.tiers:
        for option in _options(flight, tier, tables, every=False):
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


def _fail(flight: Flight, tables: Tables, now: float) -> Fail:
    if flight.rejected is not None:
        status, message = flight.rejected
        return Fail(status, "upstream_rejected", message)
    retry_after = _retry_after(flight, tables, now)
    tried = ", ".join(f"{target}: {fault.value}" for target, fault in flight.faults)
    faults = {fault for _, fault in flight.faults}
    name = short(flight.route.name)
    if faults == {Fault.NOT_PLACED} and not flight.route.known:
        text = f"the provider has no such model as {name!r}"
        return Fail(404, "model_not_found", text, param="model")
    unlisted = list(_unlisted(flight, tables))
    if unlisted and faults <= {Fault.NOT_PLACED} and all(unlisted):
        return Fail(404, "model_not_found", "; ".join(unlisted), param="model")
    if faults - {Fault.BUSY, Fault.NOT_PLACED, Fault.BAD_KEY}:
        return Fail(502, "attempts_failed", f"every attempt for {name!r} failed ({tried})")
    if Fault.BUSY in faults or set(flight.reasons) == {Block.BUSY}:
        text = f"every target of {name!r} is busy" + (f" ({tried})" if tried else "")
        return Fail(503, "overloaded", text, retry_after=retry_after)
    blocks = set(flight.reasons)
    if blocks == {Block.FIELD}:
        return _unfit(flight.seen, name)
    why = ", ".join(sorted({reason.value for reason in blocks})) or "no target is configured"
    if flight.seen.local_only:
        text = f"no Exo node can serve {name!r} now ({why}), and it must not leave this network"
        if (found := _only_found(flight, tables)) is not None:
            text += f"; {found} could, but is only found: exo-supervisor nodes trust {found}"
        return Fail(503, "local_only_unavailable", text, retry_after=retry_after)
    lasting = "".join(f"; {said}" for said in unlisted if said)
    text = f"nothing can serve {name!r} now ({why}){lasting}"
    return Fail(503, "no_target", text, retry_after=retry_after)


def _unlisted(flight: Flight, tables: Tables) -> Iterator[str]:
    """Say of each place where the model may be asked for that it is not listed, where it is not."""
    for tier in flight.tiers:
        for model in tier.models:
            yield "" if tier.provider is None else tables.clouds.unlisted(tier.provider, model)


def _unfit(seen: Seen, name: str) -> Fail:
    """Name the fields that no target of a model takes."""
    if seen.hazards:
        fields = ", ".join(sorted(seen.hazards))
        text = f"Exo would die of the value of {fields}, and {name!r} stands nowhere else: mend it"
        return Fail(400, "unsupported_field", text, param=min(seen.hazards))
    fields = ", ".join(sorted(seen.demands))
    text = f"no target of {name!r} honours {fields}: leave it out, or use another model"
    return Fail(400, "unsupported_field", text, param=min(seen.demands))


def _only_found(flight: Flight, tables: Tables) -> Address | None:
    """Name a node that could serve what must stay in the house, if a person trusted it."""
    models = [model for tier in flight.tiers if tier.side == "exo" for model in tier.models]
    nodes, where = tables.registry.nodes, tables.registry.where_placed
    ready = (cluster for model in models for cluster, placed in where(model) if placed.ready)
    members = (nodes[member] for cluster in ready for member in cluster.members)
    return next((node.address for node in members if node.up and node.trust == "found"), None)


def _retry_after(flight: Flight, tables: Tables, now: float) -> float:
    """Tell when asking again makes sense: the soonest end of a rest, or the next look."""
    soonest = now + tables.policy.ready_interval
    for tier in flight.tiers:
        for option in _options(flight, tier, tables, every=False):
            ends = [tables.breakers.rest_ends(key) for key in option.guards()]
            rest = max((end for end in ends if end is not None), default=inf)
            mark = tables.busy.get(option.target)
            soonest = min(soonest, rest, mark.until if mark is not None else inf)
    return float(max(1, ceil(soonest - now)))
