"""The LAN has one round at the start, and only where somebody asks it."""

from pathlib import Path

import anyio
import pytest

from exo_supervisor.app.sources import awaited
from exo_supervisor.config.read import read
from exo_supervisor.core.events import Event, SourceHeard
from exo_supervisor.discovery.first_round import ROUND, FirstRound


async def test_it_tells_once_when_the_round_is_over() -> None:
    send, inbox = anyio.create_memory_object_stream[Event](8)
    began = anyio.current_time()
    async with send, inbox:
        await FirstRound(send).run()
        assert inbox.receive_nowait() == SourceHeard(source="lan")
    assert anyio.current_time() - began == ROUND


@pytest.mark.parametrize(
    ("text", "state", "sources"),
    [
        ("", None, {"lan"}),
        ("mdns = false", None, {"lan"}),
        ("mdns = false\nmulticast = false", None, set[str]()),
        ("mdns = false\nmulticast = false", Path("x"), {"last_known"}),
        ("remember = false", Path("x"), {"lan"}),
        ("", Path("x"), {"lan", "last_known"}),
    ],
)
def test_the_first_look_waits_for_what_is_on(
    text: str, state: Path | None, sources: set[str]
) -> None:
    config = read(f"[discovery]\n{text}\n", file="f.toml", environ={}).config
    assert awaited(config, state) == sources
