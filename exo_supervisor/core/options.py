"""Who could take an attempt now, and why the others could not."""

from collections.abc import Iterator
from enum import Enum

from msgspec import Struct

from exo_supervisor.core.balance import choose, sample
from exo_supervisor.core.breakers import Breakers, Key
from exo_supervisor.core.catalog import Tier
from exo_supervisor.core.clouds import Clouds
from exo_supervisor.core.meter import Meters
from exo_supervisor.core.names import (
    Address,
    ClusterKey,
    Generation,
    ModelId,
    ProviderName,
    Scope,
    Target,
)
from exo_supervisor.core.policy import Policy
from exo_supervisor.core.registry import Registry


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
    """One target for one model, and the two breakers that guard it."""

    target: Target
    scope: Scope
    model: ModelId
    generation: Generation | None

    def guards(self) -> tuple[Key, Key]:
        """Name the breakers of the target and of the model."""
        return (self.target, None), (self.scope, self.model)


class Busy(Struct, frozen=True):
    """A target asked to be left alone until an instant, `streak` times in a row."""

    until: float
    streak: int


class Tables:
    """What decisions look at; the machine alone changes it."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.registry = Registry()
        self.clouds = Clouds(policy.clouds)
        self.breakers = Breakers(policy.rules)
        self.meters = Meters()
        self.busy: dict[Target, Busy] = {}
        self.one_at_a_time: set[Scope] = set()
        """Clusters of generation A that have their attempt: a second one at once evicts its KV
        cache (exo#453)."""
        self.turn = 0


class Seen(Struct):
    """What one request has met so far; `demands` are its own."""

    failed: set[Target]
    skipped: set[Scope]
    demands: frozenset[str]
    pardoned: Target | None = None
    """Whom to try once more although its scope is to be skipped."""


def options(tier: Tier, tables: Tables, draw: float, *, every: bool) -> Iterator[Option]:
    """List a tier's options; of many ready nodes only a sample, unless `every` is asked for."""
    if tier.provider is not None:
        provider = tables.clouds.providers[tier.provider]
        for model in tier.models:
            yield Option(provider.cloud.name, provider.cloud.name, model, None)
        return
    registry = tables.registry
    for model in tier.models:
        ready = registry.where_ready(model)
        for address in ready if every else sample(ready, draw):
            node = registry.nodes[address]
            yield Option(address, node.cluster or ClusterKey(address), model, node.generation)


def block(option: Option, seen: Seen, tables: Tables, now: float) -> Block | None:
    """Say why an option cannot be taken now; None means that it can."""
    if option.generation is not None and seen.demands & tables.policy.ignored[option.generation]:
        return Block.FIELD
    if option.target in seen.failed:
        return Block.FAILED
    if option.scope in seen.skipped and option.target != seen.pardoned:
        return Block.FAILED
    if option.generation is None and not _usable(option.target, tables, now):
        return Block.CLOUD
    target_key, model_key = option.guards()
    breakers = tables.breakers
    if not (breakers.may_admit(target_key, now) and breakers.may_admit(model_key, now)):
        return Block.BREAKER
    mark = tables.busy.get(option.target)
    if mark is not None and now < mark.until:
        return Block.BUSY
    if option.scope in tables.one_at_a_time:
        return Block.BUSY
    return None


def _usable(target: Target, tables: Tables, now: float) -> bool:
    return tables.clouds.providers[ProviderName(target)].usable(now)


def pick(free: list[Option], tables: Tables, draw: float) -> Option:
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
    )
    return by_target[chosen]


def why_none(blocks: set[Block], tables: Tables) -> Block:
    """Name the one reason that stands for a tier in which nothing can be taken."""
    for reason in (Block.FAILED, Block.BUSY, Block.BREAKER, Block.FIELD, Block.CLOUD):
        if reason in blocks:
            return reason
    return Block.NOT_READY if tables.registry.any_up() else Block.DOWN
