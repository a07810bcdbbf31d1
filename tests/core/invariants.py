"""What must hold after every event, whatever happened before it."""

from collections import Counter

from exo_supervisor.core.balance.choose import sample
from exo_supervisor.core.breakers.automaton import HalfOpen
from exo_supervisor.core.breakers.table import Key
from exo_supervisor.core.effects import Effect, StartAttempt
from exo_supervisor.core.events import RequestArrived
from exo_supervisor.core.fleet.condition import judge
from exo_supervisor.core.fleet.hosts import Hosts
from exo_supervisor.core.fleet.registry import Registry
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address, ClusterKey, ModelId, NodeId, RequestId
from exo_supervisor.core.requests.candidate import Candidate, at_node
from exo_supervisor.core.requests.catalog import Tier
from exo_supervisor.core.tables import Tables
from tests.core.simulation import STAYS, Client, House


def check(house: House) -> None:
    """Compare the machine's books with what is really going on in a house."""
    machine = house.machine
    check_flights(machine, house.clients, house.now)
    check_probes(machine)
    check_counters(machine)
    check_index(machine.tables.registry)
    check_judgement(machine.tables.registry)
    check_candidates(machine.tables)
    check_clusters(machine.tables.registry)
    check_alarms(house)


def check_start(effect: Effect, house: House) -> None:
    """Check that nobody starts past a deadline, and nothing that must stay at a provider."""
    if not isinstance(effect, StartAttempt):
        return
    client, machine, now = house.clients[effect.request], house.machine, house.now
    assert now < client.event.deadline, "started past its deadline"
    private = client.event.local_only or client.event.model in STAYS
    assert not (private and effect.generation is None), "local_only went to a cloud"
    node = machine.tables.registry.nodes.get(Address(effect.target))
    assert not private or (node and node.trust != "found"), "local_only went to a stranger"
    assert not (client.event.route == "exo" and effect.generation is None), "route ignored"
    state = machine.dispatch.requests[client.event.request]
    assert state.attempts_here <= machine.tables.policy.attempts, "too many attempts in a tier"
    check_home(effect, client.event, state.tiers, machine.tables)


def check_home(
    start: StartAttempt, event: RequestArrived, tiers: tuple[Tier, ...], tables: Tables
) -> None:
    """Check that nobody leaves its home in the middle of a turn, where that is well and has a seat.

    It was looked at before this attempt took its own, so that there was one all the more.
    """
    home = tables.affinity.home(event, None)
    if home is None or not event.mid_turn or start.generation is None or start.attempt > 1:
        return
    model = home.model[1]
    together = any({start.model, model} <= {*tier.models} for tier in tiers)
    if (
        model is None
        or not together
        or Address(home.target) not in tables.registry.where_ready(model)
    ):
        return
    at = tables.candidates.at(Address(home.target), model)
    taken = 0 if at.seat_key is None else tables.concurrency.taken.get(at.seat_key, 0)
    ill = any(key in tables.breakers.rows for key in at.guards) or at.slot in tables.busy.marks
    if ill or at.guards[1] != home.model or taken >= at.seats:
        return
    stranger = tables.registry.nodes[Address(home.target)].trust == "found"
    may = not (stranger and event.local_only)
    went = tables.candidates.at(Address(start.target), start.model)
    assert not may or went.guards[1] == home.model, "a conversation left its home in mid-turn"


def check_flights(machine: Machine, clients: dict[RequestId, Client], now: float) -> None:
    """Check that requests are where their clients think, and that whoever waits will be woken."""
    dispatch, alarm = machine.dispatch, machine.deadline()
    assert set(dispatch.requests) == set(clients), "somebody was forgotten, or answered twice"
    for request, state in dispatch.requests.items():
        client, start = clients[request], clients[request].attempt
        late = now > state.event.deadline
        assert client.committed or not late, "nothing was said when the deadline passed"
        number = None if state.attempt is None else state.attempt.number
        assert number == (None if start is None else start.attempt), "attempts differ"
        assert (number is None) == (request in dispatch.waiting), "neither waits nor tries"
        if number is None:
            until = state.waiting_until
            assert until is not None
            assert until <= state.event.deadline, "waits past its deadline"
            assert alarm is not None
            assert alarm <= max(until, now), "nothing will wake it"


def check_probes(machine: Machine) -> None:
    """Check that a half-open breaker has its probe out: nothing else could ever move it again."""
    holders: Counter[tuple[Key, int]] = Counter()
    for state in machine.dispatch.requests.values():
        holders.update(held.model for held in state.held)
        if state.attempt is not None:
            holders.update((state.attempt.permits.target, state.attempt.permits.model))
    for key, cell in machine.tables.breakers:
        if isinstance(cell.breaker, HalfOpen):
            assert holders[key, cell.breaker.epoch] == 1, f"probes out at {key}"


def check_counters(machine: Machine) -> None:
    """Check counters and seats against the attempts that are out."""
    out = [f.attempt.candidate for f in machine.dispatch.requests.values() if f.attempt is not None]
    at = Counter(candidate.target for candidate in out)
    tables = machine.tables
    assert tables.concurrency.at == at, "attempts at each target"
    sitting = Counter(seat_key for candidate in out if (seat_key := candidate.seat_key) is not None)
    assert tables.concurrency.taken == sitting, "seats taken"
    for candidate in out:
        if (seat_key := candidate.seat_key) is not None:
            assert sitting[seat_key] <= candidate.seats, (
                f"more than {candidate.seats} at once at {seat_key}"
            )


def check_index(registry: Registry) -> None:
    """Check that the readiness index says what a look at every node and cluster would say."""
    naive: dict[ModelId, set[Address]] = {}
    for cluster in registry.clusters.values():
        for model, placed in cluster.models.items():
            for member in cluster.members:
                node = registry.nodes[member]
                if placed.ready and node.up and node.alias_of is None and not node.lags:
                    naive.setdefault(model, set()).add(member)
    index = {model: registry.where_ready(model) for model in registry.ready_models()}
    assert {model: set(nodes) for model, nodes in index.items()} == naive
    assert all(len(set(nodes)) == len(nodes) for nodes in index.values()), "a node twice"


def check_judgement(registry: Registry) -> None:
    """Check what is known of ids and hosts, and every model, against a fresh look at all of it."""
    hosts: Hosts = vars(registry.models)["_hosts"]
    at: dict[NodeId, set[Address]] = {}
    for node in registry.nodes.values():
        if node.up and node.node_id is not None:
            at.setdefault(node.node_id, set()).add(node.address)
    assert vars(hosts)["_at"] == at, "who answers by an id"
    assert not any(hosts.is_gone(node_id) for node_id in at)
    # A host that lagged and began anew is still known by its old id where it has a second address.
    nodes = registry.nodes.values()
    lagging = {node.node_id for node in nodes if node.lags or node.alias_of is not None}
    assert vars(hosts)["_lagging"] <= lagging & at.keys(), "who lags"
    stands: dict[NodeId, set[tuple[ClusterKey, ModelId]]] = {}
    for cluster in registry.clusters.values():
        assert cluster.models.keys() == cluster.told.keys()
        for model, told in cluster.told.items():
            judged = judge(told, cluster.condition, hosts.ails)
            assert cluster.models[model] == judged, "a judgement is stale"
            assert (model in cluster.condition.pending) == (not judged.ready)
            for host in {host for one in told.instances for host in one.hosts}:
                stands.setdefault(host, set()).add((cluster.key, model))
    assert vars(hosts)["_stands"] == stands, "what stands on a host"


def check_candidates(tables: Tables) -> None:
    """Check that a candidate which the next request would be given is as one made afresh."""
    cache, registry = vars(tables.candidates), tables.registry
    if cache["_shape"] != registry.models.shape:
        return  # the next to ask has all of them made anew
    made: dict[tuple[Address, ModelId], Candidate] = cache["_made"]
    for (address, model), candidate in made.items():
        assert candidate == at_node(registry, address, model), "a candidate is stale"
    ready: dict[tuple[ModelId, int], list[Candidate]] = cache["_ready"]
    for (model, first), candidates in ready.items():
        nodes = sample(registry.where_ready(model), first)
        fresh = [at_node(registry, each, model) for each in nodes]
        assert candidates == fresh, "who is ready for a model is stale"


def check_clusters(registry: Registry) -> None:
    """Check that a node is in one cluster at most, and that both sides of the table agree."""
    members = Counter(m for cluster in registry.clusters.values() for m in cluster.members)
    assert all(times == 1 for times in members.values()), "a node in two clusters"
    for key, cluster in registry.clusters.items():
        assert key == cluster.key
        assert cluster.members, "a cluster of nobody"
        assert all(registry.nodes[member].cluster == key for member in cluster.members)
    for node in registry.nodes.values():
        assert node.cluster is None or node.address in registry.clusters[node.cluster].members


def check_alarms(house: House) -> None:
    """Check that no request leaves its alarms behind: those who ever waited at once bound them.

    Alarms are thinned out when one is set, so that the last crowd's may outlive it for a while.
    """
    machine = house.machine
    alarms = len(vars(machine)["_alarms"])
    house.crowd = max(house.crowd, len(machine.dispatch.waiting))
    bound = 70 + 2 * (house.crowd + len(machine.tables.registry.nodes))
    assert alarms <= bound, f"{alarms} alarms"
