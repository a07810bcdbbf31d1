"""Is it well? The house in one sentence, made here once for every place that shows it."""

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from exo_supervisor.core.machine import Machine
from exo_supervisor.views.advice import sum_up
from exo_supervisor.views.day_book import Today

Level = Literal["well", "weak", "bad"]
_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


class Verdict(Struct, frozen=True):
    """`level` is what colour and shape stand for; `parts` make the sentence, with marks between."""

    level: Level
    parts: tuple[str, ...]


class Load(Struct, frozen=True):
    """How many requests targets work on, and how many wait for one."""

    running: int
    waiting: int


def load_of(machine: Machine) -> Load:
    """Count the requests under way."""
    requests = machine.dispatch.requests.values()
    running = sum(each.attempt is not None or each.served is not None for each in requests)
    return Load(running, len(requests) - running)


def down(machine: Machine) -> int:
    """Count the nodes that were up and are not."""
    nodes = machine.tables.registry.nodes.values()
    return sum(node.alias_of is None and node.fell_from is not None for node in nodes)


def verdict(
    machine: Machine, now: float, today: Today, last_shift: str | None, amiss: Sequence[str] = ()
) -> Verdict:
    """Say how the house stands, what is wrong before what goes on; a shift is told as it is read.

    `amiss` is what is wrong beside the machine.

    weak: it serves, but something is amiss or not looked at yet; bad: it cannot serve, or
    what is private left the house.
    """
    looked, serves = machine.looked(), machine.tables.can_serve(now)
    wrong = [*_wrong(machine, now), *amiss]
    level: Level = "well"
    if (looked and not serves) or today.private_bytes:
        level = "bad"
    elif not looked or wrong or _misses_exo(machine):
        level = "weak"
    head = "ready" if looked and serves else "not ready"
    parts = [head, sum_up(machine, now), *wrong, _under_way(load_of(machine)), *_of_today(today)]
    if last_shift is not None:
        parts.append(f"last shift {last_shift}")
    return Verdict(level, tuple(parts))


def _misses_exo(machine: Machine) -> bool:
    tables = machine.tables
    return "exo" in tables.policy.order and not any(tables.registry.ready_models())


def _wrong(machine: Machine, now: float) -> Iterator[str]:
    tables = machine.tables
    if fallen := down(machine):
        yield f"{fallen} {'node' if fallen == 1 else 'nodes'} down"
    if shut := sum(cell.state() != "closed" for _, cell in tables.breakers):
        yield f"{shut} {'breaker' if shut == 1 else 'breakers'} open"
    for name, provider in tables.clouds.providers.items():
        if provider.state(now) == "bad_key":
            yield f"{name} refused its key"
    if tables.budgets.unread:
        yield "what was spent is not known"
    for line, limit, account in tables.budgets.each():
        budget = f"the {line.span}'s budget{f' of {line.name}' if line.name else ''}"
        if account.spent >= limit:
            yield f"{budget} is spent"
        elif account.refused:
            yield f"{budget} has refused requests"


def _under_way(load: Load) -> str:
    return f"{load.running} now" + (f", {load.waiting} waiting" if load.waiting else "")


def _of_today(today: Today) -> Iterator[str]:
    if not today.requests:
        yield "no request today"
        return
    share = 100 * today.to_cloud / today.requests
    yield f"cloud {'under 1' if 0 < share < 1 else round(share)} % today"
    yield f"{amount(today.egress_bytes)} left, {amount(today.private_bytes)} of it private"


def amount(size: int) -> str:
    """Write a number of bytes in three digits or so."""
    for unit, scale in _UNITS:
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"
