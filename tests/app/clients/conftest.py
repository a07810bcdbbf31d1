"""One service before each kind of target, for as long as the tests of a library last."""

from collections.abc import AsyncGenerator
from operator import attrgetter
from typing import Any

import pytest
from msgspec import Struct

from exo_supervisor.demo import HEALTHY, Cloud
from tests.app.clients.cells import TARGETS, Target, behind
from tests.app.world import CLOUD_MODEL, EXO_MODEL, World

module_of = attrgetter("module")  # pytest says nothing of its type


class House(Struct):
    """The service, its only target, and the library that the tests are of."""

    world: World
    target: Target
    sdk: Any

    @property
    def model(self) -> str:
        """The name under which the target answers."""
        return CLOUD_MODEL if isinstance(self.target, Cloud) else EXO_MODEL


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what takes a house before every target, or those that its module names in `BEFORE`."""
    if "opened" in metafunc.fixturenames:
        before = getattr(module_of(metafunc), "BEFORE", TARGETS)
        metafunc.parametrize("opened", before, indirect=True, scope="module")


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, object]]:
    """One loop for all tests of a module, whose services live as long."""
    return "asyncio", {}


@pytest.fixture(scope="module")
async def opened(
    request: pytest.FixtureRequest,
    anyio_backend: tuple[str, dict[str, object]],  # noqa: ARG001 - it is set up first
) -> AsyncGenerator[House]:
    """Open the module's `LIBRARY` before each kind of target."""
    library = module_of(request).LIBRARY
    async with behind(request.param) as (world, target), library(world) as sdk:
        yield House(world, target, sdk)


@pytest.fixture
def house(opened: House) -> House:
    """Lend the service to one test, with a target that is well and fast."""
    opened.target.disease, opened.target.pace = HEALTHY, 0.0
    return opened
