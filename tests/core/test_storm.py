"""Trouble never becomes a storm: however all targets fail, few attempts are made for a request.

One storm of each row, of a quarter of the clients and of the time: all of them, whole, are a
command, `python -m tests.core.storms`.
"""

import pytest

from tests.core.storms import CLIENTS, ROWS, SECONDS, storm


@pytest.mark.parametrize("row", ROWS)
def test_few_attempts_are_made_while_every_target_fails(row: str) -> None:
    blown, most = storm(ROWS[row][0], CLIENTS // 4, SECONDS / 4)
    assert blown.requests >= CLIENTS // 4
    assert blown.attempts <= most
    assert blown.story.idle()
