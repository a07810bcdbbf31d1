"""A client that leaves takes its request along, wherever that is."""

import json
import os
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from exo_supervisor.demo import Cloud, Disease, ExoNode
from exo_supervisor.demo.server import DemoServer
from tests.app.world import CLOUD_MODEL, KEY, PATIENCE, asking, in_process, post
from tests.budget import budget

pytestmark = pytest.mark.real_time

SOON = budget(0.3)
"""Within which the upstream hears of it."""


async def first_bytes(client: SocketStream) -> bytes:
    with anyio.fail_after(PATIENCE):
        return await client.receive()


@SOON
@pytest.mark.parametrize("who", ["A", "B", "C", "cloud"])
@pytest.mark.parametrize("when", ["midstream", "before_content", "aggregating"])
async def test_leaving_cancels_the_upstream_at_once(who: Any, when: str, within: float) -> None:  # noqa: ANN401 - a literal
    """Also half an answer that was to be given whole; a close is all that Exo is told."""
    server: DemoServer
    node = ExoNode("C" if who == "cloud" else who, pace=0.05, tokens=1000)
    cloud = Cloud(KEY, (CLOUD_MODEL,), pace=0.05, tokens=1000)
    server = cloud if who == "cloud" else node
    route = f"x-supervisor-route: {'cloud' if who == 'cloud' else 'exo'}"
    body = json.dumps(asking(stream=when != "aggregating")).encode()
    async with node, cloud, in_process(node, cloud=cloud) as world:
        await world.ready()
        if when == "before_content":
            server.disease = Disease("slow", seconds=60)
        client = await anyio.connect_unix(world.path)
        async with client:
            await client.send(post(body, route))
            await server.until(lambda: server.open_streams == 1)
            if when == "midstream":
                assert b"200 OK" in await first_bytes(client)
            elif when == "aggregating" and who != "A":
                await server.until(lambda: server.tokens_sent > 2)
        with anyio.fail_after(within):
            await server.until(lambda: server.open_streams == 0)
        await world.idle()
        (line,) = await world.lines("request_done")
        assert (line["outcome"], line["attempts"]) == ("abandoned", 1)
        assert line["client_uid"] == os.getuid()
        assert server.cancelled_streams >= 1
        assert node.cancel_calls == 0
        told = (await world.look("/supervisor/status"))["requests"]["aborted_at_exo"]
        assert told == (1 if who in ("B", "C") else 0)
        rows = (await world.look("/supervisor/breakers"))["breakers"]
        assert {(row["state"], row["failures"]) for row in rows} == {("closed", 0)}


@SOON
async def test_leaving_while_waiting_for_a_busy_node_leaves_nothing(within: float) -> None:
    node = ExoNode("C", pace=0.0)
    async with node, in_process(node, routing={"patience": 60.0}) as world:
        await world.ready()
        node.disease = Disease("status", status=429, retry_after=50)
        async with await anyio.connect_unix(world.path) as client:
            await client.send(post(json.dumps(asking()).encode()))
            await world.until("/supervisor/status", lambda body: body["requests"]["in_flight"] == 1)
            await node.until(lambda: node.requests["/v1/chat/completions"] == 1)
        with anyio.fail_after(within):
            await world.idle()
        (line,) = await world.lines("request_done")
        assert (line["outcome"], line["client_uid"]) == ("abandoned", os.getuid())


async def test_leaving_in_the_middle_of_ones_own_body_is_no_attempt() -> None:
    node = ExoNode("C", pace=0.0)
    async with node, in_process(node) as world:
        await world.ready()
        async with await anyio.connect_unix(world.path) as client:
            await client.send(post(json.dumps(asking()).encode())[:-5])
        (line,) = await world.lines("request_done")
        assert (line["outcome"], line["attempts"]) == ("abandoned", 0)
        assert node.requests["/v1/chat/completions"] == 0
        assert (await world.chat()).status_code == 200


async def test_many_leave_at_once_and_the_house_is_empty_again() -> None:
    node = ExoNode("C", pace=0.02, tokens=1000)
    async with node, in_process(node) as world:
        await world.ready()
        body = post(json.dumps(asking(stream=True)).encode())

        async def visit() -> None:
            async with await anyio.connect_unix(world.path) as client:
                await client.send(body)
                await first_bytes(client)

        async with anyio.create_task_group() as tasks:
            for _ in range(60):
                tasks.start_soon(visit)
        await node.until(lambda: node.open_streams == 0)
        await world.idle()
        lines = await world.lines("request_done", 60)
        assert {line["outcome"] for line in lines} == {"abandoned"}
        assert len(lines) == 60


async def test_a_deadline_ends_a_wait_with_504_and_a_stream_with_an_error() -> None:
    node = ExoNode("C", pace=0.05, tokens=1000)
    async with node, in_process(node) as world:
        await world.ready()
        node.disease = Disease("slow", seconds=60)
        late = await world.chat({"x-supervisor-deadline": "0.2"})
        assert (late.status_code, late.json()["error"]["code"]) == (504, "deadline")
        node.disease = Disease()
        reply = await world.raw(
            post(json.dumps(asking(stream=True)).encode(), "x-supervisor-deadline: 0.4")
        )
        assert not reply.whole
        assert b'"code":"deadline"' in reply.body
        await node.until(lambda: node.open_streams == 0)
        assert [line["outcome"] for line in await world.lines("request_done", 2)] == [
            "abandoned"
        ] * 2
