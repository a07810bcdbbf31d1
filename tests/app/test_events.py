"""`/supervisor/events`: what happens is told as it happens, over real sockets."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import anyio
import pytest

from exo_supervisor.demo import Cloud, Disease, ExoNode
from tests.app.world import CLOUD_MODEL, KEY, MODEL, Json, World, in_process

pytestmark = pytest.mark.real_time

EVENTS = "/supervisor/events"


async def _events(lines: AsyncIterator[str]) -> AsyncGenerator[tuple[str, str, Json]]:
    told: dict[str, str] = {}
    async for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            told[name] = value
        elif told:
            yield told["event"], told["id"], json.loads(told["data"])
            told = {}


@asynccontextmanager
async def listening(
    world: World, headers: Mapping[str, str] | None = None, query: str = ""
) -> AsyncGenerator[AsyncGenerator[tuple[str, str, Json]]]:
    async with world.http.stream("GET", EVENTS + query, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        yield _events(answer.aiter_lines())


async def next_of(heard: AsyncGenerator[tuple[str, str, Json]], name: str) -> tuple[str, Json]:
    """Wait for an event of one name; other ones are passed."""
    async for event, id_, data in heard:
        if event == name:
            return id_, data
    raise AssertionError("the stream ended")


async def test_a_listener_hears_a_request_from_its_start_to_its_end() -> None:
    """And the end says what its line in the log says, and what was tried."""
    node = ExoNode("C", pace=0.0)
    async with node, in_process(node) as world:
        await world.ready()
        async with listening(world) as heard:
            first, _, data = await anext(heard)
            assert (first, data["event"], data["level"]) == ("now", "now", "info")
            answer = await world.chat()
            _, began = await next_of(heard, "request_started")
            _, ended = await next_of(heard, "request_done")
        (line,) = await world.lines("request_done")
    assert began["request_id"] == answer.headers["x-request-id"]
    assert (began["client"], began["model"], began["dialect"]) == ("default", MODEL, "openai")
    (tried,) = ended.pop("tried")
    assert (tried["target"], tried["fault"]) == (node.address, "none")
    del line["logger"], line["ts"], ended["ts"]
    assert ended == line


async def test_a_drain_ends_every_stream_as_it_should_and_waits_for_none() -> None:
    async with AsyncExitStack() as after:
        async with ExoNode("C", pace=0.0) as node, in_process(node) as world:
            client = await after.enter_async_context(await anyio.connect_unix(world.path))
            await client.send(b"GET /supervisor/events HTTP/1.1\r\nhost: x\r\n\r\n")
            came = b""
            while b"event: now" not in came:
                came += await client.receive()
        came = b""
        with suppress(anyio.EndOfStream):
            while True:
                came += await client.receive()
        assert b"event: drain_started" in came
        assert came.endswith(b"0\r\n\r\n")


async def test_a_failover_is_told_with_its_reasons_and_without_a_word_of_what_was_said() -> None:
    secret = "what nobody else may read"
    node, cloud = ExoNode("C", pace=0.0), Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    async with node, cloud, in_process(node, cloud=cloud, health={"interval": 60.0}) as world:
        await world.ready()
        node.disease = Disease("redirect")
        async with world.http.stream("GET", EVENTS) as answer:
            lines = answer.aiter_lines()
            asked = [{"role": "user", "content": secret}]
            said = await world.chat(messages=asked)
            told: list[str] = []
            async for line in lines:
                told.append(line)
                if line == "event: request_done":
                    told.append(await anext(lines))
                    break
    text = "\n".join(told)
    words = said.json()["choices"][0]["message"]["content"]
    assert "event: traffic_shifted" in told
    tried = json.loads(told[-1].removeprefix("data: "))["tried"]
    assert [(each["target"], each["fault"]) for each in tried] == [
        (node.address, "bad_status"), ("house-cloud", "none"),
    ]  # fmt: skip
    assert not any(each in text for each in (secret, words, KEY))
