"""Rows become other rows with few bytes, whatever they were."""

import re

from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.cli.screen import update

rows = st.lists(st.text("ab ", max_size=6), max_size=5)


def shown(old: list[str], written: str) -> list[str]:
    """Do as a terminal does."""
    grid = [list(row.ljust(8)) for row in [*old, *[""] * (8 - len(old))]]
    at = 0
    for found in re.finditer(r"\x1b\[(\d+);(\d+)H([^\x1b]*)(\x1b\[K)?", written):
        assert found.start() == at
        at = found.end()
        row, column = int(found[1]) - 1, int(found[2]) - 1
        grid[row][column : column + len(found[3])] = found[3]
        if found[4]:
            grid[row][column + len(found[3]) :] = []
    assert at == len(written)
    return ["".join(row).rstrip() for row in grid]


@given(rows, rows)
def test_any_rows_become_any_others(old: list[str], new: list[str]) -> None:
    expected = [row.rstrip() for row in new] + [""] * (8 - len(new))
    assert shown(old, update(old, new)) == expected


def test_what_stands_there_already_is_not_written_again() -> None:
    assert update(["12 s  same", "x"], ["13 s  same", "x"]) == "\x1b[1;2H3"
    assert update(["x"], ["x"]) == ""
