"""Who owns time in a test, and what no test may do."""

import gc
import signal
from collections.abc import Iterator

import pytest
import structlog
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import HealthCheck, settings
from trio.testing import MockClock

# How long an example takes is the machine's business: on a busy one it is no fault.
TIMELESS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("suite", TIMELESS, max_examples=25)
settings.register_profile("gate", TIMELESS, max_examples=100)
settings.register_profile("deep", TIMELESS, max_examples=5000)
settings.load_profile("suite")

# The collector looks at no test that was only just collected, nor, after that, at any of them.
gc.disable()


def pytest_collection_finish() -> None:
    """Let the collector look at what tests make alone."""
    gc.freeze()
    gc.set_threshold(20_000)
    gc.enable()


# A shell's background job ignores Ctrl-C, and hands that on to every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Virtual time on trio; a test that opens sockets says `real_time` and gets asyncio."""
    if request.node.get_closest_marker("real_time"):
        return "asyncio", {}
    return "trio", {"clock": MockClock(autojump_threshold=0)}


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Keep a test's configuration of the logs from the next one."""
    set_up, before = structlog.is_configured(), structlog.get_config()
    yield
    if set_up:  # by what several tests share
        structlog.configure(**before)
    else:
        structlog.reset_defaults()


@pytest.fixture(autouse=True)
def no_blocking(request: pytest.FixtureRequest) -> Iterator[BlockBuster | None]:
    """Fail the real-time test in which our code makes a blocking call on the loop."""
    if not request.node.get_closest_marker("real_time"):
        yield None
        return
    with blockbuster_ctx("exo_supervisor") as guard:
        yield guard
