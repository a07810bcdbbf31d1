"""What the house shows of itself: nodes, breakers and their sum, as they stand now."""

from collections import Counter
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address

from msgspec import Struct
from msgspec.structs import asdict

from exo_supervisor.core.breakers.table import Cell, Key
from exo_supervisor.core.fleet.nodes import Node
from exo_supervisor.core.fleet.trust import is_loopback
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address
from exo_supervisor.views.advice import advise, is_nobodys, sum_up
from exo_supervisor.views.booked import LedgerSeen
from exo_supervisor.views.budgets import BudgetSeen, budgets
from exo_supervisor.views.day_book import DayBook, Egress
from exo_supervisor.views.explain import advise_on, explain
from exo_supervisor.views.placement import Wall
from exo_supervisor.views.providers import ProviderSeen, shown
from exo_supervisor.views.tally import ENDS, Tally
from exo_supervisor.views.verdict import Verdict, down

_RUNGS = ("seen", "reachable", "identified", "clustered", "placed", "ready")


class ModelSeen(Struct):
    """A model on a node."""

    id: str
    ready: bool


class BreakerSeen(Struct):
    """A breaker in a node's row."""

    state: str
    reason: str
    since: str | None
    until: str | None


class CapacitySeen(Struct):
    """What a node's machine has and bears: bytes, shares of one, degrees Celsius, watts."""

    memory_total: int | None
    memory_available: int | None
    gpu: float | None
    cpu: float | None
    temperature: float | None
    power: float | None
    chip: str | None
    read_at: str


class NodeSeen(Struct):
    """One row of `/supervisor/nodes`."""

    id: str
    url: str
    generation: str | None
    version: str | None
    cluster: str | None
    rung: str
    since: str
    why: str | None
    advice: str | None
    models: list[ModelSeen]
    breaker: BreakerSeen
    was: str | None
    """The rung on which it stood that was up and is down."""
    sources: list[str]
    latency: float | None
    capacity: CapacitySeen | None
    trust: str
    """On which ground it is trusted, or `found`."""


class BreakerRow(Struct):
    """One row of `/supervisor/breakers`."""

    target: str
    model: str | None
    state: str
    forced: bool
    reason: str
    since: str | None
    until: str | None
    failures: int
    last: str | None


class FailedSeen(Struct):
    """The last request that failed: its model, and what each of its last attempts met."""

    at: str
    why: str


class Status(Struct):
    """The body of `/supervisor/status`."""

    version: str
    uptime: float
    ready: bool
    summary: str
    config: str | None
    advice: list[str]
    looking: bool
    """The first look lasts."""
    looked: list[str]
    nodes: dict[str, int]
    down: int
    """Nodes that were up; they count as seen."""
    providers: list[ProviderSeen]
    requests: dict[str, int]
    last_failed: FailedSeen | None
    held: list[BreakerRow]
    """The breakers that an operator holds."""
    not_yet: list[str]
    """What is on and not built; nothing at present."""
    quiet: list[str]
    """The ways of discovery that can hear nothing, and why."""
    sockets: list[str]
    """Where clients come in: Unix paths, and the TCP listener."""
    trust: dict[str, int]
    """How many nodes that answer are trusted on each ground, or are only `found`."""
    to_trust: str | None
    """The command that pins those that are only found."""
    clients: dict[str, int]
    """Requests of today."""
    egress: Egress
    verdict: Verdict | None
    """The house in one sentence."""
    budgets: list[BudgetSeen]
    ledger: LedgerSeen | None
    """None: nothing is booked, since there is no state directory."""


def nodes(machine: Machine, now: float, wall: Wall) -> list[NodeSeen]:
    """List all nodes that are no other address of one in the list, by their addresses."""
    found = machine.tables.registry.nodes.values()
    mine = sorted(
        (node for node in found if _is_shown(node, machine)), key=lambda n: _order_of(n.address)
    )
    return [_node(machine, node, now, wall) for node in mine]


def _is_shown(node: Node, machine: Machine) -> bool:
    """Say whether a node has a row: one that goes by the id of a trusted one may be a stranger."""
    if node.alias_of is None or node.twin:
        return True
    registry = machine.tables.registry
    holder = registry.nodes[node.alias_of]
    same = registry.trust.vouched(node, holder.address) or is_loopback(holder.address)
    return node.up and node.trust == "found" and holder.trust != "found" and not same


def _order_of(address: str) -> tuple[bytes, str, int]:
    """Order addresses as people do: by the numbers of an IPv4 address, then names, then ports."""
    host, _, port = address.rpartition(":")
    try:
        return IPv4Address(host).packed, "", int(port)
    except ValueError:
        return b"\xff" * 5, host, int(port) if port.isdecimal() else 0


def breakers(machine: Machine, wall: Wall) -> list[BreakerRow]:
    """List every breaker: those of all targets, and of models the ones that have a past."""
    tables = machine.tables
    rows = {key: breaker_row(key, cell, wall) for key, cell in tables.breakers}
    targets = [*tables.registry.nodes, *tables.clouds.providers]
    for target in targets:
        node = tables.registry.nodes.get(Address(target))
        if node is None or node.alias_of is None:
            rows.setdefault((target, None), breaker_row((target, None), None, wall))
    return sorted(rows.values(), key=lambda row: (row.target, row.model or ""))


def breaker_row(key: Key, cell: Cell | None, wall: Wall) -> BreakerRow:
    """Show one breaker; a missing cell is one that never failed."""
    target, model = key
    if cell is None:
        return BreakerRow(
            target=target, model=model, state="closed", forced=False, reason="none",
            since=None, until=None, failures=0, last=None,
        )  # fmt: skip
    ends = cell.rest_ends()
    return BreakerRow(
        target=target,
        model=model,
        state=cell.state(),
        forced=cell.forced is not None,
        reason=cell.reason.value,
        since=wall(cell.since),
        until=None if ends is None else wall(ends),
        failures=getattr(cell.breaker, "failures", 0),
        last=cell.last or None,
    )


def status(  # noqa: PLR0913 - each is another part's to tell
    machine: Machine,
    now: float,
    *,
    version: str,
    config: str | None,
    quiet: list[str],
    wall: Wall,
    tally: Tally,
    book: DayBook,
    sockets: Sequence[str] = (),
    verdict: Verdict | None = None,
    ledger: LedgerSeen | None = None,
) -> Status:
    """Sum the house up."""
    registry, clouds = machine.tables.registry, machine.tables.clouds
    found = [node for node in registry.nodes.values() if node.alias_of is None]
    failed = machine.dispatch.last_failed
    silent = [f"{n.address} {explain(n, registry, now)}" for n in found if not n.up]
    return Status(
        version=version,
        uptime=round(now - machine.started, 3),
        ready=machine.looked() and machine.tables.can_serve(now),
        summary=sum_up(machine, now),
        config=config,
        advice=advise(machine, now),
        looking=not machine.looked(),
        looked=[*silent, *quiet],
        nodes=rungs(machine),
        down=down(machine),
        providers=[
            shown(each, machine.tables.busy, now, wall) for each in clouds.providers.values()
        ],
        requests=requests_of(machine, tally.counts),
        last_failed=None if failed is None else FailedSeen(wall(failed.at), failed.why),
        held=[row for row in breakers(machine, wall) if row.forced],
        not_yet=[],
        quiet=quiet,
        sockets=list(sockets),
        trust=dict(Counter(node.trust for node in found if node.up)),
        to_trust=to_trust(found),
        clients={client: used.requests for client, used in book.used().items()},
        egress=book.egress(days=False),
        verdict=verdict,
        budgets=budgets(machine, wall),
        ledger=ledger,
    )


def rungs(machine: Machine) -> dict[str, int]:
    """Count the nodes on each rung."""
    found = machine.tables.registry.nodes.values()
    counts = Counter(n.rung for n in found if n.alias_of is None and not is_nobodys(n))
    return {rung: counts[rung] for rung in _RUNGS}


def to_trust(nodes: Iterable[Node]) -> str | None:
    """Say by which one command a person trusts those nodes that are only found."""
    found = [node.address for node in nodes if only_found(node)]
    if not found:
        return None
    return f"exo-supervisor nodes trust {found[0] if len(found) == 1 else '--all'}"


def requests_of(machine: Machine, counts: Counter[str]) -> dict[str, int]:
    """Count the requests: those under way, and how the others ended."""
    now, ends = len(machine.dispatch.requests), {end: counts[end] for end in ENDS}
    served = ends["exo"] + ends["cloud"] + ends["here"]
    sums = {"total": counts.total(), "served": served, **ends}
    clusters = machine.tables.registry.clusters.values()
    aborted = sum(cluster.condition.aborted for cluster in clusters)
    return {"now": now, "in_flight": now, **sums, "aborted_at_exo": aborted}


def _node(machine: Machine, node: Node, now: float, wall: Wall) -> NodeSeen:
    registry = machine.tables.registry
    cluster = None if node.cluster is None else registry.clusters[node.cluster]
    placed = [] if cluster is None or not node.up else sorted(cluster.models.items())
    row = breaker_row((node.address, None), machine.tables.breakers.get((node.address, None)), wall)
    return NodeSeen(
        id=node.address,
        url=node.url,
        generation=node.generation,
        version=node.version,
        cluster=node.cluster,
        rung=node.rung,
        since=wall(node.since),
        why=explain(node, registry, now) if node.rung != "ready" else None,
        advice=advise_on(node, registry),
        models=[ModelSeen(model, place.ready and not node.lags) for model, place in placed],
        breaker=BreakerSeen(row.state, row.reason, row.since, row.until),
        was=node.fell_from,
        sources=sorted(node.sources),
        latency=round(node.latency, 6) if node.up else None,
        capacity=_capacity(node, wall),
        trust=node.trust,
    )


def _capacity(node: Node, wall: Wall) -> CapacitySeen | None:
    known = node.capacity
    if known is None or not node.up:  # what a node had when it fell is not free now
        return None
    return CapacitySeen(**asdict(known), read_at=wall(node.capacity_at))


def only_found(node: Node) -> bool:
    """Say whether a node answers and is not trusted; an alias goes by its other address."""
    return node.up and node.trust == "found" and node.alias_of is None
