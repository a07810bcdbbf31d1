"""A client's deadline holds wherever its request is: an honest end comes then, not much later."""

import json
from typing import Any, Literal

import anyio
import pytest

from exo_supervisor.demo import Cloud, Disease, ExoNode
from exo_supervisor.demo.server import DemoServer
from tests.app.world import CLOUD_MODEL, KEY, KEY_ENV, World, asking, in_process, post
from tests.demo.raw import Reply

pytestmark = [pytest.mark.real_time, pytest.mark.alone]

DEADLINE = 0.2
LATE = 0.1
"""Seconds after the deadline within which its client has heard of it."""
TRIES = 2
"""Requests of which the most punctual counts: this machine may be late, too."""

Who = Literal["A", "B", "C", "cloud"]
EVERYWHERE: list[Who] = ["A", "B", "C", "cloud"]

BEFORE = [
    Disease("silent_chat"),
    Disease("keepalives_only"),
    Disease("prefill_stalls", seconds=0.05),
    Disease("slow", seconds=60),
    Disease("unreachable"),
]


async def ask(world: World, who: Who, *, stream: bool) -> tuple[Reply, float]:
    """Ask with a deadline; what came, and how long after the deadline."""
    route = f"x-supervisor-route: {'cloud' if who == 'cloud' else 'exo'}"
    body = json.dumps(asking(stream=stream)).encode()
    began = anyio.current_time()
    reply = await world.raw(post(body, route, f"x-supervisor-deadline: {DEADLINE}"))
    return reply, anyio.current_time() - began - DEADLINE


def servers(who: Who, **more: Any) -> tuple[ExoNode, Cloud, DemoServer]:  # noqa: ANN401 - see DemoServer
    node = ExoNode("C" if who == "cloud" else who, keepalive_every=0.05, **more)
    cloud = Cloud(KEY, (CLOUD_MODEL,), keepalive_every=0.05, **more)
    return node, cloud, cloud if who == "cloud" else node


def house(node: ExoNode, cloud: Cloud) -> Any:  # noqa: ANN401 - see in_process
    """Open a house that is more patient than any deadline here."""
    provider = {"name": "house-cloud", "base_url": cloud.base_url, "key_env": KEY_ENV}
    return in_process(
        node,
        cloud=cloud,
        provider=[provider],
        timeouts={"connect": 9.0, "headers": 9.0},
        health={"interval": 60.0, "ready_interval": 60.0},
        routing={"patience": 30.0},
    )


async def known(world: World) -> None:
    await world.ready()
    await world.lines("provider_reached")


def assert_punctual(late: list[float]) -> None:
    assert min(late) > -0.005
    assert min(late) < LATE


@pytest.mark.parametrize("who", EVERYWHERE)
async def test_it_passes_before_an_answer_begins(who: Who) -> None:
    """While connecting, before a head, before content: a 504, and nobody is blamed."""
    node, cloud, server = servers(who)
    async with node, cloud, house(node, cloud) as world:
        await known(world)
        for disease in BEFORE:
            server.disease = disease
            late: list[float] = []

            async def once(stream: bool, late: list[float]) -> None:  # noqa: FBT001 - for a task
                reply, after = await ask(world, who, stream=stream)
                assert (reply.status, reply.whole) == (504, True)
                assert json.loads(reply.body)["error"]["code"] == "deadline"
                late.append(after)

            async with anyio.create_task_group() as tasks:
                for stream in (True, False) * TRIES:
                    tasks.start_soon(once, stream, late)
            assert_punctual(late)
        lines = await world.lines("request_done", 2 * TRIES * len(BEFORE))
        assert {(line["outcome"], line["code"]) for line in lines} == {("abandoned", "deadline")}
        rows = (await world.look("/supervisor/breakers"))["breakers"]
        assert {(row["state"], row["failures"]) for row in rows} == {("closed", 0)}


@pytest.mark.parametrize("who", EVERYWHERE)
async def test_it_passes_in_the_middle_of_a_stream(who: Who) -> None:
    """What was said so far is ended by an error event and a cut."""
    node, cloud, _ = servers(who, pace=0.02, tokens=1000)
    late: list[float] = []
    async with node, cloud, house(node, cloud) as world:
        await known(world)
        for _ in range(TRIES):
            reply, after = await ask(world, who, stream=True)
            assert (reply.status, reply.whole) == (200, False)
            *_, last, _ = reply.body.split(b"\n\n")
            assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "deadline"
            assert b"[DONE]" not in reply.body
            late.append(after)
        assert_punctual(late)


@pytest.mark.parametrize("who", EVERYWHERE)
async def test_it_passes_while_a_whole_answer_is_gathered(who: Who) -> None:
    node, cloud, _ = servers(who, pace=0.02, tokens=1000)
    late: list[float] = []
    async with node, cloud, house(node, cloud) as world:
        await known(world)
        for _ in range(TRIES):
            reply, after = await ask(world, who, stream=False)
            assert (reply.status, json.loads(reply.body)["error"]["code"]) == (504, "deadline")
            late.append(after)
        assert_punctual(late)


@pytest.mark.parametrize("why", ["turn", "busy"])
async def test_it_passes_in_a_queue(why: str) -> None:
    """For the one turn of a cluster of generation A, or for a node that said when to come back."""
    who: Who = "A" if why == "turn" else "C"
    node, cloud, _ = servers(who, pace=0.05, tokens=1000)
    late: list[float] = []
    async with node, cloud, house(node, cloud) as world:
        await known(world)
        async with anyio.create_task_group() as tasks:
            if why == "turn":
                tasks.start_soon(world.chat)
                await node.until(lambda: node.open_streams == 1)
            else:
                node.disease = Disease("status", status=429, retry_after=20)
            for _ in range(TRIES):
                reply, after = await ask(world, who, stream=True)
                assert json.loads(reply.body)["error"]["code"] == "deadline"
                late.append(after)
            tasks.cancel_scope.cancel()
        assert_punctual(late)
