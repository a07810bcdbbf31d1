"""The one automaton: events in, effects out, and an instant at which it wants to be asked again.

`handle(event, now)` is the only way in which anything changes. The machine mutates its tables in
place, since copying them would make the cost of an event grow with the load; nobody else may.
"""

from heapq import heapify, heappop, heappush
from math import inf
from typing import Literal

from exo_supervisor.core.breakers.table import Key
from exo_supervisor.core.effects import Announce, Effect, ReadPlacement
from exo_supervisor.core.events import (
    AddressesRead,
    AttemptQuieted,
    AttemptSettled,
    BreakerForced,
    CapacityRead,
    CardsRead,
    ContentSeen,
    Event,
    LinkSeen,
    ModelOrdered,
    ModelRemoved,
    NodesForgotten,
    NodeSighted,
    NodeTrusted,
    PlacementChosen,
    PlacementFailed,
    PlacementRead,
    PlacementSettled,
    PolicyChanged,
    ProbeAnswered,
    ProbeFailed,
    ProviderFailed,
    ProviderListed,
    RequestArrived,
    RequestEnded,
    SourceHeard,
    Ticked,
)
from exo_supervisor.core.fleet.pinning import Pinning
from exo_supervisor.core.fleet.vouching import is_dead
from exo_supervisor.core.fleet_events import FleetEvents
from exo_supervisor.core.names import Address, ClusterKey, ModelId, RequestId, Scope
from exo_supervisor.core.policy import Policy
from exo_supervisor.core.requests.catalog import Catalog
from exo_supervisor.core.requests.dispatch import Dispatch
from exo_supervisor.core.requests.settlement import announced
from exo_supervisor.core.tables import Tables

SWEEP = 60.0
"""Seconds between two looks for nodes that may be forgotten."""

CAPACITY_EVERY = 3
"""Rounds of a cluster's members, in one of which each is asked for the capacities, too.

Each path of a state costs Exo 14 ms, and a member that is deaf to it must not hide the capacities.
"""

ALARMS = 64
"""Stale alarms that are not worth a clean-up."""

Kind = Literal["request", "cluster", "reconciler", "look", "sweep"]
Alarm = tuple[float, Kind, str]


class Machine:
    """Decides everything; it has no clock, does no I/O and never waits."""

    def __init__(self, policy: Policy, now: float) -> None:
        self.started = now
        self._alarms: list[Alarm] = []
        self._keeper_at = inf
        self.tables = Tables(policy, now, self._wake_keeper)
        self.catalog = Catalog(policy, self.tables.registry, self.tables.clouds)
        self.dispatch = Dispatch(self.tables, self.catalog, self._wake)
        self._fleet_events = FleetEvents(self.tables)
        self._pinning = Pinning(self.tables)
        self._scheduled: set[ClusterKey] = set()
        self._set(now + policy.first_look, "look")
        self._set(now + SWEEP, "sweep")

    def handle(self, event: Event, now: float) -> list[Effect]:  # noqa: C901 - a table
        """Take one event in and say what is to be done."""
        match event:
            case RequestArrived():
                return self.dispatch.arrived(event, now)
            case ContentSeen():
                return self.dispatch.content(event, now)
            case AttemptSettled():
                return self.dispatch.settled(event, now)
            case RequestEnded():
                return self.dispatch.ended(event, now)
            case AttemptQuieted():
                return self.dispatch.quieted(event, now)
            case Ticked():
                return self._tick(now)
            case BreakerForced():
                return self._force(event, now)
            case PolicyChanged():
                return self._follow_policy(event, now)
            case PlacementSettled() | ModelRemoved() | ModelOrdered():
                return self._place(event, now)
            case (
                NodeSighted() | CardsRead() | CapacityRead() | NodesForgotten() | PlacementChosen()
            ):
                return self._note(event, now)
            case NodeTrusted() | LinkSeen() | AddressesRead():
                return self._trust(event, now)
            case _:
                return self._hear(event, now)

    def deadline(self) -> float | None:
        """Tell when the machine wants a `Ticked`, if nothing happens before."""
        return self._alarms[0][0] if self._alarms else None

    def looked(self) -> bool:
        """Say whether the first look at seeds and providers is over."""
        return self.dispatch.looked

    def can_serve(self, now: float) -> bool:
        """Say whether any target of the routing order could take a request now, by what was seen.

        A provider counts that was reached since its last failure and that no operator shut.
        """
        order = self.tables.policy.order
        if "exo" in order and next(self.tables.registry.ready_models(), None) is not None:
            return True
        return "cloud" in order and self.cloud_stands_by(now)

    def cloud_stands_by(self, now: float) -> bool:
        """Say whether any provider could take a request now, by what was seen of it."""
        if self.tables.policy.local_only:
            return False
        return any(
            provider.stands_by(now) and not self.tables.breakers.held_open((name, None))
            for name, provider in self.tables.clouds.providers.items()
        )

    def _follow_policy(self, event: PolicyChanged, now: float) -> list[Effect]:
        """Decide by another policy; the tables come first, since names are resolved by them."""
        self.tables.follow(event.policy, now)
        self.catalog.follow(event.policy)
        self.dispatch.follow()
        effects = self._fleet_events.regrouped() + self.tables.reconciler.reconcile(now)
        return effects + self._rouse(now, changed=True)

    def _trust(self, event: NodeTrusted | LinkSeen | AddressesRead, now: float) -> list[Effect]:
        """Take in whom a person trusts: it changes whose prompts may go where."""
        effects = self._pinning.take(event, now) + self._fleet_events.regrouped()
        return effects + self._rouse(now, changed=True)

    def _note(
        self,
        event: NodeSighted | CardsRead | CapacityRead | NodesForgotten | PlacementChosen,
        now: float,
    ) -> list[Effect]:
        """Take in what no request waits for."""
        match event:
            case NodeSighted():
                return self._fleet_events.sighted(event, now)
            case NodesForgotten():
                return self._fleet_events.forget_silent(now, 0.0)
            case CardsRead():
                return self._fleet_events.cards(event)
            case CapacityRead():
                return self._fleet_events.bore(event, now)
            case PlacementChosen():
                return self.tables.reconciler.chosen(event, now)

    def _hear(
        self,
        event: ProbeAnswered
        | ProbeFailed
        | PlacementRead
        | PlacementFailed
        | ProviderListed
        | ProviderFailed
        | SourceHeard,
        now: float,
    ) -> list[Effect]:
        watch, version = self._fleet_events, self.tables.registry.version
        match event:
            case ProbeAnswered():
                effects = watch.answered(event, now)
            case ProbeFailed():
                effects = self._miss(event, now)
            case PlacementRead():
                effects = watch.read(event, now)
                effects += self._follow(event, now) + self.tables.reconciler.reconcile(now)
            case PlacementFailed():
                effects = watch.unread(event)
            case ProviderListed():
                effects = watch.listed(event)
            case ProviderFailed():
                effects = watch.unlisted(event)
            case SourceHeard():
                effects = watch.heard(event)
        changed = version != self.tables.registry.version
        return effects + self._rouse(now, changed=changed or isinstance(event, ProviderListed))

    def _miss(self, event: ProbeFailed, now: float) -> list[Effect]:
        """Take a missed probe in; what waits at a node that is dead for certain ends."""
        node = self.tables.registry.nodes.get(event.node)
        was_dead = node is not None and is_dead(node)
        effects = self._fleet_events.missed(event, now)
        if node is not None and is_dead(node) and not was_dead:
            effects += self.dispatch.died(node)
        if effects:  # a node fell, and what stood on it may have to stand elsewhere
            effects += self.tables.reconciler.reconcile(now)
        return effects

    def _place(
        self, event: PlacementSettled | ModelRemoved | ModelOrdered, now: float
    ) -> list[Effect]:
        """Apply a placement result, then re-evaluate the waiting requests."""
        reconciler = self.tables.reconciler
        match event:
            case PlacementSettled():
                effects = reconciler.settled(event, now)
            case ModelRemoved():
                effects = reconciler.removed(event, now)
            case ModelOrdered(models=models, order=order):
                effects = reconciler.order(models, order, now)
        return effects + self._rouse(now, changed=True)

    def _follow(self, event: PlacementRead, now: float) -> list[Effect]:
        """Keep every cluster's state fresh, and end the streams that it disowns."""
        registry = self.tables.registry
        for key in registry.clusters:
            if key not in self._scheduled:
                self._scheduled.add(key)
                self._set(now + self.tables.policy.ready_interval, "cluster", key)
        return self.dispatch.state_read(event, now)

    def _rouse(self, now: float, *, changed: bool, over: bool = False) -> list[Effect]:
        """Let waiting requests look again if it is worth it; the first look may just have ended.

        Most of what is heard changes nothing: a large house must not cost its waiting requests a
        look at every probe.
        """
        effects: list[Effect] = []
        if not self.dispatch.looked and (over or self._fleet_events.looked()):
            self.dispatch.looked = changed = True
            effects.append(self._announce_look(now))
        if changed:
            effects += self.dispatch.wake_all(now)
        return effects

    def _announce_look(self, now: float) -> Announce:
        registry, ready = self.tables.registry, self.can_serve(now)
        facts: dict[str, object] = {
            "ready": ready,
            "nodes": sum(node.up for node in registry.nodes.values()),
            "providers": sum(p.stands_by(now) for p in self.tables.clouds.providers.values()),
            "looked": sorted(registry.nodes),
        }
        return Announce(level="info" if ready else "warning", name="first_look_done", facts=facts)

    def _tick(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        while self._alarms and self._alarms[0][0] <= now:
            _, kind, key = heappop(self._alarms)
            match kind:
                case "request":
                    effects += self.dispatch.due(RequestId(key), now)
                case "cluster":
                    effects += self._reread(ClusterKey(key), now)
                case "reconciler":
                    effects += self._turn_keeper(now)
                case "look":
                    effects += self._rouse(now, changed=False, over=True)
                case "sweep":
                    self._set(now + SWEEP, "sweep")
                    effects += self._fleet_events.sweep(now)
        return effects

    def _turn_keeper(self, now: float) -> list[Effect]:
        if now < self._keeper_at:
            return []  # an earlier alarm had taken this one's place
        self._keeper_at = inf
        effects = self.tables.reconciler.reconcile(now)
        return effects + self._rouse(now, changed=bool(effects))

    def _wake_keeper(self, when: float) -> None:
        if when < self._keeper_at:
            self._keeper_at = when
            self._set(when, "reconciler")

    def _reread(self, key: ClusterKey, now: float) -> list[Effect]:
        cluster = self.tables.registry.clusters.get(key)
        if cluster is None:
            self._scheduled.discard(key)
            return []
        self._set(now + self.tables.policy.ready_interval, "cluster", key)
        node = self.tables.registry.reader(cluster)
        capacity = cluster.turn // len(cluster.members) % CAPACITY_EVERY == 0
        return [] if node is None else [ReadPlacement(node=node, capacity=capacity)]

    def _force(self, event: BreakerForced, now: float) -> list[Effect]:
        key = self.breaker_key(event.target, event.model)
        change = self.tables.breakers.force(key, event.forced, now)
        return announced(now, change) + self._rouse(now, changed=True)

    def breaker_key(self, target: str, model: ModelId | None) -> Key:
        """Name the breaker of a target, or of a model where that target's models live.

        What the table shows under that very name comes first, or nobody could give it back.
        """
        if model is None:
            return Address(target), None
        shown = ClusterKey(target), model
        if self.tables.breakers.get(shown) is not None:
            return shown
        return self.scope_of(target), model

    def scope_of(self, target: str) -> Scope:
        """Find the scope that a target's models live in.

        A cluster's key stands for itself, even when the node that gave it its name lives elsewhere
        by now: it is what the table of breakers shows.
        """
        registry = self.tables.registry
        if ClusterKey(target) in registry.clusters:
            return ClusterKey(target)
        node = registry.nodes.get(Address(target))
        return ClusterKey(target) if node is None or node.cluster is None else node.cluster

    def _wake(self, when: float, request: RequestId) -> None:
        self._set(when, "request", request)

    def _set(self, when: float, kind: Kind, key: str = "") -> None:
        heappush(self._alarms, (when, kind, key))
        if kind == "request":
            self._thin_out()

    def _thin_out(self) -> None:
        """Drop the alarms of requests that wait no more, before they outnumber the others."""
        waiting = self.dispatch.waiting
        if len(self._alarms) > ALARMS + 2 * (len(waiting) + len(self._scheduled)):
            self._alarms = [a for a in self._alarms if a[1] != "request" or a[2] in waiting]
            heapify(self._alarms)
