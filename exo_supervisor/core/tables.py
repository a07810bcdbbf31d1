"""Every table that decisions look at, and nothing else: each has its owner in its own module."""

from collections.abc import Callable

from exo_supervisor.core.balance.choose import policy_named
from exo_supervisor.core.books.book import Prices
from exo_supervisor.core.books.budgets import Budgets
from exo_supervisor.core.breakers.table import Breakers, Key
from exo_supervisor.core.fleet.providers import Clouds
from exo_supervisor.core.fleet.registry import Registry
from exo_supervisor.core.fleet.trust import Trust
from exo_supervisor.core.load.concurrency import Concurrency
from exo_supervisor.core.load.heads import Heads
from exo_supervisor.core.load.latency import Latencies
from exo_supervisor.core.load.marks import Absences, BusyMarks, Declines, Quirks
from exo_supervisor.core.load.prefill import Prefill
from exo_supervisor.core.names import Address, ClusterKey, ModelId, ProviderName, Scope, Side
from exo_supervisor.core.placement.desired import DesiredModels
from exo_supervisor.core.placement.reconciler import Reconciler
from exo_supervisor.core.policy import ModelRule, Policy
from exo_supervisor.core.requests.affinity import Affinity
from exo_supervisor.core.requests.candidate import CandidateCache


class Tables:
    """What decisions look at; the machine alone changes it."""

    def __init__(
        self, policy: Policy, now: float, wake_reconciler: Callable[[float], None], prices: Prices
    ) -> None:
        self.policy, self.prices = policy, prices
        strict = policy.keeps_strangers_out()
        self.registry = Registry(
            Trust(policy.trust, policy.pins, strict=strict, owned=policy.owned), policy.peers
        )
        desired = DesiredModels(policy.models, policy.own, now, policy.waits)
        self.reconciler = Reconciler(desired, self.registry, wake_reconciler, policy.waits)
        self.clouds = Clouds(policy.clouds)
        self.breakers = Breakers(policy.rules)
        self.latency = Latencies()
        self.concurrency = Concurrency()
        self.prefill = Prefill()
        self.heads = Heads()
        self.busy = BusyMarks()
        self.absent = Absences()
        self.quirks = Quirks()
        self.declines = Declines()
        self.affinity = Affinity()
        self.budgets = Budgets(policy)
        self.candidates = CandidateCache(self.registry)
        self.balance = policy_named(policy.balance)
        self.turn = 0
        self._contexts = _contexts_of(policy.models)

    def follow(self, policy: Policy, now: float) -> None:
        """Decide by another policy; what was measured and learnt of who stays is kept."""
        self.policy, self.breakers.rules = policy, policy.rules
        self.balance = policy_named(policy.balance)
        self._contexts = _contexts_of(policy.models)
        self.budgets.follow(policy)
        self.registry.follow(policy, now)
        self.reconciler.desired.follow_rules(policy.models)
        for name in self.clouds.follow(policy.clouds):
            self.breakers.forget(name, models=False)
            self.breakers.forget(name, models=True)
            self.latency.forget(name)
            self.busy.forget(name)

    def context(self, provider: ProviderName | None, model: ModelId) -> int:
        """Return the tokens that a model takes at a provider, or at Exo; 0: nobody told."""
        said = self._contexts.get((provider, model), 0)
        if said or provider is None or (at := self.clouds.get(provider)) is None:
            return said
        return at.contexts.get(model, 0)

    def capabilities(self, provider: ProviderName | None, model: ModelId) -> tuple[str, ...]:
        """Return what a model can at a provider, or at Exo; nothing: nobody told."""
        if provider is None:
            return self.registry.cards.get(model, ())
        at = self.clouds.get(provider)
        return () if at is None else at.capabilities.get(model, ())

    def can_serve(self, now: float) -> bool:
        """Say whether any target of the routing order could take a request now, by what was seen.

        A provider counts that was reached since its last failure and that no operator shut.
        """
        order = self.policy.order
        if "exo" in order and (self.stand_by(now, "exo") or any(self.registry.ready_models())):
            return True
        return "cloud" in order and self.cloud_stands_by(now)

    def cloud_stands_by(self, now: float) -> bool:
        """Say whether any provider could take a request now, by what was seen of it."""
        return not self.policy.local_only and bool(self.stand_by(now, "cloud"))

    def stand_by(self, now: float, side: Side) -> list[ProviderName]:
        """List the providers of a side that could take a request now, by what was seen of them."""
        return [
            name
            for name, provider in self.clouds.providers.items()
            if provider.cloud.side == side
            and provider.stands_by(now)
            and not self.breakers.held_open((name, None))
        ]

    def breaker_key(self, target: str, model: ModelId | None) -> Key:
        """Name the breaker of a target, or of a model where that target's models live.

        What the table shows under that very name comes first, or nobody could give it back.
        """
        if model is None:
            return Address(target), None
        shown = ClusterKey(target), model
        if self.breakers.get(shown) is not None:
            return shown
        return self.scope_of(target), model

    def scope_of(self, target: str) -> Scope:
        """Find the scope that a target's models live in.

        A cluster's key stands for itself, even when the node that gave it its name lives elsewhere
        by now: it is what the table of breakers shows.
        """
        registry = self.registry
        if ClusterKey(target) in registry.clusters:
            return ClusterKey(target)
        node = registry.nodes.get(Address(target))
        return ClusterKey(target) if node is None or node.cluster is None else node.cluster


def _contexts_of(rules: tuple[ModelRule, ...]) -> dict[tuple[ProviderName | None, ModelId], int]:
    """Collect what the rows say; the shortest holds where several speak of one model."""
    contexts: dict[tuple[ProviderName | None, ModelId], int] = {}
    for rule in rules:
        for place in (*((None, model) for model in rule.exo), *rule.cloud):
            if rule.context:
                contexts[place] = min(rule.context, contexts.get(place, rule.context))
    return contexts
