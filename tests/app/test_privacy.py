"""What must not leave this network does not, and no credential goes to the wrong side."""

from typing import Any

import anyio
import pytest

from exo_supervisor.demo import Cloud, Disease, ExoNode
from tests.app.world import (
    CLOUD_MODEL,
    EXO_MODEL,
    KEY,
    MODEL,
    Json,
    World,
    in_process,
)

pytestmark = pytest.mark.real_time

LOCAL = {"x-supervisor-privacy": "local_only"}
RULE: Json = {"name": MODEL, "exo": [EXO_MODEL], "cloud": [f"house-cloud/{CLOUD_MODEL}"]}
# what asks for it: the header, a model's rule, the whole house
WAYS: list[tuple[dict[str, str], Json]] = [
    (LOCAL, {}),
    ({}, {"model": [{**RULE, "privacy": "local_only"}]}),
    ({}, {"routing": {"privacy": "local_only"}}),
]


def pair() -> tuple[ExoNode, Cloud]:
    return ExoNode("C", pace=0.0), Cloud(KEY, (CLOUD_MODEL,), pace=0.0)


@pytest.mark.parametrize(("header", "tables"), WAYS, ids=["header", "model", "house"])
async def test_local_only_is_refused_rather_than_served_by_a_cloud(
    header: dict[str, str], tables: Json
) -> None:
    """A healthy node serves it; from a sick, a busy or a dead one it goes nowhere else."""
    node, cloud = pair()
    async with node, cloud, in_process(node, cloud=cloud, **tables) as world:
        await world.ready()
        assert (await world.chat(header)).headers["x-supervisor-target"] == node.address
        node.disease = Disease("error_event")
        assert await codes(world, header) == {(502, "attempts_failed")}
        node.disease = Disease("status", status=503, retry_after=30)
        assert await codes(world, header) <= {(503, "overloaded"), (503, "local_only_unavailable")}
        await node.stop()
        await world.ready(0)
        assert await codes(world, header) == {(503, "local_only_unavailable")}
        refused = await world.chat(header)
        assert int(refused.headers["retry-after"]) >= 1
        assert cloud.seen == 0


async def codes(world: World, header: dict[str, str]) -> set[tuple[int, str]]:
    answers = [await world.chat(header, stream=stream) for stream in (False, True)]
    return {(answer.status_code, answer.json()["error"]["code"]) for answer in answers}


@pytest.mark.parametrize(
    ("header", "more"),
    [
        (LOCAL, {"model": CLOUD_MODEL}),
        (LOCAL, {"model": f"house-cloud/{CLOUD_MODEL}"}),
        ({**LOCAL, "x-supervisor-route": "cloud"}, {}),
    ],
)
async def test_a_cloud_asked_for_under_local_only_is_forbidden(
    header: dict[str, str],
    more: Any,  # noqa: ANN401 - any JSON
) -> None:
    node, cloud = pair()
    async with node, cloud, in_process(node, cloud=cloud) as world:
        await world.ready()
        await world.lines("provider_reached")
        answer = await world.chat(header, **more)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "privacy")
        assert cloud.seen == 0


async def test_no_clients_header_reaches_a_target_and_no_key_reaches_exo() -> None:
    node, cloud = pair()
    secrets = {
        "authorization": "Bearer client-secret",
        "cookie": "session=client-secret",
        "x-supervisor-deadline": "30",
        "x-forwarded-for": "client-secret",
        "x-api-key": "client-secret",
        "openai-organization": "client-secret",
        "x-supervisor-session": "client-secret",
        "x-claude-code-session-id": "client-secret",
        "x-session-id": "client-secret",
        "session_id": "client-secret",
    }
    async with node, cloud, in_process(node, cloud=cloud) as world:
        await world.ready()
        for route, asked in (("exo", node), ("cloud", cloud)):
            answer = await world.chat({**secrets, "x-supervisor-route": route})
            assert answer.status_code == 200
            seen = {name.lower(): value for name, value in asked.last_headers.items()}
            assert "client-secret" not in str(seen)
            assert not {"cookie", "x-forwarded-for"} & set(seen)
            assert not [name for name in seen if name.startswith("x-supervisor")]
            assert (KEY in str(seen)) == (route == "cloud")
            assert ("authorization" in seen) == (route == "cloud")
            assert not [name for name in answer.headers if name in ("server-timing", "set-cookie")]
            assert KEY not in str(answer.headers)
        assert "client-secret" not in world.log().decode()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_busy_house_still_keeps_what_is_private(*, stream: bool) -> None:
    """Of many requests at once on a failing node, only those that may go to the cloud do."""
    node, cloud = pair()
    async with node, cloud, in_process(node, cloud=cloud) as world:
        await world.ready()
        node.disease = Disease("cut")
        ends: list[int] = []

        async def ask(header: dict[str, str]) -> None:
            answer = await world.chat(header, stream=stream)
            served = answer.headers.get("x-supervisor-target")
            assert served == (None if header else "house-cloud")
            ends.append(answer.status_code)

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(ask, LOCAL if number % 2 else {})
        assert ends.count(200) == cloud.seen == 10
