"""A contract with a time in it: kept without a clock in the suite, and to the letter alone.

On a busy machine any time is overrun. So the suite proves that the thing happens at all, and
`pytest -m alone`, a command of its own in the gate, that it happens in time.
"""

import pytest

EVER = 200.0
"""Seconds after which what a test waits for has not happened, on however busy a machine."""


def budget(seconds: float) -> pytest.MarkDecorator:
    """Give a test `within`: the seconds that something may take."""
    alone = pytest.param(seconds, marks=pytest.mark.alone, id=f"{seconds:g} s")
    return pytest.mark.parametrize("within", [pytest.param(EVER, id="ever"), alone])
