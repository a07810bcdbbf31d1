"""One target for one model, with every key that an attempt there looks something up by."""

from itertools import islice

from msgspec import Struct

from exo_supervisor.core.balance.choose import sample, sample_start
from exo_supervisor.core.bounded import Bounded
from exo_supervisor.core.breakers.table import Key
from exo_supervisor.core.choice import Passed
from exo_supervisor.core.fleet.nodes import Node
from exo_supervisor.core.fleet.placed import Instance
from exo_supervisor.core.fleet.registry import Registry
from exo_supervisor.core.load.concurrency import SeatKey, key_of, seats_of
from exo_supervisor.core.load.marks import Pair, Slot
from exo_supervisor.core.names import (
    Address,
    ClusterKey,
    Generation,
    InstanceId,
    ModelId,
    ProviderName,
    Scope,
    Target,
)
from exo_supervisor.core.policy import ANY_PEER, PeerRules


class Permits(Struct, frozen=True):
    """The right to attempt, as granted by both breakers of a candidate."""

    target: tuple[Key, int]
    model: tuple[Key, int]


class Candidate(Struct, frozen=True):
    """Who may be asked for what, and where that is counted; a `provider` has no `generation`.

    The keys follow from the first six fields. They are made once, in `make_candidate`, since one
    candidate lives for as long as the fleet stands as it does and is looked at by every request.
    """

    target: Target
    scope: Scope
    model: ModelId
    generation: Generation | None
    """What it is called outside; in what it differs, `peer` says."""
    peer: PeerRules
    seats: int
    provider: ProviderName | None
    """The target, where it is one."""
    guards: tuple[Key, Key]
    """The breakers of the target and of the model."""
    pair: Pair
    """The model at this very target."""
    slot: Slot
    """The same by this very key: many a provider counts by keys how much it is asked."""
    seat_key: SeatKey | None
    """What limits how many are at work at once; a provider knows its own limit."""
    unguarded: Permits
    """The permits of two breakers that have no row, since both are healthy."""
    copies: frozenset[InstanceId] = frozenset()
    """The copies of the model that its cluster tells of, `ready_copies` those that are ready."""
    ready_copies: frozenset[InstanceId] = frozenset()
    key: int = 0
    """Which of a provider's keys is meant, by its place."""


def make_candidate(
    target: Target,
    scope: Scope,
    model: ModelId,
    node: Node | None = None,
    seats: int = 0,
    copies: tuple[Instance, ...] = (),
    key: int = 0,
) -> Candidate:
    """Make a candidate; where there is no node, the target is a provider."""
    peer = ANY_PEER if node is None else node.peer
    guards: tuple[Key, Key] = (target, None), (scope, model)
    return Candidate(
        target,
        scope,
        model,
        None if node is None else node.generation,
        peer,
        seats,
        provider=ProviderName(target) if node is None else None,
        guards=guards,
        pair=(target, model),
        slot=(target, model, key),
        seat_key=None if node is None else key_of(peer, scope, model),
        unguarded=Permits((guards[0], 0), (guards[1], 0)),
        copies=frozenset(one.id for one in copies),
        ready_copies=frozenset(one.id for one in copies if one.ready),
        key=key,
    )


MOST_DOWN = 4
"""Nodes that are told of with each request while they are down."""
MAX_CANDIDATES = 8192
"""Candidates at nodes that are kept, at most; the one made first makes room."""


class CandidateCache:
    """Owns the candidates, made once for as long as the fleet stands as it does.

    Making one looks at its node, its cluster and the copies of its model; a request in a cluster
    of eight would do so eight times. `ModelIndex.shape` grows with every change of what they are
    made from, and then all are forgotten: in a house at rest that is once in minutes. A provider's
    is made from its name and the model's, and never becomes wrong.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry, self._models = registry, registry.models
        self._made = Bounded[Pair, Candidate](MAX_CANDIDATES)
        self._ready = Bounded[tuple[ModelId, int], list[Candidate]](MAX_CANDIDATES)
        self._at_providers = Bounded[Slot, Candidate](MAX_CANDIDATES)
        self._shape = registry.models.shape
        self._down: tuple[Passed, ...] | None = None

    def down(self) -> tuple[Passed, ...]:
        """Tell which nodes were up and are down, the first few, once a candidate was looked up."""
        if self._down is None:
            fell = (each for each in self._registry.nodes.values() if each.fell_from is not None)
            self._down = tuple(
                Passed(node.address, None, "exo_down", node.why or "")
                for node in islice(fell, MOST_DOWN)
            )
        return self._down

    def at(self, address: Address, model: ModelId) -> Candidate:
        """Return the candidate of a model at a node."""
        if self._shape != self._models.shape:
            self._forget()
        found = self._made.get((address, model))
        if found is None:
            found = self._made[address, model] = at_node(self._registry, address, model)
        return found

    def ready(self, model: ModelId, draw: float) -> list[Candidate]:
        """Return the candidates of a model at nodes that are ready for it; of many, a sample."""
        if self._shape != self._models.shape:
            self._forget()
        nodes = self._models.where_ready(model)
        first = sample_start(len(nodes), draw)
        found = self._ready.get((model, first))
        if found is None:
            found = [self.at(each, model) for each in sample(nodes, first)]
            self._ready[model, first] = found
        return found

    def at_provider(self, name: ProviderName, model: ModelId, key: int) -> Candidate:
        """Return the candidate of a model at a provider, by one of its keys."""
        found = self._at_providers.get((name, model, key))
        if found is None:
            found = make_candidate(name, name, model, key=key)
            self._at_providers[name, model, key] = found
        return found

    def _forget(self) -> None:
        self._shape = self._models.shape
        self._made.clear()
        self._ready.clear()
        self._down = None


def at_node(registry: Registry, address: Address, model: ModelId) -> Candidate:
    """Make the candidate of a model at a node as it stands now."""
    node = registry.nodes[address]
    scope = node.cluster or ClusterKey(address)
    cluster = registry.clusters.get(scope)
    placed = None if cluster is None else cluster.models.get(model)
    ready = 0 if placed is None else sum(instance.ready for instance in placed.instances)
    seats = seats_of(node.peer, state_paths=node.state_paths, instances=ready)
    told = None if cluster is None else cluster.told.get(model)
    copies = () if told is None else told.instances
    return make_candidate(address, scope, model, node, seats, copies)
