"""Real-time tests of the client run on both loops, since they read, close and fail differently."""

import asyncio

import pytest
import uvloop
from trio.testing import MockClock


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what opens sockets on both loops; all else needs no real time."""
    opens = metafunc.definition.get_closest_marker("real_time") is not None
    if opens and "anyio_backend" in metafunc.fixturenames:
        metafunc.parametrize("anyio_backend", ["asyncio", "uvloop"], indirect=True)


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Both loops, or a time that is not real."""
    assert uvloop.Loop is not asyncio.SelectorEventLoop
    if request.node.get_closest_marker("real_time") is None:
        return "trio", {"clock": MockClock(autojump_threshold=0)}
    return "asyncio", {"use_uvloop": request.param == "uvloop"}
