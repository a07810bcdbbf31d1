"""Who may do what is told in SECURITY.md as it comes out."""

import os
from pathlib import Path

import pytest

from tests.app import who

SECURITY = Path(__file__).parents[2] / "SECURITY.md"


@pytest.mark.real_time
@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can be somebody else")
async def test_the_table_is_what_comes_out() -> None:
    lines = SECURITY.read_text(encoding="utf-8").splitlines()
    begin = lines.index(f"| {' | '.join(who.HEAD)} |")
    assert lines[begin : lines.index("", begin)] == await who.table()
