"""The sum of the house as it stands now."""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

from exo_supervisor.core.machine import Machine
from exo_supervisor.views.advice import advise, is_nobodys, sum_up
from exo_supervisor.views.booked import LedgerSeen
from exo_supervisor.views.breakers import BreakerRow, breakers
from exo_supervisor.views.budgets import BudgetSeen, budgets
from exo_supervisor.views.day_book import DayBook, Egress
from exo_supervisor.views.explain import explain
from exo_supervisor.views.nodes import to_trust
from exo_supervisor.views.placement import Wall
from exo_supervisor.views.providers import ProviderSeen, shown
from exo_supervisor.views.tally import Tally
from exo_supervisor.views.verdict import Verdict, down

_RUNGS = ("seen", "reachable", "identified", "clustered", "placed", "ready")


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
    verdict: Verdict
    """The house in one sentence."""
    budgets: list[BudgetSeen]
    ledger: LedgerSeen | None
    """None: nothing is booked, since there is no state directory."""


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
    sockets: Sequence[str],
    verdict: Verdict,
    ledger: LedgerSeen | None,
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


def requests_of(machine: Machine, ends: Mapping[str, int]) -> dict[str, int]:
    """Count the requests: those under way, and how the others ended."""
    now, served = len(machine.dispatch.requests), ends["exo"] + ends["cloud"] + ends["here"]
    sums = {"total": sum(ends.values()), "served": served, **ends}
    clusters = machine.tables.registry.clusters.values()
    aborted = sum(cluster.condition.aborted for cluster in clusters)
    return {"now": now, "in_flight": now, **sums, "aborted_at_exo": aborted}
