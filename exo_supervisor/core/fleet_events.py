"""Nodes and providers: what is heard of them, told to the tables and to whoever listens."""

from collections.abc import Iterator

from exo_supervisor.core.effects import (
    Effect,
    ReadPlacement,
    UnwatchNode,
    WatchNode,
    say,
)
from exo_supervisor.core.events import (
    AddressesRead,
    CapacityRead,
    CardsRead,
    NodeSighted,
    PlacementFailed,
    PlacementRead,
    ProbeAnswered,
    ProbeFailed,
    ProviderFailed,
    ProviderListed,
    ProviderVetted,
    SourceHeard,
)
from exo_supervisor.core.fleet.grouping import Grouping
from exo_supervisor.core.fleet.nodes import Node, is_another
from exo_supervisor.core.fleet.stuck import stuck_models, stuck_nodes
from exo_supervisor.core.names import Address
from exo_supervisor.core.tables import Tables

MAX_CARDS = 20_000
"""Cards that are remembered; they only serve to tell a 404 from another."""
FORGET = 600.0
"""Seconds after which a silent node that no person named is forgotten."""
QUIET = 64
"""Unverified nodes, beyond which one more that is silent is not worth a line."""


class FleetEvents:
    """Takes in what discovery and health hear."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._registry = tables.registry
        self._awaited = set(tables.policy.awaited)

    def sighted(self, event: NodeSighted, now: float) -> list[Effect]:
        """Begin to look at a node that was never seen before."""
        effects: list[Effect] = []
        if not self._registry.has_room(event):
            nodes = self._registry.nodes
            leaver = self._registry.unverified.evict_for(
                event.node, lambda address: nodes[address].looked, now
            )
            effects += [] if leaver is None else self._forget(leaver, now)
        if self._registry.sight(event, now):
            seen = say("debug", "node_sighted", node=event.node, source=event.source)
            kept = event.seeded or self._registry.trust.is_kept(event.node)
            effects += [WatchNode(node=event.node, url=event.url, seeded=kept), seen]
        return effects + self.regrouped()

    def answered(self, event: ProbeAnswered, now: float) -> list[Effect]:
        """Take in that a node said who it is."""
        node = self._registry.nodes.get(event.node)
        if node is None:
            return []
        if is_another(node, event):
            detail = "another node answers than the one that was announced there"
            return self.missed(ProbeFailed(node=event.node, why="not_exo", detail=detail), now)
        missed = node.misses > 0
        change = self._registry.answered(event, now)
        effects: list[Effect] = []
        if change != "same":
            name = "node_up" if change == "up" else "node_restarted"
            effects.append(say("info", name, node=event.node, generation=event.generation))
        if change != "same" or missed:  # a cheap check saw it come back: its rest may end
            self._tables.breakers.hasten((event.node, None), now)
        if not self._has_breaker(node):
            self._tables.breakers.forget(event.node, models=False)
        unread = node.cluster is None or node.listed_at is None
        if node.up and node.alias_of is None and (change != "same" or unread):
            effects.append(ReadPlacement(node=event.node, cards=True, capacity=True))
        return [*effects, *self.regrouped(), *self._ready_changes()]

    def missed(self, event: ProbeFailed, now: float) -> list[Effect]:
        """Take in that a node did not say who it is."""
        node = self._registry.nodes[event.node]
        first = not node.looked
        if self._registry.missed(event, now):
            down = say("warning", "node_down", node=event.node, why=event.why)
            return [down, *self._ready_changes()]
        if first and not node.was_up:
            level = "info" if len(self._registry.unverified) <= QUIET else "debug"
            return [say(level, "node_silent", node=event.node, why=event.why)]
        return []

    def read(self, event: PlacementRead, now: float) -> list[Effect]:
        """Take in what a node told of its cluster."""
        node = self._registry.nodes.get(event.node)
        if node is None:
            return []
        reading = self._registry.read(event, now)
        effects = [*self.regrouped(), *reading.said, *self._ready_changes()]
        return [*effects, *(ReadPlacement(node=member) for member in reading.ask)]

    def vouched(self, event: AddressesRead, now: float) -> list[Effect]:
        """Take in where a node's state has its mates; whoever is one is trusted with it."""
        self._registry.vouch(event, now)
        return self.regrouped()

    def capacity(self, event: CapacityRead, now: float) -> list[Effect]:
        """Take in what machines have and bear, and how many ghosts a cluster's state names."""
        node = self._registry.nodes.get(event.node)
        if node is None or node.cluster is None:
            return []
        if event.own is not None:
            node.capacity, node.capacity_at = event.own, now
        for node_id, capacity in event.capacities.items():
            address = self._registry.address_of(node_id)
            bearer = None if address is None else self._registry.nodes[address]
            if bearer is not None and bearer.cluster == node.cluster:
                bearer.capacity, bearer.capacity_at = capacity, now
        condition = self._registry.clusters[node.cluster].condition
        before, condition.ghosts = condition.ghosts, event.ghosts
        if event.ghosts <= before:
            return []
        return [say("info", "ghost_nodes_seen", cluster=node.cluster, ghosts=event.ghosts)]

    def unread(self, event: PlacementFailed, _now: float) -> list[Effect]:
        """Take in that a node did not tell of its cluster: it has been looked at all the same."""
        node = self._registry.nodes.get(event.node)
        if node is not None:
            node.looked, node.unread = True, event.why
        return []

    def cards(self, event: CardsRead, _now: float) -> list[Effect]:
        """Remember which models Exo merely knows."""
        for card, can in event.cards.items():
            if len(self._registry.cards) < MAX_CARDS:
                self._registry.cards.setdefault(card, can)
        return []

    def listed(self, event: ProviderListed, _now: float) -> list[Effect]:
        """Take in a provider's list of models."""
        provider = self._tables.clouds.get(event.provider)
        if provider is None:
            return []
        first = provider.reached is not True
        self._tables.clouds.listed(event.provider, event.models, event.contexts, event.capabilities)
        self._tables.absent.listed(event.provider, event.models)
        count = len(provider.listed)
        if not first:
            return []
        return [say("info", "provider_reached", provider=event.provider, models=count)]

    def unlisted(self, event: ProviderFailed, _now: float) -> list[Effect]:
        """Take in that a provider did not give its list; that it refused it says no more."""
        provider = self._tables.clouds.get(event.provider)
        if provider is None:
            return []
        first = provider.why == ""
        why = event.detail or event.why
        self._tables.clouds.failed(event.provider, why, answered=event.answered)
        if not first:
            return []
        name = "provider_list_refused" if event.answered else "provider_unreached"
        return [say("warning", name, provider=event.provider, why=event.why)]

    def vetted(self, event: ProviderVetted, _now: float) -> list[Effect]:
        """Take in which models a provider of the house serves itself."""
        self._tables.clouds.vetted(event.provider, event.housed)
        return []

    def sweep(self, now: float) -> list[Effect]:
        """Name what is stuck; drop the nodes that were silent for long and that no person named."""
        effects: list[Effect] = [*stuck_nodes(self._registry, now)]
        effects += stuck_models(self._registry, now)
        effects += self._ask_aliases()
        effects += self.forget_silent(now, FORGET)
        clouds = self._tables.clouds.providers
        nodes = filter(self._has_breaker, self._registry.nodes.values())
        targets = {*(node.address for node in nodes), *clouds}
        self._tables.breakers.prune(targets, {*self._registry.clusters, *clouds})
        self._tables.busy.prune(now)
        self._tables.absent.prune(now)
        self._tables.quirks.prune(now)
        self._tables.affinity.prune(now)
        self._tables.budgets.prune(now)
        return effects

    def forget_silent(self, now: float, silence: float) -> list[Effect]:
        """Drop the nodes that no person named and that have been silent for so many seconds."""
        effects: list[Effect] = []
        for address in self._registry.forgettable(now, silence):
            effects += self._forget(address, now)
        return effects

    def _ask_aliases(self) -> Iterator[Effect]:
        """Have the aliases asked for their states: one may be a machine of its own."""
        for node in self._registry.nodes.values():
            if node.up and node.alias_of is not None and node.peer.has_state:
                yield ReadPlacement(node=node.address)

    def _has_breaker(self, node: Node) -> bool:
        """Say whether a node's breaker means anything: requests go by an alias's other address.

        What an operator forced stays until an operator gives it back.
        """
        cell = self._tables.breakers.get((node.address, None))
        return node.alias_of is None or (cell is not None and cell.forced is not None)

    def _forget(self, address: Address, now: float) -> list[Effect]:
        """Drop a node from every table."""
        self._registry.forget(address, now)
        effects = self.regrouped()
        self._tables.latency.forget(address)
        self._tables.busy.forget(address)
        return [*effects, UnwatchNode(node=address)]

    def heard(self, event: SourceHeard, _now: float) -> list[Effect]:
        """Take in that a source has told of all that it knew at the start."""
        self._awaited.discard(event.source)
        return []

    def looked(self) -> bool:
        """Say whether all were heard and looked at once of whom a request could be served.

        Those are the sources that tell at the start, every seed and every node told of by then,
        and every provider with a key whose models nobody configured.
        """
        if self._awaited:
            return False
        nodes = self._registry.nodes
        if not all(node.looked for node in nodes.values()):
            return False
        seeds = (nodes.get(address) for address, _ in self._tables.policy.seeds)
        if not all(node is not None and node.looked for node in seeds):
            return False
        providers = self._tables.clouds.providers.values()
        unlisted = (
            each
            for each in providers
            if each.cloud.keys and (each.cloud.local or not each.cloud.models)
        )
        return all(provider.looked for provider in unlisted)

    def regrouped(self) -> list[Effect]:
        """Let breakers follow what was regrouped by the last event."""
        groupings = self._registry.groupings()
        return [effect for each in groupings for effect in self._carry_over(each)]

    def _ready_changes(self) -> Iterator[Effect]:
        for model, ready in self._registry.models.changes():
            if ready:
                yield say("info", "model_ready", model=model)
            else:
                yield say("warning", "model_lost", model=model)

    def _carry_over(self, grouping: Grouping) -> Iterator[Effect]:
        """Let breakers follow their clusters through splits and merges."""
        breakers = self._tables.breakers
        for child, parent in grouping.born:
            breakers.copy(parent, child)
            yield say("info", "cluster_split", cluster=child, parent=parent)
        for key, heir in grouping.gone:
            if heir is not None:
                breakers.copy(key, heir)
                self._tables.reconciler.desired.follow(key, heir)
            breakers.forget(key, models=True)
            yield say("info", "cluster_ended", cluster=key, heir=heir)
