"""`/supervisor/events`: what happens is told as it happens, over real sockets."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from exo_supervisor.demo import ExoNode
from tests.app.world import MODEL, Json, World, in_process

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
