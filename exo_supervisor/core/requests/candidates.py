"""Who could take an attempt now, and why the others could not."""

from collections.abc import Iterator
from enum import Enum
from math import inf

from msgspec import Struct

from exo_supervisor.core.balance.choose import sample, sample_start
from exo_supervisor.core.balance.situation import Situation
from exo_supervisor.core.breakers.table import Key
from exo_supervisor.core.choice import ONLY, Choice
from exo_supervisor.core.events import RequestArrived
from exo_supervisor.core.load.marks import PREFILL, Pair
from exo_supervisor.core.names import Address, Target
from exo_supervisor.core.policy import PeerRules
from exo_supervisor.core.requests.candidate import Candidate
from exo_supervisor.core.requests.catalog import Tier
from exo_supervisor.core.requests.spending import lacks_of
from exo_supervisor.core.tables import Tables

Picked = tuple[Candidate, Choice]


class Block(Enum):
    """Why a candidate cannot be taken; its value is the shift reason that clients see."""

    __hash__ = object.__hash__  # as with Fault

    DOWN = "exo_down"
    NOT_READY = "model_not_ready"
    BREAKER = "breaker_open"
    BUSY = "busy"
    FAILED = "attempt_failed"
    FIELD = "unsupported_field"
    CLOUD = "cloud_down"
    BUDGET = "budget_spent"


class Seen(Struct):
    """What one request, the `event`, has met so far, and what it demands by now.

    Whom it is not sent to again stands here in three widths: a target with all its models
    (`failed`), a model with all the nodes that share it (`skipped`), a model at one target, where
    others there may serve (`unable`). `too_short` is the longest context, in tokens, that it did
    not fit into.
    """

    event: RequestArrived
    demands: frozenset[str]
    local_only: bool
    """It must not leave the house, nor go to a node that is only found."""
    failed: frozenset[Target] = frozenset()
    skipped: frozenset[Key] = frozenset()
    unable: frozenset[Pair] = frozenset()
    too_short: int = 0
    pardoned: Target | None = None
    """Whom to try once more although its model is to be skipped."""
    counted: bool = False
    """It is one of its session's already."""


def candidates(
    tier: Tier,
    tables: Tables,
    draw: float,
    *,
    every: bool,
    local_only: bool,
    home: Target | None = None,
) -> Iterator[Candidate]:
    """List a tier's candidates; of many ready nodes only a sample, unless `every` is asked for.

    A conversation's `home` is among them, if it is ready.
    """
    if tier.provider is not None:
        for model in tier.models:
            for key in range(tables.clouds.count_keys(tier.provider) or 1):
                yield tables.candidates.at_provider(tier.provider, model, key)
        return
    at_node = tables.candidates.at
    for model in tier.models:
        ready = tables.registry.where_ready(model, local_only=local_only)
        taken = ready if every else sample(ready, sample_start(len(ready), draw))
        for address in taken:
            yield at_node(address, model)
        if home is not None and len(taken) < len(ready) and home in ready and home not in taken:
            yield at_node(Address(home), model)


def block(candidate: Candidate, seen: Seen, tables: Tables, now: float) -> Block | None:
    """Say why a candidate cannot be taken now; None means that it can."""
    if _is_unfit(candidate.peer, seen):
        return Block.FIELD
    if candidate.target in seen.failed or candidate.pair in seen.unable:
        return Block.FAILED
    if candidate.guards[1] in seen.skipped and candidate.target != seen.pardoned:
        return Block.FAILED
    provider = candidate.provider
    if seen.too_short and 0 < tables.context(provider, candidate.model) <= seen.too_short:
        return Block.FAILED
    if provider is not None and (reason := _block_at_cloud(candidate, seen, tables, now)):
        return reason
    breakers = tables.breakers
    if breakers.rows and not all(breakers.may_admit(key, now) for key in candidate.guards):
        return Block.BREAKER
    free_at = tables.busy.free_at(candidate.slot, seen.event.draw) if tables.busy.marks else None
    if free_at is not None and now < free_at:
        return Block.BUSY
    if crowded(candidate, tables, now) is not None:
        return Block.BUSY
    return None


def _block_at_cloud(candidate: Candidate, seen: Seen, tables: Tables, now: float) -> Block | None:
    provider = tables.clouds.get(candidate.target)
    # The policy may have changed since it came.
    if provider is None or (seen.local_only and not provider.cloud.local):
        return Block.CLOUD
    cloud = provider.cloud
    if not provider.serves(candidate.model):
        return Block.NOT_READY
    if seen.demands & cloud.ignored:
        return Block.FIELD
    if seen.event.native_demands and cloud.dialect != seen.event.dialect:
        return Block.FIELD
    if PREFILL in seen.demands and tables.quirks.has(candidate.pair, PREFILL):
        return Block.FIELD
    if candidate.key >= len(provider.keys) or not provider.keys[candidate.key].usable(now):
        return Block.DOWN if cloud.local else Block.CLOUD
    if tables.absent.holds(candidate.pair, seen.demands, now):
        return Block.NOT_READY
    if not tables.budgets.active or cloud.local:
        return None
    lacks = lacks_of(seen.event, cloud.name, candidate.model, tables, counted=seen.counted)
    if seen.event.request:  # a forecast is nobody's
        tables.budgets.refuse(lacks)
    return Block.BUDGET if lacks else None


def _is_unfit(peer: PeerRules, seen: Seen) -> bool:
    """Say whether such a peer ignores what a request demands, or would die of it."""
    if seen.demands & peer.ignored:
        return True
    hazards = seen.event.hazards
    return bool(hazards) and not peer.dies_of.isdisjoint(hazards.values())


def crowded(candidate: Candidate, tables: Tables, now: float) -> float | None:
    """Say whether no more may be at work there at once: until when at most, inf for a free seat.

    One that has just recovered gets its traffic back step by step.
    """
    seat_key = candidate.seat_key
    if seat_key is None:
        return None
    if not tables.concurrency.free(seat_key, candidate.seats):
        return inf
    if not tables.breakers.rows:  # who never was ill has not just recovered
        return None
    load = tables.concurrency
    at_work = load.at.get(candidate.target, 0), load.taken.get(seat_key, 0)
    ramps = [
        ramp.until
        for key, many in zip(candidate.guards, at_work, strict=True)
        if (ramp := tables.breakers.ramp(key, now)) is not None and many >= ramp.at_once
    ]
    return max(ramps, default=None)


def at_home(free: list[Candidate], event: RequestArrived, tables: Tables) -> list[Candidate]:
    """Narrow candidates of a tier that can all be taken to where a conversation belongs."""
    home = tables.affinity.home(event, free[0].provider)
    if home is None:
        return free
    known = [each for each in free if each.key == home.key and is_closed(each, tables)]
    there = [each for each in known if each.guards[1] == home.model]
    if free[0].provider is not None:
        return there or known or free
    if not event.mid_turn and any(_is_half_full(each, tables) for each in there):
        there = there if all(_is_half_full(each, tables) for each in free) else []
    return there or free


def is_closed(candidate: Candidate, tables: Tables) -> bool:
    """Say whether traffic to a candidate flows freely, and it is not just being tried."""
    return all(tables.breakers.is_closed(key) for key in candidate.guards)


def _is_half_full(candidate: Candidate, tables: Tables) -> bool:
    key = candidate.seat_key
    return key is not None and 2 * tables.concurrency.taken.get(key, 0) >= candidate.seats


def pick(free: list[Candidate], tables: Tables, draw: float, now: float) -> Picked:
    """Choose among candidates that can all be taken, by the configured balance."""
    if len(free) == 1:
        return free[0], ONLY
    by_target: dict[Target, Candidate] = {}
    for candidate in _warm(free, tables):  # where a target has several, the first named is meant
        by_target.setdefault(candidate.target, candidate)
    return balanced(list(by_target.values()), tables, draw, now)


def _warm(free: list[Candidate], tables: Tables) -> list[Candidate]:
    """Of models that are as good as each other, prefer those that need not be loaded first."""
    if len({each.model for each in free}) == 1:
        return free
    has_sample = tables.latency.has_sample
    cold = {each.pair for each in free if each.peer.loads_late and not has_sample(*each.pair)}
    return [each for each in free if each.pair not in cold] or free


def balanced(free: list[Candidate], tables: Tables, draw: float, now: float) -> Picked:
    """Let the configured balance choose among some targets, each of them once."""
    if len(free) == 1:
        return free[0], ONLY
    tables.turn += 1
    at = Situation(tables.latency, tables.concurrency, tables.turn, draw, now)
    nodes = [each.pair for each in free]
    chosen = free[tables.balance(nodes, at)]
    if at.compared:
        return chosen, Choice("fastest", compared=tuple(at.compared))
    return chosen, Choice("in_turn", compared=tuple((target, None) for target, _ in nodes))


def why_none(blocks: set[Block], tables: Tables) -> Block:
    """Name the one reason that stands for a tier in which nothing can be taken."""
    for reason in (
        Block.FAILED, Block.BUSY, Block.BREAKER, Block.BUDGET, Block.FIELD, Block.CLOUD,
        Block.NOT_READY, Block.DOWN,
    ):  # fmt: skip
        if reason in blocks:
            return reason
    return Block.NOT_READY if tables.registry.any_up() else Block.DOWN
