"""Every fault at every target: a whole answer or an honest error, booked where it belongs.

The cells of one place run at once in one service, when its first is asked for.
"""

from collections.abc import Callable
from functools import cache

import anyio
import pytest
from blockbuster import blockbuster_ctx

from tests.app.matrix.cells import Place, Told
from tests.app.matrix.run import run
from tests.app.matrix.table import CELLS

Come = Callable[[Place], dict[str, Told]]


@pytest.fixture(scope="module")
def come(request: pytest.FixtureRequest) -> Come:
    """Run the cells of a place that were selected, once."""
    chosen = [
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path
    ]

    @cache
    def run_place(place: Place) -> dict[str, Told]:
        cells = [CELLS[name] for name in chosen if CELLS[name].place == place]
        with blockbuster_ctx("exo_supervisor"):
            return anyio.run(run, place, cells)

    return run_place


@pytest.mark.parametrize("name", CELLS)
def test_it_comes_to_what_the_contract_says(name: str, come: Come) -> None:
    cell = CELLS[name]
    assert come(cell.place)[name] == cell.told
