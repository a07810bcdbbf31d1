"""The matrix: every fault, at every place, for both kinds of client."""

from typing import Final

from tests.app.matrix.after import AFTER, HARMLESS
from tests.app.matrix.before import BEFORE
from tests.app.matrix.cells import Row, cells, one_of_each

ROWS: Final[tuple[Row, ...]] = (*BEFORE, *AFTER, *HARMLESS)
CELLS: Final = cells(ROWS)
SAMPLE: Final = tuple(one_of_each(ROWS))
"""The id of one cell of each row, of every place and client in turn."""
