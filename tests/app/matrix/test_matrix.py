"""Every fault at every target: a whole answer or an honest error, booked where it belongs.

The suite runs one cell of each row; all of them are a command, `python -m tests.app.matrix`. Those
of one place run at once in one service, when its first is asked for.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import anyio
import pytest
from blockbuster import blockbuster_ctx

from tests.app.matrix.after import AFTER
from tests.app.matrix.cells import Place, Told
from tests.app.matrix.run import run
from tests.app.matrix.short import table
from tests.app.matrix.table import CELLS, SAMPLE

README = Path(__file__).parents[3] / "README.md"
Come = Callable[[Place], dict[str, Told]]


@pytest.fixture(scope="module")
def come(request: pytest.FixtureRequest) -> Come:
    """Run the cells of a place that were selected, once."""
    chosen = [
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.path == request.path
        and "name" in getattr(getattr(item, "callspec", None), "params", {})
    ]

    @cache
    def run_place(place: Place) -> dict[str, Told]:
        cells = [CELLS[name] for name in chosen if CELLS[name].place == place]
        with blockbuster_ctx("exo_supervisor"):
            return anyio.run(run, place, cells)

    return run_place


@pytest.mark.parametrize("name", SAMPLE)
def test_it_comes_to_what_the_contract_says(name: str, come: Come) -> None:
    cell = CELLS[name]
    assert come(cell.place)[name] == cell.told


def test_a_client_that_does_not_stream_never_sees_a_fault_after_the_first_content() -> None:
    told = {cell.told.client for cell in CELLS.values() if cell.row in AFTER}
    whole = {
        cell.told.client for cell in CELLS.values() if cell.row in AFTER and cell.mode == "plain"
    }
    assert (told - whole, whole) == ({"broken"}, {"rescued", "whole"})


def test_the_readme_has_the_matrix_in_short() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    begin = lines.index(table()[0])
    assert lines[begin : begin + len(table())] == table()
