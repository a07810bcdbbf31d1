"""Every table that decisions look at, and nothing else: each has its owner in its own module."""

from collections.abc import Callable

from exo_supervisor.core.balance.choose import policy_named
from exo_supervisor.core.breakers.table import Breakers
from exo_supervisor.core.fleet.providers import Clouds
from exo_supervisor.core.fleet.registry import Registry
from exo_supervisor.core.fleet.trust import Trust
from exo_supervisor.core.load.concurrency import Concurrency
from exo_supervisor.core.load.heads import Heads
from exo_supervisor.core.load.latency import Latencies
from exo_supervisor.core.load.marks import Absences, BusyMarks, Declines, Quirks
from exo_supervisor.core.load.prefill import Prefill
from exo_supervisor.core.placement.desired import DesiredModels
from exo_supervisor.core.placement.reconciler import Reconciler
from exo_supervisor.core.policy import Policy
from exo_supervisor.core.requests.candidate import CandidateCache


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
        self.concurrency = Concurrency()
        self.prefill = Prefill({})
        self.heads = Heads()
        self.busy = BusyMarks()
        self.absent = Absences()
        self.quirks = Quirks()
        self.declines = Declines()
        self.candidates = CandidateCache(self.registry)
        self.balance = policy_named(policy.balance)
        self.turn = 0

    def follow(self, policy: Policy, now: float) -> None:
        """Decide by another policy; what was measured and learnt of who stays is kept."""
        self.policy, self.breakers.rules = policy, policy.rules
        self.balance = policy_named(policy.balance)
        self.registry.follow(policy, now)
        self.reconciler.desired.follow_rules(policy.models)
        for name in self.clouds.follow(policy.clouds):
            self.breakers.forget(name, models=False)
            self.breakers.forget(name, models=True)
            self.latency.forget(name)
            self.busy.forget(name)
