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

**What bounds each table.** Requests, the queue, silences and concurrency: the requests that
`requests/admission` lets in. Alarms: 64 and two for each request that waits and each cluster. Nodes
2,048, of which 1,024 were never up and nobody named them; clusters, ids, pins and views by nodes.
Breakers 8,192; marks of the busy and absent, quirks, declines, candidates 8,192 each. Latency: 256
models a target; prefill 1,024; heads: 20 a provider. Names that stood once: 128 of each of 1,024
nodes; cards 20,000. Models that somebody ordered 256; traffic's sides 4,096; lines about failed
attempts 1,024. Retries: ten seconds, a row each. Each bound stands beside its table, with who makes
room.
"""

from collections.abc import Callable
from math import inf
from typing import Any, TypeVar

from exo_supervisor.core.alarms import Alarms
from exo_supervisor.core.effects import Announce, Effect, say
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
from exo_supervisor.core.fleet.rereading import Rereading
from exo_supervisor.core.fleet.vouching import is_dead
from exo_supervisor.core.fleet_events import FleetEvents
from exo_supervisor.core.names import ClusterKey, RequestId
from exo_supervisor.core.policy import Policy
from exo_supervisor.core.requests.catalog import Catalog
from exo_supervisor.core.requests.dispatch import Dispatch
from exo_supervisor.core.requests.settlement import announced
from exo_supervisor.core.tables import Tables

SWEEP = 60.0
"""Seconds between two looks for nodes that may be forgotten."""

E = TypeVar("E")
Take = Callable[[E, float], list[Effect]]
"""Takes one kind of event in, at an instant."""


def _timeless(take: Callable[[E], list[Effect]]) -> Take[E]:
    """Take an event in that means the same whenever it comes."""
    return lambda event, _now: take(event)


class Machine:
    """Decides everything; it has no clock, does no I/O and never waits."""

    def __init__(self, policy: Policy, now: float) -> None:
        self.started = now
        self._alarms = Alarms()
        self._keeper_at = inf
        self.tables = Tables(policy, now, self._wake_keeper)
        self.catalog = Catalog(policy, self.tables.registry, self.tables.clouds)
        self.dispatch = Dispatch(self.tables, self.catalog, self._wake)
        self._fleet_events = FleetEvents(self.tables)
        self._pinning = Pinning(self.tables)
        self._rereading = Rereading(self.tables, self._wake_cluster)
        self._handlers = self._table()
        self._alarms.set(now + policy.first_look, "look")
        self._alarms.set(now + SWEEP, "sweep")

    def _table(self) -> dict[type[Event], Take[Any]]:
        """Name who takes which event in."""
        dispatch, fleet, reconciler = self.dispatch, self._fleet_events, self.tables.reconciler
        return {
            # Requests: what one of them causes goes to its own client, but for a free seat.
            RequestArrived: dispatch.arrived,
            ContentSeen: dispatch.content,
            AttemptSettled: dispatch.settled,
            AttemptQuieted: dispatch.quieted,
            RequestEnded: dispatch.ended,
            # What is heard: whoever waits looks again if it changed who is ready for what.
            ProbeAnswered: self._heard(fleet.answered),
            ProbeFailed: self._heard(self._miss),
            PlacementRead: self._heard(self._read),
            PlacementFailed: self._heard(_timeless(fleet.unread)),
            ProviderListed: self._then_rouse(_timeless(fleet.listed)),
            ProviderFailed: self._heard(_timeless(fleet.unlisted)),
            SourceHeard: self._heard(_timeless(fleet.heard)),
            # What no request waits for.
            NodeSighted: fleet.sighted,
            NodesForgotten: self._forget,
            CardsRead: _timeless(fleet.cards),
            CapacityRead: fleet.bore,
            PlacementChosen: reconciler.chosen,
            # What changes where a request may go, whatever else it does: all who wait look again.
            NodeTrusted: self._then_rouse(self._trust),
            LinkSeen: self._then_rouse(self._trust),
            AddressesRead: self._then_rouse(fleet.vouched),
            PlacementSettled: self._then_rouse(reconciler.settled),
            ModelRemoved: self._then_rouse(reconciler.removed),
            ModelOrdered: self._then_rouse(self._order),
            BreakerForced: self._then_rouse(self._force),
            PolicyChanged: self._then_rouse(self._follow_policy),
            Ticked: self._tick,
        }

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take one event in and say what is to be done."""
        return self._handlers[type(event)](event, now)

    def deadline(self) -> float | None:
        """Tell when the machine wants a `Ticked`, if nothing happens before."""
        return self._alarms.first()

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

    def _forget(self, _event: NodesForgotten, now: float) -> list[Effect]:
        return self._fleet_events.forget_silent(now, 0.0)

    def _read(self, event: PlacementRead, now: float) -> list[Effect]:
        """Take a state in: who serves what, which attempts it disowns, what has to be placed."""
        effects = self._fleet_events.read(event, now)
        self._rereading.schedule(now)
        effects += self.dispatch.state_read(event, now)
        return effects + self.tables.reconciler.reconcile(now)

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

    def _order(self, event: ModelOrdered, now: float) -> list[Effect]:
        return self.tables.reconciler.order(event.models, event.order, now)

    def _heard(self, take: Take[E]) -> Take[E]:
        """Let those who wait look again if an event changed who is ready for what."""

        def take_and_tell(event: E, now: float) -> list[Effect]:
            models = self.tables.registry.models
            version = models.version
            effects = take(event, now)
            return effects + self._rouse(now, changed=version != models.version)

        return take_and_tell

    def _then_rouse(self, take: Take[E]) -> Take[E]:
        """Let those who wait look again after an event."""
        return lambda event, now: take(event, now) + self._rouse(now, changed=True)

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
                    effects += self._turn_keeper(now)
                case "look":
                    effects += self._rouse(now, changed=False, over=True)
                case "sweep":
                    self._alarms.set(now + SWEEP, "sweep")
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
