"""Who could take an attempt now, and why the others could not."""

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from math import inf

from msgspec import Struct, field

from exo_supervisor.core.balance.choose import choose, sample
from exo_supervisor.core.breakers.table import Breakers, Key
from exo_supervisor.core.fleet.providers import Clouds
from exo_supervisor.core.fleet.registry import Registry
from exo_supervisor.core.fleet.trust import Trust
from exo_supervisor.core.load.concurrency import SeatKey, Seats, key_of, seats_of
from exo_supervisor.core.load.heads import Heads
from exo_supervisor.core.load.latency import Latencies
from exo_supervisor.core.load.marks import PREFILL, Absences, BusyMarks, Declines, Pair, Quirks
from exo_supervisor.core.load.prefill import Prefill
from exo_supervisor.core.names import (
    Address,
    ClusterKey,
    Generation,
    ModelId,
    Scope,
    Target,
)
from exo_supervisor.core.placement.desired import DesiredModels
from exo_supervisor.core.placement.reconciler import Reconciler
from exo_supervisor.core.policy import Policy
from exo_supervisor.core.requests.catalog import Tier


class Block(Enum):
    """Why a candidate cannot be taken; its value is the shift reason that clients see."""

    DOWN = "exo_down"
    NOT_READY = "model_not_ready"
    BREAKER = "breaker_open"
    BUSY = "busy"
    FAILED = "attempt_failed"
    FIELD = "unsupported_field"
    CLOUD = "cloud_down"


class Candidate(Struct, frozen=True):
    """One target for one model, the two breakers that guard it, and the seats it has there."""

    target: Target
    scope: Scope
    model: ModelId
    generation: Generation | None
    seats: int = 0

    def guards(self) -> tuple[Key, Key]:
        """Name the breakers of the target and of the model."""
        return (self.target, None), (self.scope, self.model)

    def pair(self) -> Pair:
        """Name the model at this very target."""
        return self.target, self.model

    def key(self) -> SeatKey | None:
        """Name what limits how many are at work at once; a provider knows its own limit."""
        if self.generation is None:
            return None
        return key_of(self.generation, self.scope, self.model)


class Tables:
    """What decisions look at; the machine alone changes it."""

    def __init__(
        self, policy: Policy, now: float, wake_reconciler: Callable[[float], None]
    ) -> None:
        self.policy = policy
        strict = policy.keeps_strangers_out()
        self.registry = Registry(
            Trust(policy.trust, policy.pins, strict=strict, owned=policy.owned)
        )
        desired = DesiredModels(policy.models, policy.own, now, policy.waits)
        self.reconciler = Reconciler(desired, self.registry, wake_reconciler, policy.waits)
        self.clouds = Clouds(policy.clouds)
        self.breakers = Breakers(policy.rules)
        self.latency = Latencies()
        self.prefill = Prefill({})
        self.heads = Heads()
        self.busy = BusyMarks()
        self.absent = Absences()
        self.quirks = Quirks()
        self.declines = Declines()
        self.seats = Seats({})
        self.turn = 0

    def follow(self, policy: Policy, now: float) -> None:
        """Decide by another policy; what was measured and learnt of who stays is kept."""
        self.policy, self.breakers.rules = policy, policy.rules
        self.registry.follow(policy, now)
        self.reconciler.desired.follow_rules(policy.models)
        for name in self.clouds.follow(policy.clouds):
            self.breakers.forget(name, models=False)
            self.breakers.forget(name, models=True)
            self.latency.forget(name)
            self.busy.forget(name)


class Seen(Struct):
    """What one request has met so far; `demands`, `hazards` and `draw` are its own.

    `passed` are the models at providers that cannot serve this request, while others there may;
    `too_short` is the longest context, in tokens, that it did not fit into.
    """

    failed: set[Target]
    skipped: set[Scope]
    demands: frozenset[str]
    hazards: Mapping[str, str] = {}
    local_only: bool = False
    """It must not leave the house, nor go to a node that is only found."""
    draw: float = 0.0
    passed: set[Pair] = field(default_factory=set[Pair])
    too_short: int = 0
    pardoned: Target | None = None
    """Whom to try once more although its scope is to be skipped."""


def candidates(
    tier: Tier, tables: Tables, draw: float, *, every: bool, local_only: bool
) -> Iterator[Candidate]:
    """List a tier's candidates; of many ready nodes only a sample, unless `every` is asked for."""
    if tier.provider is not None:
        if tier.provider in tables.clouds.providers:  # else it left the configuration meanwhile
            for model in tier.models:
                yield Candidate(tier.provider, tier.provider, model, None)
        return
    registry = tables.registry
    for model in tier.models:
        ready = registry.where_ready(model, local_only=local_only)
        for address in ready if every else sample(ready, draw):
            yield _at_node(registry, address, model)


def _at_node(registry: Registry, address: Address, model: ModelId) -> Candidate:
    node = registry.nodes[address]
    generation, scope = node.generation or "C", node.cluster or ClusterKey(address)
    cluster = registry.clusters.get(scope)
    placed = None if cluster is None else cluster.models.get(model)
    ready = 0 if placed is None else sum(instance.ready for instance in placed.instances)
    seats = seats_of(generation, state_paths=node.state_paths, instances=ready)
    return Candidate(address, scope, model, generation, seats)


def block(candidate: Candidate, seen: Seen, tables: Tables, now: float) -> Block | None:
    """Say why a candidate cannot be taken now; None means that it can."""
    if candidate.generation is not None and _is_unfit(candidate.generation, seen, tables.policy):
        return Block.FIELD
    if candidate.target in seen.failed or candidate.pair() in seen.passed:
        return Block.FAILED
    if candidate.scope in seen.skipped and candidate.target != seen.pardoned:
        return Block.FAILED
    if candidate.generation is None and (reason := _block_at_cloud(candidate, seen, tables, now)):
        return reason
    target_key, model_key = candidate.guards()
    breakers = tables.breakers
    if not (breakers.may_admit(target_key, now) and breakers.may_admit(model_key, now)):
        return Block.BREAKER
    free_at = tables.busy.free_at(candidate.pair(), seen.draw)
    if free_at is not None and now < free_at:
        return Block.BUSY
    if crowded(candidate, tables, now) is not None:
        return Block.BUSY
    return None


def _block_at_cloud(candidate: Candidate, seen: Seen, tables: Tables, now: float) -> Block | None:
    provider = tables.clouds.get(candidate.target)
    if provider is None or seen.local_only:  # the policy may have changed since it came
        return Block.CLOUD
    if PREFILL in seen.demands and tables.quirks.has(candidate.pair(), PREFILL):
        return Block.FIELD
    if not provider.usable(now):
        return Block.CLOUD
    if tables.absent.holds(candidate.pair(), now):
        return Block.NOT_READY
    if 0 < provider.contexts.get(candidate.model, 0) <= seen.too_short:
        return Block.FAILED
    return None


def _is_unfit(generation: Generation, seen: Seen, policy: Policy) -> bool:
    """Say whether a generation ignores what a request demands, or would die of it."""
    if seen.demands & policy.ignored[generation]:
        return True
    return bool(seen.hazards) and not policy.dies_of[generation].isdisjoint(seen.hazards.values())


def crowded(candidate: Candidate, tables: Tables, now: float) -> float | None:
    """Say whether no more may be at work there at once: until when at most, inf for a free seat.

    One that has just recovered gets its traffic back step by step.
    """
    seat_key = candidate.key()
    if seat_key is None:
        return None
    if not tables.seats.free(seat_key, candidate.seats):
        return inf
    at_work = tables.latency.in_flight(candidate.target), tables.seats.taken.get(seat_key, 0)
    ramps = [
        ramp.until
        for key, many in zip(candidate.guards(), at_work, strict=True)
        if (ramp := tables.breakers.ramp(key, now)) is not None and many >= ramp.at_once
    ]
    return max(ramps, default=None)


def pick(free: list[Candidate], tables: Tables, draw: float, now: float) -> Candidate:
    """Choose among candidates that can all be taken, by the configured balance."""
    if len(free) == 1:
        return free[0]
    by_target: dict[Address, Candidate] = {}
    for candidate in free:  # where a target has several of the models, the first named is meant
        by_target.setdefault(Address(candidate.target), candidate)
    tables.turn += 1
    chosen = choose(
        list(by_target),
        free[0].model,
        tables.latency,
        policy=tables.policy.balance,
        turn=tables.turn,
        draw=draw,
        now=now,
    )
    return by_target[chosen]


def why_none(blocks: set[Block], tables: Tables) -> Block:
    """Name the one reason that stands for a tier in which nothing can be taken."""
    for reason in (
        Block.FAILED, Block.BUSY, Block.BREAKER, Block.FIELD, Block.CLOUD, Block.NOT_READY,
    ):  # fmt: skip
        if reason in blocks:
            return reason
    return Block.NOT_READY if tables.registry.any_up() else Block.DOWN
