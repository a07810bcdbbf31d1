"""Bytes that are written in another way hold as many tokens."""

import pytest

from exo_supervisor.demo.diseases import Name
from exo_supervisor.demo.framing import FRAMINGS
from exo_supervisor.demo.steps import Head, Write


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("crlf", "a\u00e9\r\n\r\n"),
        ("split_bytes", "a\u00e9\n\n"),
        ("split_characters", "a\u00e9\n\n"),
    ],
)
def test_a_token_that_is_written_in_another_way_is_one_still(name: Name, data: str) -> None:
    token = Write("a\u00e9\n\n".encode(), tokens=1)
    first, *steps = FRAMINGS[name](iter([Head(200, "text/event-stream"), token]))
    writes = [step for step in steps if isinstance(step, Write)]
    assert isinstance(first, Head)
    assert b"".join(write.data for write in writes) == data.encode()
    assert [write.tokens for write in writes] == [*[0] * (len(writes) - 1), 1]
