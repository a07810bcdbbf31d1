"""The one automaton: events in, effects out, and an instant at which it wants to be asked again.

`handle(event, now)` is the only way in which anything changes. The machine mutates its tables in
place, since copying them would make the cost of an event grow with the load; nobody else may.

**The life of a request.** It arrives, and `catalog` turns its model's name into a route: tiers of
targets in the configured order. Until the first look is over it is parked, unless a node could
take it at once. `next_step` then says one of three things. *Start*: a permit is taken at both of
the candidate's breakers, the attempt is counted in, and `StartAttempt` goes out. *Wait*: it joins
the queue with an alarm, and looks again when that goes off, a seat is free, or the house changes.
*Fail*: it is refused, once, in words. An attempt's first content speaks for its target and its
model at once; what other targets failed before now counts against them, since the request was not
to blame. An attempt that falls silent has its cluster's state read, and is cancelled where the
state disowns it. When it settles, both permits come back, and the request ends or asks for its next
step; where content was sent, it ends, or another target goes on with the text. One whose client has
yet to take the end of a whole answer is kept until it has. Its client may leave at any of these
moments, which gives back whatever it holds then.

**The life of a node.** Somebody sights it, and it is watched: from then on it is probed. Its first
answer makes it up (its second, if it was down before), which has its state read. The state lists
ids: nodes that list each other are a cluster, and what its freshest member tells is the truth about
where models stand; the index of who is ready for what follows. A cluster's state is read again at
each interval, by its members in turn. Three missed probes in a row make a node down, which takes it
out of the index; one that refuses connections is dead, and its attempts end at once. Whoever is
silent for ten minutes and was named by no person is forgotten, with every row that names it.

**What may come late**, and changes nothing then: whatever speaks of an attempt that is not its
request's current one (numbers are never used twice); an outcome whose permit is of an older epoch
of its breaker; anything heard of a node that is forgotten, or of a provider that left the
configuration; what came of a placement whose ticket is not the last; a `Ticked` before its alarm,
and an alarm of somebody who needs none any more. What may come twice, or out of order: sightings,
probes, states (a member that replays its log tells the past, see `fleet/members`), lists.

**What bounds each table.** What is kept of requests (the queue, silences, concurrency), by how many
`requests/admission` lets in; their alarms, by `Alarms.thin_out`. What is kept of nodes (clusters,
ids, views), by `MAX_NODES`, of which strangers may be `MAX_UNVERIFIED`. What is kept of providers,
by the configuration. Whatever else others can add rows to is `Bounded`, or has its bound beside its
table, with who makes room.
"""

from collections.abc import Callable
from math import inf
from typing import Any, Literal

from exo_supervisor.core.alarms import Alarms
from exo_supervisor.core.books.book import Prices
from exo_supervisor.core.breakers.transitions import announced
from exo_supervisor.core.effects import Announce, Effect, say
from exo_supervisor.core.events import (
    AddressesRead,
    AttemptQuieted,
    AttemptSettled,
    BreakerForced,
    CalendarRead,
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
    ProviderVetted,
    RequestArrived,
    RequestEnded,
    SourceHeard,
    SpendingRead,
    SpendingUnread,
    Ticked,
)
from exo_supervisor.core.fleet.pinning import Pinning
from exo_supervisor.core.fleet.rereading import Rereading
from exo_supervisor.core.fleet_events import FleetEvents
from exo_supervisor.core.names import ClusterKey, RequestId
from exo_supervisor.core.policy import Policy
from exo_supervisor.core.requests.catalog import Catalog
from exo_supervisor.core.requests.dispatch import Dispatch
from exo_supervisor.core.requests.vouching import is_dead
from exo_supervisor.core.tables import Tables

SWEEP = 60.0
"""Seconds between two looks for nodes that may be forgotten."""

Take = Callable[[Any, float], list[Effect]]
"""Takes one kind of event in, at an instant."""
Wakes = Literal["always", "if_changed"] | None
"""Whether those who wait look again after it: each time, or if it changed whom they wait for."""


class Machine:
    """Decides everything; it has no clock, does no I/O and never waits."""

    def __init__(self, policy: Policy, now: float, prices: Prices | None = None) -> None:
        self.started = now
        self._alarms = Alarms()
        self.deadline = self._alarms.first
        """When the machine wants a `Ticked`, if nothing happens before."""
        self._reconcile_at = inf
        self.tables = Tables(policy, now, self._wake_reconciler, prices or Prices({}, {}))
        self.catalog = Catalog(policy, self.tables.registry, self.tables.clouds)
        self.dispatch = Dispatch(self.tables, self.catalog, self._wake)
        self._fleet_events = FleetEvents(self.tables)
        self._pinning = Pinning(self.tables)
        self._rereading = Rereading(self.tables, self._wake_cluster)
        self._handlers = self._table()
        self._alarms.set(now + policy.first_look, "look")
        self._alarms.set(now + SWEEP, "sweep")

    def _table(self) -> dict[type[Event], tuple[Take, Wakes]]:
        """Name who takes which event in, and whether those who wait look again after it."""
        dispatch, fleet, reconciler = self.dispatch, self._fleet_events, self.tables.reconciler
        return {
            # Requests: what one of them causes goes to its own client, but for a free seat.
            RequestArrived: (dispatch.arrived, None),
            ContentSeen: (dispatch.content, None),
            AttemptSettled: (dispatch.settled, None),
            AttemptQuieted: (dispatch.quieted, None),
            RequestEnded: (dispatch.ended, None),
            # What is heard: most of it changes nothing, and a large house must not cost its waiting
            # requests a look at every probe.
            ProbeAnswered: (fleet.answered, "if_changed"),
            ProbeFailed: (self._probe_failed, "if_changed"),
            PlacementRead: (self._placement_read, "if_changed"),
            PlacementFailed: (fleet.unread, "if_changed"),
            ProviderListed: (fleet.listed, "always"),
            ProviderFailed: (fleet.unlisted, "if_changed"),
            ProviderVetted: (fleet.vetted, "always"),
            SourceHeard: (fleet.heard, "if_changed"),
            # What no request waits for.
            NodeSighted: (fleet.sighted, None),
            NodesForgotten: (self._nodes_forgotten, None),
            CardsRead: (fleet.cards, None),
            CapacityRead: (fleet.capacity, None),
            PlacementChosen: (reconciler.chosen, None),
            CalendarRead: (self._calendar_read, None),
            SpendingRead: (self._spending_read, None),
            SpendingUnread: (self._spending_unread, None),
            # What changes where a request may go, whatever else it does.
            NodeTrusted: (self._trust, "always"),
            LinkSeen: (self._trust, "always"),
            AddressesRead: (fleet.vouched, "always"),
            PlacementSettled: (reconciler.settled, "always"),
            ModelRemoved: (reconciler.removed, "always"),
            ModelOrdered: (self._order, "always"),
            BreakerForced: (self._force, "always"),
            PolicyChanged: (self._follow_policy, "always"),
            Ticked: (self._tick, None),
        }

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take one event in and say what is to be done."""
        take, wakes = self._handlers[type(event)]
        if wakes is None:
            return take(event, now)
        before = self._version()
        effects = take(event, now)
        changed = wakes == "always" or before != self._version()
        return effects + self._wake_waiting(now, changed=changed)

    def looked(self) -> bool:
        """Say whether the first look at seeds and providers is over."""
        return self.dispatch.looked

    def _follow_policy(self, event: PolicyChanged, now: float) -> list[Effect]:
        """Decide by another policy; the tables come first, since names are resolved by them."""
        self.tables.follow(event.policy, now)
        self.catalog.follow(event.policy)
        self.dispatch.follow()
        return self._fleet_events.regrouped() + self.tables.reconciler.reconcile(now)

    def _trust(self, event: NodeTrusted | LinkSeen, now: float) -> list[Effect]:
        """Take in whom a person trusts: it changes whose prompts may go where."""
        return [*self._pinning.take(event, now), *self._fleet_events.regrouped()]

    def _calendar_read(self, event: CalendarRead, _now: float) -> list[Effect]:
        self.tables.budgets.turn(event.calendar)
        return []

    def _spending_read(self, event: SpendingRead, now: float) -> list[Effect]:
        self.tables.budgets.restore(event.span, event.paid, now)
        return []

    def _spending_unread(self, event: SpendingUnread, _now: float) -> list[Effect]:
        self.tables.budgets.unread = event.why
        return []

    def _nodes_forgotten(self, _event: NodesForgotten, now: float) -> list[Effect]:
        return self._fleet_events.forget_silent(now, 0.0)

    def _placement_read(self, event: PlacementRead, now: float) -> list[Effect]:
        """Take a state in: who serves what, which attempts it disowns, what has to be placed."""
        effects = self._fleet_events.read(event, now)
        self._rereading.schedule(now)
        effects += self.dispatch.stall_check.state_read(event, now)
        return effects + self.tables.reconciler.reconcile(now)

    def _probe_failed(self, event: ProbeFailed, now: float) -> list[Effect]:
        """Take a missed probe in; what waits at a node that is dead for certain ends."""
        node = self.tables.registry.nodes.get(event.node)
        if node is None:
            return []
        was_up, was_dead = node.up, is_dead(node)
        effects = self._fleet_events.missed(event, now)
        if is_dead(node) and not was_dead:
            effects += self.dispatch.stall_check.died(node)
        if was_up and not node.up:  # what stood on it may have to stand elsewhere
            effects += self.tables.reconciler.reconcile(now)
        return effects

    def _order(self, event: ModelOrdered, now: float) -> list[Effect]:
        return self.tables.reconciler.order(event.models, event.order, now)

    def _wake_waiting(self, now: float, *, changed: bool) -> list[Effect]:
        """Let those who wait look again if anything changed; the first look may just be over."""
        if not self.dispatch.looked and self._fleet_events.looked():
            return self._end_first_look(now)
        return self.dispatch.wake_all(now) if changed else []

    def _version(self) -> tuple[int, int]:
        """Return what differs once others are ready for a model, or on their way to be."""
        return self.tables.registry.models.version, self.tables.reconciler.version

    def _end_first_look(self, now: float) -> list[Effect]:
        """Take every request in that was parked until now."""
        self.dispatch.looked = True
        return [self._announce_look(now), *self.dispatch.wake_all(now)]

    def _announce_look(self, now: float) -> Announce:
        registry, ready = self.tables.registry, self.tables.can_serve(now)
        return say(
            "info" if ready else "warning",
            "first_look_done",
            ready=ready,
            nodes=sum(node.up for node in registry.nodes.values()),
            providers=sum(p.stands_by(now) for p in self.tables.clouds.providers.values()),
            looked=sorted(registry.nodes),
        )

    def _tick(self, _event: Ticked, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for kind, key in self._alarms.due(now):
            match kind:
                case "request":
                    effects += self.dispatch.due(RequestId(key), now)
                case "cluster":
                    effects += self._rereading.due(ClusterKey(key), now)
                case "reconciler":
                    effects += self._reconcile_due(now)
                case "look":
                    effects += [] if self.dispatch.looked else self._end_first_look(now)
                case "sweep":
                    self._alarms.set(now + SWEEP, "sweep")
                    effects += self._fleet_events.sweep(now)
        return effects

    def _reconcile_due(self, now: float) -> list[Effect]:
        if now < self._reconcile_at:
            return []  # an earlier alarm had taken this one's place
        self._reconcile_at = inf
        before = self._version()
        effects = self.tables.reconciler.reconcile(now)
        return effects + self._wake_waiting(now, changed=before != self._version())

    def _wake_reconciler(self, when: float) -> None:
        if when < self._reconcile_at:
            self._reconcile_at = when
            self._alarms.set(when, "reconciler")

    def _force(self, event: BreakerForced, now: float) -> list[Effect]:
        key = self.tables.breaker_key(event.target, event.model)
        change = self.tables.breakers.force(key, event.forced, now)
        return announced(now, change)

    def _wake(self, when: float, request: RequestId) -> None:
        self._alarms.set(when, "request", request)
        self._alarms.thin_out(self.dispatch.waiting, len(self._rereading))

    def _wake_cluster(self, when: float, key: ClusterKey) -> None:
        self._alarms.set(when, "cluster", key)
