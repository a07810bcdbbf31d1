"""Requests that kill a real Exo reach none: each is taken by a cloud, mended, or refused."""

import json
from typing import Any

import anyio
import pytest

from exo_supervisor.demo import Cloud, ExoNode
from tests.app.world import CHAT, CLOUD_MODEL, EXO_MODEL, HELLO, KEY, PATIENCE, in_process
from tests.demo.raw import chat_request, exchanged

pytestmark = pytest.mark.real_time

WIDE = 2**70
SILENT: list[Any] = [{"role": "user", "content": None}]
AN_ANSWER_ALONE: list[Any] = [{"role": "assistant", "content": "I said"}]
NODE_DIES: list[Any] = [{"seed": WIDE}, {"tools": [{"x": WIDE}]}, {"max_tokens": WIDE}]
RUNNER_DIES: list[Any] = [
    {"seed": -1},
    {"top_k": 10_000_000},
    {"min_p": 2.0},
    {"messages": SILENT},
    {"messages": AN_ANSWER_ALONE},
]
MENDED = ("seed", "top_k")


@pytest.mark.parametrize("more", [*NODE_DIES, *RUNNER_DIES], ids=json.dumps)
@pytest.mark.parametrize("generation", ["B", "C"])
async def test_the_demo_dies_as_exo_does(generation: Any, more: Any) -> None:  # noqa: ANN401 - literals
    async with ExoNode(generation, pace=0.0) as node:
        raw = await exchanged(
            chat_request(model=EXO_MODEL, stream=True, **more), node.host, node.port
        )
        if more in NODE_DIES:
            assert raw == b""
            assert not node.alive
        else:
            assert b'"error"' in raw
            (one,) = node.cluster.instances.values()
            assert node.cluster.status(one)[0] == "RunnerFailed"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_request_that_kills_costs_no_exo_anything(*, stream: bool) -> None:
    nodes = ExoNode("B", pace=0.0), ExoNode("C", pace=0.0)
    async with nodes[0], nodes[1], in_process(*nodes) as world:
        await world.ready(2)
        for more in (*NODE_DIES, *RUNNER_DIES):
            before = [node.requests[CHAT] for node in nodes]
            told = await world.chat(stream=stream, **more)
            (field,) = more
            if field in MENDED and more[field] != WIDE:
                assert told.status_code == 200, more
            else:
                error = told.json()["error"]
                assert (told.status_code, error["code"]) == (400, "unsupported_field"), more
                assert error["param"] == field
                assert [node.requests[CHAT] for node in nodes] == before
            for node in nodes:
                assert node.alive, more
                (one,) = node.cluster.instances.values()
                assert node.cluster.status(one)[0] == "RunnerReady", more
        rows = (await world.look("/supervisor/breakers"))["breakers"]
        assert {row["failures"] for row in rows} <= {0}


@pytest.mark.parametrize("more", [{"seed": WIDE}, {"messages": SILENT}], ids=json.dumps)
async def test_a_cloud_may_take_it_as_it_came(more: Any) -> None:  # noqa: ANN401 - literals
    node, cloud = ExoNode("C", pace=0.0), Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    async with node, cloud, in_process(node, cloud=cloud) as world:
        await world.ready()
        told = await world.chat(**more)
        assert told.headers["x-supervisor-target"] == "house-cloud"
        assert told.headers["x-supervisor-shift"] == "unsupported_field"
        assert cloud.last_request is not None
        assert {"messages": HELLO, **cloud.last_request}.items() >= more.items()


async def test_generation_a_is_spared_a_message_without_content() -> None:
    """It answers 500 to one; three of them would have opened its breaker."""
    calls = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turn = [*HELLO, {"role": "assistant", "content": None, "tool_calls": [calls]}]
    async with ExoNode("A", pace=0.0) as node, in_process(node) as world:
        await world.ready()
        for _ in range(3):
            assert (await world.chat(messages=turn)).status_code == 200
        assert node.last_request is not None
        assert node.last_request["messages"][1]["content"] == ""


async def test_a_runner_stops_when_its_client_leaves() -> None:
    """Told by a close, it is free at once; `POST /v1/cancel` would leave it at work."""
    async with ExoNode("B", pace=0.01, tokens=10_000) as node, in_process(node) as world:
        await world.ready()
        with anyio.move_on_after(PATIENCE) as left:
            async with world.http.stream("POST", CHAT, json={
                "model": EXO_MODEL, "messages": HELLO, "stream": True, "max_tokens": 10_000,
            }) as answer:  # fmt: skip
                async for _ in answer.aiter_bytes():
                    left.cancel()
        await node.until(lambda: node.open_streams == 0)
        (one,) = node.cluster.instances.values()
        assert node.cluster.status(one)[0] == "RunnerReady"
