"""One request's way through its tiers: what to do next, decided anew after everything it meets.

A request first tries the targets of its tier, each at most once. Before it leaves the tier it may
try one of them again: after a fault that often passes (a lone 500, a reset before any byte), or
when a busy one named a time that is worth waiting for. Then it goes on to the next tier.

Where no tier has a step, the last resorts are tried in this order: a probe through a breaker that
rests (panic), the least busy of those that asked to be left alone, the wait for a model that is
being placed. Then it fails.
"""

from msgspec import Struct

from exo_supervisor.core.choice import ANEW, LEAST_BUSY, ONLY, PANIC, Awaited, Choice
from exo_supervisor.core.names import Side
from exo_supervisor.core.outcomes import Fault, Refusal
from exo_supervisor.core.requests.candidate import Candidate
from exo_supervisor.core.requests.candidates import (
    Block,
    at_home,
    block,
    is_closed,
    pick,
    why_none,
)
from exo_supervisor.core.requests.catalog import Tier
from exo_supervisor.core.requests.patience import BUSY_TRIES, least_busy, soonest
from exo_supervisor.core.requests.refusals import fail
from exo_supervisor.core.requests.request import RequestState, candidates_of
from exo_supervisor.core.requests.retry_budget import RetryBudget
from exo_supervisor.core.tables import Tables

PAUSE = 0.05
"""Seconds before a second try at the same target; up to twice that with jitter."""


class Start(Struct, frozen=True):
    """Make an attempt; `early` takes a breaker's probe before its rest is over."""

    candidate: Candidate
    side: Side
    early: bool = False
    choice: Choice = ONLY


class Wait(Struct, frozen=True):
    """Ask again at an instant, or when something changes."""

    until: float
    what: Awaited = "turn"


Step = Start | Wait | Refusal


def next_step(state: RequestState, tables: Tables, budget: RetryBudget, now: float) -> Step:
    """Decide what a request does next; it has no attempt out.

    This is a step and no question: it moves `state` on through its tiers, and pays for a retry out
    of the budget before it names it, whether that begins now or after a wait. So ask once, and do
    what it says: what was paid for is not given back.
    """
    if now < state.pause_until:
        return Wait(state.pause_until, "pause")
    anew, state.anew = state.anew, None
    if anew is not None and block(anew[0], state.seen, tables, now) is None:
        return Start(*anew, choice=ANEW)
    while state.place < len(state.tiers):
        step = _within_tier(state, state.tiers[state.place], tables, budget, now)
        if step is not None:
            return step
        _leave_tier(state)
    return (
        _panic(state, tables, now)
        or _try_least_busy(state, tables, now)
        or _await_model(state, tables, now)
        or fail(state, tables, now)
    )


def served_at_home(state: RequestState, tables: Tables, now: float) -> bool:
    """Say whether a fresh request would go to Exo at once.

    Then it need not wait for the end of the first look, which keeps requests from the cloud, and
    from a refusal, that an Exo not yet seen could answer.
    """
    first = state.tiers[0] if state.tiers else None
    if first is None or first.side != "exo":
        return False
    candidates = candidates_of(state, first, tables, every=False)
    return any(block(each, state.seen, tables, now) is None for each in candidates)


def _within_tier(
    state: RequestState, tier: Tier, tables: Tables, budget: RetryBudget, now: float
) -> Step | None:
    here = state.faults[len(state.faults) - state.attempts_here :]
    blocks = {Block.BUSY if fault is Fault.BUSY else Block.FAILED for _, fault in here}
    if state.attempts_here < tables.policy.attempts:
        free = _free(state, tier, tables, now, blocks)
        if free:
            free = at_home(_failover_first(state, free, tables), state.event, tables)
            candidate, choice = pick(free, tables, state.event.draw, now)
            if _pay(state, candidate, tables, budget, now):
                return Start(candidate, tier.side, choice=choice)
            state.met[candidate.slot] = candidate, "retry_budget"
        else:
            step = _again(state, tables, budget, now) or _wait(state, tier, tables, budget, now)
            if step is not None:
                return step
    reason = why_none(blocks, tables)
    if not blocks:
        state.empty[state.place] = tier
    state.reasons += (reason,)
    if state.shift is None:
        state.shift = reason.value
    return None


def _free(
    state: RequestState, tier: Tier, tables: Tables, now: float, blocks: set[Block]
) -> list[Candidate]:
    """List what can be taken; the whole tier is searched only if a sample finds nothing."""
    for every in (False, True):
        free: list[Candidate] = []
        for candidate in candidates_of(state, tier, tables, every=every):
            reason = block(candidate, state.seen, tables, now)
            if reason is None and state.busy_tries.count(candidate.slot) >= BUSY_TRIES:
                reason = Block.BUSY
            if reason is None:
                free.append(candidate)
                if state.met:
                    state.met.pop(candidate.slot, None)
            else:
                blocks.add(reason)
                state.met[candidate.slot] = candidate, reason.value
        if free:
            return free
    return []


def _failover_first(state: RequestState, free: list[Candidate], tables: Tables) -> list[Candidate]:
    """Prefer a failover that is free to a rested breaker's probe, which is not."""
    if state.attempts_here == 0 or not state.free_failover:
        return free
    return [candidate for candidate in free if is_closed(candidate, tables)] or free


def _pay(
    state: RequestState, candidate: Candidate, tables: Tables, budget: RetryBudget, now: float
) -> bool:
    """Pay for an attempt; False if the budget has nothing left.

    Free are a request's first attempt in each tier, and its first failover within one to a target
    whose breaker is closed.
    """
    if state.attempts_here == 0 or candidate.target in state.retried:
        return True  # a second try at the same target was paid for when its pause was granted
    if state.paid:
        state.paid = False
        return True
    if _is_free(state, candidate, tables):
        state.free_failover = False
        return True
    return budget.spend(now)


def _is_free(state: RequestState, candidate: Candidate, tables: Tables) -> bool:
    if state.attempts_here == 0:
        return True
    anew = candidate.slot in state.busy_tries
    return state.free_failover and not anew and is_closed(candidate, tables)


def _again(state: RequestState, tables: Tables, budget: RetryBudget, now: float) -> Step | None:
    """Try the same target once more, after a fault that often passes."""
    candidate, state.once = state.once, None
    if candidate is None or candidate.target in state.retried:
        return None
    open_now = not all(tables.breakers.may_admit(key, now) for key in candidate.guards)
    if open_now or not budget.spend(now):
        return None
    state.retried |= {candidate.target}
    state.seen.failed -= {candidate.target}
    state.seen.unable -= {candidate.pair}
    state.seen.pardoned = candidate.target
    state.pause_until = now + PAUSE * (1.0 + state.event.draw)
    return Wait(state.pause_until, "pause")


def _wait(
    state: RequestState, tier: Tier, tables: Tables, budget: RetryBudget, now: float
) -> Step | None:
    """Wait for a busy target; the budget is asked before, or the wait might be for nothing."""
    if state.resuming:  # its client has half an answer: on to a tier that can go on at once
        return None
    until = soonest(state, tier, tables, now)
    if until is None:
        return None
    if until.candidate is not None and not _is_free(state, until.candidate, tables):
        if not (state.paid or budget.spend(now)):
            return None
        state.paid = True
    if until.follows:  # not even news bring everybody back at once
        state.pause_until = until.at
    return Wait(until.at)


def _leave_tier(state: RequestState) -> None:
    state.place += 1
    state.attempts_here = 0
    state.free_failover = True
    state.once = None
    state.patience_until = None
    state.paid = False


def _panic(state: RequestState, tables: Tables, now: float) -> Step | None:
    """Probe the breaker whose rest ends first, before a request is refused without one attempt.

    So it is where no tier offered a step, no attempt was made, and at least one tier was left
    because of a breaker; others may have been left for other reasons.
    """
    if state.attempts or Block.BREAKER not in state.reasons:
        return None
    best: tuple[float, Candidate, Side] | None = None
    for tier in state.tiers:
        for candidate in candidates_of(state, tier, tables, every=False):
            if block(candidate, state.seen, tables, now) is not Block.BREAKER:
                continue
            seat_key = candidate.seat_key
            if seat_key is not None and not tables.concurrency.free(seat_key, candidate.seats):
                continue
            if not all(tables.breakers.may_probe(key) for key in candidate.guards):
                continue
            ends = max(tables.breakers.rest_ends(key) or 0.0 for key in candidate.guards)
            if best is None or ends < best[0]:
                best = ends, candidate, tier.side
    if best is None:
        return None
    state.shift = "panic"
    return Start(best[1], best[2], early=True, choice=PANIC)


def _try_least_busy(state: RequestState, tables: Tables, now: float) -> Step | None:
    found = least_busy(state, tables, now)
    return None if found is None else Start(*found, choice=LEAST_BUSY)


def _await_model(state: RequestState, tables: Tables, now: float) -> Step | None:
    """Where nothing else can serve, wait for a model that is being placed, within limits."""
    until = state.arrived + tables.policy.load_wait
    if now >= until or state.rejected is not None:
        return None
    tiers = [tier for tier in state.tiers if tier.provider is None]
    if not any(tables.reconciler.expects(tier.models) for tier in tiers):
        return None
    where_ready, stays = tables.registry.where_ready, state.seen.local_only
    if any(where_ready(model, local_only=stays) for tier in tiers for model in tier.models):
        return None  # it is there, and could not be used: waiting would not help
    state.start_over()
    return Wait(until, "model")
