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
from exo_supervisor.core.load.concurrency import Bench, Seats, bench_of, seats_of
from exo_supervisor.core.load.heads import Heads
from exo_supervisor.core.load.latency import Meters
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
from exo_supervisor.core.placement.desired import Wants
from exo_supervisor.core.placement.reconciler import Keeper
from exo_supervisor.core.policy import Policy
from exo_supervisor.core.requests.catalog import Tier


class Block(Enum):
    """Why an option cannot be taken; its value is the shift reason that clients see."""

    DOWN = "exo_down"
    NOT_READY = "model_not_ready"
    BREAKER = "breaker_open"
    BUSY = "busy"
    FAILED = "attempt_failed"
    FIELD = "unsupported_field"
    CLOUD = "cloud_down"


class Option(Struct, frozen=True):
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

    def bench(self) -> Bench | None:
        """Name what limits how many are at work at once; a provider knows its own limit."""
        if self.generation is None:
            return None
        return bench_of(self.generation, self.scope, self.model)


class Tables:
    """What decisions look at; the machine alone changes it."""

    def __init__(self, policy: Policy, now: float, wake_keeper: Callable[[float], None]) -> None:
        self.policy = policy
        strict = policy.keeps_strangers_out()
        self.registry = Registry(
            Trust(policy.trust, policy.pins, strict=strict, owned=policy.owned)
        )
        wants = Wants(policy.models, policy.own, now, policy.waits)
        self.keeper = Keeper(wants, self.registry, wake_keeper, policy.waits)
        self.clouds = Clouds(policy.clouds)
        self.breakers = Breakers(policy.rules)
        self.meters = Meters()
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
        self.keeper.wants.follow_rules(policy.models)
        for name in self.clouds.follow(policy.clouds):
            self.breakers.forget(name, models=False)
            self.breakers.forget(name, models=True)
            self.meters.forget(name)
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


def options(
    tier: Tier, tables: Tables, draw: float, *, every: bool, local_only: bool
) -> Iterator[Option]:
    """List a tier's options; of many ready nodes only a sample, unless `every` is asked for."""
    if tier.provider is not None:
        if tier.provider in tables.clouds.providers:  # else it left the configuration meanwhile
            for model in tier.models:
                yield Option(tier.provider, tier.provider, model, None)
        return
    registry = tables.registry
    for model in tier.models:
        ready = registry.where_ready(model, local_only=local_only)
        for address in ready if every else sample(ready, draw):
            yield _at_node(registry, address, model)


def _at_node(registry: Registry, address: Address, model: ModelId) -> Option:
    node = registry.nodes[address]
    generation, scope = node.generation or "C", node.cluster or ClusterKey(address)
    cluster = registry.clusters.get(scope)
    placed = None if cluster is None else cluster.models.get(model)
    ready = 0 if placed is None else sum(instance.ready for instance in placed.instances)
    seats = seats_of(generation, state_paths=node.state_paths, instances=ready)
    return Option(address, scope, model, generation, seats)


def block(option: Option, seen: Seen, tables: Tables, now: float) -> Block | None:
    """Say why an option cannot be taken now; None means that it can."""
    if option.generation is not None and _is_unfit(option.generation, seen, tables.policy):
        return Block.FIELD
    if option.target in seen.failed or option.pair() in seen.passed:
        return Block.FAILED
    if option.scope in seen.skipped and option.target != seen.pardoned:
        return Block.FAILED
    if option.generation is None and (reason := _block_at_cloud(option, seen, tables, now)):
        return reason
    target_key, model_key = option.guards()
    breakers = tables.breakers
    if not (breakers.may_admit(target_key, now) and breakers.may_admit(model_key, now)):
        return Block.BREAKER
    free_at = tables.busy.free_at(option.pair(), seen.draw)
    if free_at is not None and now < free_at:
        return Block.BUSY
    if crowded(option, tables, now) is not None:
        return Block.BUSY
    return None


def _block_at_cloud(option: Option, seen: Seen, tables: Tables, now: float) -> Block | None:
    provider = tables.clouds.get(option.target)
    if provider is None or seen.local_only:  # the policy may have changed since it came
        return Block.CLOUD
    if PREFILL in seen.demands and tables.quirks.has(option.pair(), PREFILL):
        return Block.FIELD
    if not provider.usable(now):
        return Block.CLOUD
    if tables.absent.holds(option.pair(), now):
        return Block.NOT_READY
    if 0 < provider.contexts.get(option.model, 0) <= seen.too_short:
        return Block.FAILED
    return None


def _is_unfit(generation: Generation, seen: Seen, policy: Policy) -> bool:
    """Say whether a generation ignores what a request demands, or would die of it."""
    if seen.demands & policy.ignored[generation]:
        return True
    return bool(seen.hazards) and not policy.dies_of[generation].isdisjoint(seen.hazards.values())


def crowded(option: Option, tables: Tables, now: float) -> float | None:
    """Say whether no more may be at work there at once: until when at most, inf for a free seat.

    One that has just recovered gets its traffic back step by step.
    """
    bench = option.bench()
    if bench is None:
        return None
    if not tables.seats.free(bench, option.seats):
        return inf
    at_work = tables.meters.in_flight(option.target), tables.seats.taken.get(bench, 0)
    ramps = [
        ramp.until
        for key, many in zip(option.guards(), at_work, strict=True)
        if (ramp := tables.breakers.ramp(key, now)) is not None and many >= ramp.at_once
    ]
    return max(ramps, default=None)


def pick(free: list[Option], tables: Tables, draw: float, now: float) -> Option:
    """Choose among options that can all be taken, by the configured balance."""
    if len(free) == 1:
        return free[0]
    by_target: dict[Address, Option] = {}
    for option in free:  # where a target has several of the models, the first named is meant
        by_target.setdefault(Address(option.target), option)
    tables.turn += 1
    chosen = choose(
        list(by_target),
        free[0].model,
        tables.meters,
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
