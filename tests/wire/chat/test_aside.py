"""What stands beside an answer is read as far as it can be, and never a fault."""

import pytest
from msgspec import Raw

from exo_supervisor.wire.lenient_json import aside


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a":1}', {"a": 1}),
        (b'"\\ud800"', "\ud800"),
        (b"-Infinity", float("-inf")),
        (b'"%b"' % (b"x" * 65_534), "x" * 65_534),
        (b'"%b"' % (b"x" * 65_535), None),
        (b"[" * 60_000, None),
        (b"{", None),
    ],
)
def test_it_is_read_strictly_then_leniently_and_else_left_out(raw: bytes, value: object) -> None:
    assert aside(Raw(raw)) == value
