"""Which part a stack counts for."""

import pytest

from tests.benchmarks.parts import part_of, shares

SERVE = "serve (/x/aiohttp/web_protocol.py:1);chat (/x/exo_supervisor/serve/chat_exchange.py:9)"


@pytest.mark.parametrize(
    ("stack", "part"),
    [
        (SERVE, "exchange"),
        (SERVE + ";info (/x/structlog/_native.py:3)", "log line"),
        (SERVE + ";handle (/x/exo_supervisor/core/machine.py:3);__enter__ (enum.py:5)", "core"),
        (SERVE + ";read (/x/exo_supervisor/wire/openai/reader.py:1)", "answer read and written"),
        (SERVE + ";send (/x/exo_supervisor/http/connection.py:1)", "HTTP client"),
        (SERVE + ";write (/x/exo_supervisor/http/server_connection.py:1)", "server"),
        ("run (/x/anyio/_backends/_asyncio.py:9);run (/x/asyncio/runners.py:9)", "event loop"),
    ],
)
def test_a_stack_counts_for_its_innermost_part(stack: str, part: str) -> None:
    assert part_of(stack) == part


def test_shares_are_of_all_that_was_seen() -> None:
    lines = ["run (/x/uvloop/__init__.py:9) 1", SERVE + " 3"]
    assert shares(lines) == {"event loop": 0.25, "exchange": 0.75}
