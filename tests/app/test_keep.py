"""Models are kept ready on Exo: restored after an election, placed on demand, never twice."""

import json
from typing import Any

import anyio
import httpx
import pytest

from exo_supervisor.app.instances import read_own
from exo_supervisor.core.policy import Waits
from exo_supervisor.demo import Cloud, Disease, ExoCluster, ExoNode
from tests.app.world import (
    CHAT,
    CLOUD_MODEL,
    EXO_MODEL,
    KEY,
    MODEL,
    SOON,
    World,
    asking,
    events,
    folder,
    in_process,
    until,
)

pytestmark = [pytest.mark.real_time, pytest.mark.alone]
STALL = 8.0
STORY = (
    "cluster_re_elected",
    "model_lost",
    "traffic_shifted",
    "placement_started",
    "placement_accepted",
    "placement_done",
    "traffic_shifted",
)


def rule(*cloud: str, **more: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - values of TOML
    return [{"name": MODEL, "exo": [EXO_MODEL], "cloud": list(cloud), **more}]


def told(log: bytes) -> list[str]:
    """List the names of all events in the log, in order."""
    return [json.loads(line)["event"] for line in log.splitlines() if line.endswith(b"}")]


def in_order(story: tuple[str, ...], names: list[str]) -> bool:
    """Say whether names tell a story, whatever else they tell."""
    rest = iter(names)
    return all(name in rest for name in story)


async def hung_stream(world: World, ends: list[float]) -> None:
    """Read a stream until it is cut, and note how long that took since the last byte."""
    last = anyio.current_time()
    try:
        async with world.http.stream("POST", CHAT, json=asking(stream=True), timeout=60) as got:
            async for data in got.aiter_bytes():
                if b'"error"' not in data:
                    last = anyio.current_time()
    except httpx.RemoteProtocolError:
        ends.append(anyio.current_time() - last)


async def test_a_kept_model_comes_back_after_an_election_and_so_does_its_traffic() -> None:
    cluster = ExoCluster("C", (EXO_MODEL,), load_seconds=0.5)
    async with (
        ExoNode("C", cluster=cluster, pace=0.2, tokens=200) as exo,
        Cloud(KEY, (CLOUD_MODEL,)) as cloud,
        in_process(
            exo,
            waits=SOON,
            cloud=cloud,
            model=rule(f"house-cloud/{CLOUD_MODEL}", keep=True),
            timeouts={"stall": STALL},
        ) as world,
    ):
        await world.ready()
        ends: list[float] = []
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(hung_stream, world, ends)
            await exo.until(lambda: exo.tokens_sent >= 6)
            exo.disease = Disease("re_election", seconds=1.0)
            await world.lines("cluster_re_elected")
            answer = await world.chat()
            assert answer.headers["x-supervisor-target"] == "house-cloud"
            assert answer.headers["x-supervisor-shift"] == "model_not_ready"
            await world.lines("placement_done")
            assert len(cluster.instances) == 1
            exo.pace = 0.0

            async def asked() -> str:
                return (await world.chat()).headers["x-supervisor-target"]

            await until(asked, lambda target: target == exo.address)
        assert len(ends) == 3
        assert max(ends) <= STALL / 2 + 2.0, "the state is asked at half of it"
        assert in_order(STORY, told(world.log()))
        (shifted, back) = events(world.log(), "traffic_shifted")
        assert (shifted["reason"], back["reason"]) == ("model_not_ready", "recovered")
    assert len(cluster.instances) == 1
    assert exo.requests["/instance"] == 1


async def test_the_first_request_places_a_model_and_waits_in_the_open() -> None:
    """A streaming client sees keep-alives meanwhile; a plain one waits as long."""
    cluster = ExoCluster("C", load_seconds=2.0)
    async with (
        ExoNode("C", cluster=cluster, pace=0.0) as exo,
        in_process(exo, waits=SOON, model=rule(on_demand=True), server={"head": 0.3}) as world,
    ):
        await world.until("/supervisor/nodes", lambda body: body["nodes"][0]["rung"] == "clustered")
        got: dict[bool, httpx.Response] = {}

        async def ask(*, stream: bool) -> None:
            got[stream] = await world.http.post(CHAT, json=asking(stream=stream), timeout=60)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: ask(stream=True))
            tasks.start_soon(lambda: ask(stream=False))
        assert got[False].headers["x-supervisor-target"] == exo.address
        assert "x-supervisor-shift" not in got[False].headers
        assert got[True].content.startswith(b": keep-alive\n\n")
        assert got[True].content.endswith(b"data: [DONE]\n\n")
        assert len(cluster.instances) == 1


A_TENTH = Waits(settle=1.0, restarted=1.5, jitter=0.3, appears=6.0)
"""What is waited for, in proportion to the boot; `appears` is twice that, for a busy machine."""
BOOTS = {
    "together": (0.0, 0.0, 0.0),
    "one after the other": (0.0, 0.6, 1.2),
    "the last one late": (0.0, 0.0, 4.0),
}


@pytest.mark.parametrize("boot", BOOTS)
async def test_a_boot_of_three_nodes_ends_with_one_instance(boot: str) -> None:
    """Each is alone, merges, replays; the order is carried out late: all at a tenth of its time."""
    cluster = ExoCluster(
        "C", load_seconds=0.3, gather_seconds=0.8, replay_seconds=1.5, execute_seconds=1.4
    )
    nodes = [ExoNode("C", cluster=cluster) for _ in BOOTS[boot]]
    for node in nodes:  # its address must be known before it boots
        await node.start()
        node.drop()
    async with in_process(*nodes, waits=A_TENTH, model=rule(keep=True)) as world:
        async with anyio.create_task_group() as tasks:
            for node, wait in zip(nodes, BOOTS[boot], strict=True):
                tasks.start_soon(_boot, node, wait)
        try:
            found = await world.until(
                f"/supervisor/models/{MODEL}", lambda body: body["model"]["state"] == "ready"
            )
            assert found["model"]["instances"] == 1
            await world.lines("placement_done")
            await world.ready(3)
            shown = await world.until(
                "/supervisor/nodes",
                lambda body: len({each["cluster"] for each in body["nodes"]}) == 1,
            )
            assert [each["rung"] for each in shown["nodes"]] == ["ready"] * 3
            assert (len(cluster.standing()), cluster.orders) == (1, [])
            assert sum(node.requests["/instance"] for node in nodes) == 1
            names = told(world.log())
            assert [name for name in names if name in NEVER] == []
            for ended in await world.lines("cluster_re_elected", names.count("cluster_re_elected")):
                assert ended["models_lost"] == 0, "a lone node's session ended, and with it nothing"
            assert names.count("placement_done") == 1
        finally:
            for node in nodes:
                await node.stop()


NEVER = ("model_lost", "placement_failed", "surplus_instance_removed")


async def _boot(node: ExoNode, wait: float) -> None:
    await anyio.sleep(wait)
    await node.start()


async def test_what_was_ordered_before_a_restart_is_taken_away_if_it_is_one_too_many() -> None:
    """Exo carries the order out when another supervisor's instance stands already."""
    cluster = ExoCluster("C", execute_seconds=3600.0)
    with folder() as state:
        async with ExoNode("C", cluster=cluster) as exo:
            async with in_process(exo, waits=SOON, model=rule(keep=True), state=state) as world:
                await world.lines("placement_accepted")
                [(_, ours)] = cluster.orders
                [kept] = await read_own(state)
                assert kept.ordered == (ours.id,), "so a process that is killed knows it, too"
            theirs = cluster.place(EXO_MODEL)
            del cluster.instances[theirs.id]
            cluster.instances[(lower := "00000000-0000-4000-8000-000000000000")] = theirs
            theirs.id = lower
            async with in_process(exo, waits=SOON, model=rule(keep=True), state=state) as world:
                await world.ready()
                cluster.orders = [(0.0, ours)]
                [gone] = await world.lines("surplus_instance_removed")
                assert gone["instances"] == 1
                assert [one.id for one in cluster.standing()] == [lower]


async def test_a_person_places_and_removes_through_the_socket() -> None:
    cluster = ExoCluster("C", (EXO_MODEL,), load_seconds=0.1)
    name = f"/supervisor/models/{MODEL}"
    async with (
        ExoNode("C", cluster=cluster) as exo,
        in_process(exo, waits=SOON, model=rule()) as world,
    ):
        await world.ready()
        removed = await world.http.post(f"{name}/remove")
        assert removed.json()["model"]["placement"]["state"] == "removing"
        await world.until(name, lambda body: body["model"]["state"] == "downloaded")
        assert cluster.instances == {}
        assert (await world.http.post(f"{name}/place")).status_code == 200
        shown = await world.until(name, lambda body: body["model"]["state"] == "ready")
        assert shown["model"]["placement"] is None
        assert len(cluster.instances) == 1


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/supervisor/models/nobody", 404, "model_not_found"),
        ("POST", "/supervisor/models/nobody/place", 404, "model_not_found"),
        ("POST", f"/supervisor/models/{MODEL}", 405, "method_not_allowed"),
        ("GET", f"/supervisor/models/{MODEL}/place", 405, "method_not_allowed"),
        ("POST", f"/supervisor/models/house-cloud%2F{CLOUD_MODEL}/place", 404, "model_not_found"),
        ("POST", f"/supervisor/models/{MODEL}/place", 503, "no_target"),
    ],
)
async def test_orders_that_cannot_be_given(method: str, path: str, status: int, code: str) -> None:
    async with (
        Cloud(KEY, (CLOUD_MODEL,)) as cloud,
        in_process(cloud=cloud, model=rule(f"house-cloud/{CLOUD_MODEL}")) as world,
    ):
        answer = await world.http.request(method, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
