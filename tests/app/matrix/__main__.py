"""Prints the matrix: `python -m tests.app.matrix`; it fails if a cell is not as it should be.

There is a table for each dialect that a client may speak.
"""

import sys

import anyio
from blockbuster import blockbuster_ctx

from tests.app.matrix.cells import MODES, PLACES, SPREAD, Dialect, Told
from tests.app.matrix.run import run
from tests.app.matrix.table import CELLS, ROWS

WIDTH = 18


def main() -> int:
    """Run everything; print a line a fault, and what differs."""
    came: dict[str, Told] = {}
    for place in PLACES:
        with blockbuster_ctx("exo_supervisor"):
            came |= anyio.run(run, place, [cell for cell in CELLS.values() if cell.place == place])
    sys.stdout.write(
        "".join(f"{line.rstrip()}\n" for line in [*_tables(came), *_differences(came)])
    )
    return int(any(came[name] != cell.told for name, cell in CELLS.items()))


def _tables(came: dict[str, Told]) -> list[str]:
    return [line for dialect in SPREAD for line in _table(dialect, came)]


def _table(dialect: Dialect, came: dict[str, Told]) -> list[str]:
    columns = [(place, mode) for place in SPREAD[dialect] for mode in MODES]
    lines = [_line(dialect, [f"{place} {mode}" for place, mode in columns])]
    for row in ROWS:
        names = [f"{row.name}-{place}-{dialect}-{mode}" for place, mode in columns]
        if any(name in CELLS for name in names):
            lines.append(_line(row.name, [_mark(name, came) for name in names]))
    return [*lines, ""]


def _line(name: str, cells: list[str]) -> str:
    return name.ljust(22) + "".join(cell.ljust(WIDTH) for cell in cells)


def _mark(name: str, came: dict[str, Told]) -> str:
    cell = CELLS.get(name)
    if cell is None:
        return "-"
    return f"ok {cell.told.client}" if came[name] == cell.told else "FAIL"


def _differences(came: dict[str, Told]) -> list[str]:
    failed = [name for name, cell in CELLS.items() if came[name] != cell.told]
    told = [f"{name}\n  wanted {CELLS[name].told}\n  came   {came[name]}" for name in failed]
    return [*told, f"{len(CELLS) - len(failed)} of {len(CELLS)} cells pass"]


sys.exit(main())
