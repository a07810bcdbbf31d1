"""Over real sockets, too, trouble at every target makes no storm (virtual time: tests/core)."""

import anyio
import pytest

from exo_supervisor.demo import Cloud, Disease, ExoNode
from tests.app.world import CHAT, CLOUD_MODEL, KEY, events, in_process

pytestmark = pytest.mark.real_time

CLIENTS, TURNS = 10, 4
PATIENT = {"connect": 60.0, "headers": 60.0}
"""So that on a busy machine, too, every attempt arrives."""
DISEASES: list[tuple[Disease, float]] = [
    (Disease("status", status=502), 1.25),
    (Disease("error_event"), 2.25),
]


@pytest.mark.parametrize(("disease", "share"), DISEASES, ids=["502", "error event"])
async def test_few_attempts_reach_targets_that_all_fail(disease: Disease, share: float) -> None:
    nodes = [ExoNode("C", pace=0.0) for _ in range(3)]
    cloud = Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    async with (
        nodes[0],
        nodes[1],
        nodes[2],
        cloud,
        in_process(*nodes, cloud=cloud, timeouts=PATIENT) as world,
    ):
        await world.ready(3)
        await world.lines("provider_reached")
        servers = (*nodes, cloud)
        for server in servers:
            server.disease = disease

        async def ask() -> None:
            for _ in range(TURNS):
                answer = await world.chat()
                assert answer.status_code in (502, 503)

        async with anyio.create_task_group() as tasks:
            for _ in range(CLIENTS):
                tasks.start_soon(ask)
        lines = await world.lines("request_done", CLIENTS * TURNS)
        attempts = sum(line["attempts"] for line in lines)
        probes = len(events(world.log(), "breaker_half_opened"))
        arrived = sum(server.requests[CHAT] for server in servers)
    assert arrived == attempts
    assert len(lines) == CLIENTS * TURNS
    assert attempts <= share * len(lines) + probes + 3 * len(servers)
