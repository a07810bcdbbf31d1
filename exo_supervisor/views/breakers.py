"""The breakers as they stand now, a row each."""

from msgspec import Struct

from exo_supervisor.core.breakers.table import Cell, Key
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address
from exo_supervisor.views.placement import Wall


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
