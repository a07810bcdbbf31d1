"""An inspection of the running service: what its asker sees, and when it ends."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest

from exo_supervisor.demo import Cloud, ExoNode
from tests.app.world import CLOUD_MODEL, KEY, NO_TLS, Json, World, in_process, run

pytestmark = pytest.mark.real_time

INSPECT = "/supervisor/inspect"
SECRET = "sk-proj-AbCdEfGh0123456789"


@asynccontextmanager
async def inspecting(world: World, query: str = "") -> AsyncGenerator[AsyncIterator[Json]]:
    """Begin one, and take its lines as they come."""
    async with world.http.stream("POST", f"{INSPECT}?{query}") as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"

        async def lines() -> AsyncIterator[Json]:
            async for line in answer.aiter_lines():
                yield json.loads(line)

        told = lines()
        assert "inspection" in await anext(told)
        yield told


async def test_a_person_sees_requests_as_they_come_and_no_key() -> None:
    cloud = Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    async with cloud, in_process(cloud=cloud) as world:
        await world.ready(0)
        words = "inspect", "--for", "10m", "--next", "1", "--socket", world.path
        async with asyncio.TaskGroup() as tasks:
            shown = tasks.create_task(run(*words, "--json"))
            await world.lines("inspection_started")
            said = [{"role": "user", "content": f"my key is {SECRET}"}]
            answer = await world.chat(messages=said, headers={"authorization": "Bearer mine-0123"})
        ended = shown.result()
        assert ended.code == 0, ended.err
        begun, request, end = (json.loads(line) for line in ended.out.splitlines())
        assert begun["inspection"]["requests"] == 1
        assert (end["ended"]["why"], end["ended"]["shown"]) == ("requests", 1)
        told = request["request"]
        assert told["answer"]["body"]["text"] == answer.text
        assert told["asked"]["headers"]["authorization"] == "[secret]"
        assert "my key is [secret]" in told["asked"]["body"]["text"]
        (sent,) = told["sent"]
        assert sent["headers"]["authorization"] == "[secret]"
        assert sent["target"] == "house-cloud"
        for secret in (SECRET, KEY, "mine-0123"):
            assert secret not in ended.out
            assert secret.encode() not in world.log()
        (line,) = await world.lines("inspection_ended")
        assert (line["why"], line["shown"]) == ("requests", 1)
        assert b"my key is" not in world.log()


async def test_it_ends_with_its_time_an_order_and_with_whoever_asked() -> None:
    async with ExoNode("C", pace=0.0) as node, in_process(node) as world:
        await world.ready()
        async with inspecting(world, "for=0.05") as lines:
            assert (await anext(lines))["ended"]["why"] == "time"
        async with inspecting(world) as lines:
            await world.chat()
            await anext(lines)
            kept = await world.look(INSPECT)
            assert len(kept["requests"]) == 1
            assert (await world.http.delete(INSPECT)).json() == {"ended": True}
            assert (await anext(lines))["ended"]["why"] == "ordered"
        async with inspecting(world):
            assert (await world.http.post(INSPECT)).status_code == 409
        ended = await world.lines("inspection_ended", 3)
        assert [line["why"] for line in ended] == ["time", "ordered", "left"]
        assert await world.look(INSPECT) == {"inspection": None, "requests": []}


async def test_it_holds_no_drain_up() -> None:
    ended = list[Json]()
    async with (
        anyio.create_task_group() as tasks,
        ExoNode("C") as node,
        in_process(node, server={"drain_timeout": 60.0}) as world,
    ):

        async def look(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            transport = httpx.AsyncHTTPTransport(uds=world.path, verify=NO_TLS)
            async with (
                httpx.AsyncClient(transport=transport, base_url="http://x") as client,
                client.stream("POST", INSPECT, timeout=None) as answer,
            ):
                async for line in answer.aiter_lines():
                    ended.append(json.loads(line))
                    if len(ended) == 1:
                        task_status.started()

        await tasks.start(look)
    assert ended[-1]["ended"]["why"] == "drain"
