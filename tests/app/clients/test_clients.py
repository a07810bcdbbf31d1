"""Every client before every target, by the libraries that people use: all that they do works."""

import pytest

from tests.app.clients.cells import CLIENTS, MISSING, TARGETS, run

pytestmark = pytest.mark.real_time

PAIRS = [
    pytest.param(client, target, marks=[] if before == behind else [pytest.mark.alone])
    for before, client in enumerate(CLIENTS)
    for behind, target in enumerate(TARGETS)
]


@pytest.mark.parametrize(("client", "target"), PAIRS)
async def test_a_client_is_served_whoever_is_behind(client: str, target: str) -> None:
    if client in MISSING:
        pytest.skip(MISSING[client])
    came = await run(client, target)
    assert {name: why for name, why in came.items() if why} == {}
