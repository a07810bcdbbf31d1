"""Each generation of Exo speaks its own dialect; a client sees one, OpenAI's."""

import json
from typing import Any, cast

import pytest

from exo_supervisor.demo import Cloud, Disease, ExoNode, text
from tests.app.world import (
    CHAT,
    CLOUD_MODEL,
    EXO_MODEL,
    KEY,
    LEGACY_MODEL,
    Json,
    World,
    asking,
    in_process,
    post,
)
from tests.budget import budget
from tests.demo.raw import Reply

pytestmark = pytest.mark.real_time

SOON = budget(5.0)
"""Seconds: less than any timer that would end a hanging read."""
GENERATIONS: list[Any] = ["A", "B", "C"]


def chunks(reply: Reply) -> list[Json]:
    """Take a stream apart; every line of it must be one that OpenAI's dialect knows."""
    blocks = reply.body.decode().split("\n\n")
    assert blocks.pop() == ""
    assert blocks.pop() == "data: [DONE]"
    assert all(block.startswith("data: {") and "\n" not in block for block in blocks)
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


def without_nulls(value: object) -> bool:
    """Say whether no member of any object is null."""
    if isinstance(value, dict):
        members = cast("Json", value)
        return all(
            (item is not None or key == "finish_reason") and without_nulls(item)
            for key, item in members.items()
        )
    return not isinstance(value, list) or all(map(without_nulls, cast("list[object]", value)))


async def streamed(world: World, **more: Any) -> list[Json]:  # noqa: ANN401 - any JSON
    reply = await world.raw(post(json.dumps(asking(stream=True, **more)).encode()))
    assert (reply.status, reply.whole) == (200, True)
    return chunks(reply)


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_a_stream_is_openais_whoever_gives_it(generation: Any) -> None:  # noqa: ANN401 - a literal
    """A's `message`, end token and missing `[DONE]` and B's nulls do not come through."""
    async with ExoNode(generation, pace=0.0) as node, in_process(node) as world:
        await world.ready()
        found = await streamed(world)
        served = LEGACY_MODEL if generation == "A" else EXO_MODEL
        for chunk in found:
            assert set(chunk) == {"id", "object", "created", "model", "choices"}
            assert (chunk["object"], chunk["model"]) == ("chat.completion.chunk", served)
            (choice,) = chunk["choices"]
            assert set(choice) == {"index", "delta", "finish_reason"}
            assert without_nulls(chunk)
        deltas = [chunk["choices"][0]["delta"] for chunk in found]
        assert [delta.get("role") for delta in deltas] == ["assistant"] + [None] * (len(deltas) - 1)
        assert "".join(delta.get("content", "") for delta in deltas) == text(12)
        assert [
            c["choices"][0]["finish_reason"] for c in found if c["choices"][0]["finish_reason"]
        ] == ["stop"]


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_usage_is_one_last_chunk_and_only_when_asked_for(generation: Any) -> None:  # noqa: ANN401 - a literal
    async with ExoNode(generation, pace=0.0) as node, in_process(node) as world:
        await world.ready()
        assert not any("usage" in chunk for chunk in await streamed(world))
        asked = await streamed(world, stream_options={"include_usage": True})
        assert [bool(chunk.get("usage")) for chunk in asked] == [False] * (len(asked) - 1) + [True]
        assert asked[-1]["choices"] == []
        assert asked[-1]["usage"]["completion_tokens"] == 12


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_a_whole_answer_is_openais_whoever_gives_it(generation: Any) -> None:  # noqa: ANN401 - a literal
    async with ExoNode(generation, pace=0.0) as node, in_process(node) as world:
        await world.ready()
        answer = await world.chat()
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-supervisor-target"] == node.address
        assert answer.headers["x-supervisor-attempts"] == "1"
        served = LEGACY_MODEL if generation == "A" else EXO_MODEL
        assert answer.headers["x-supervisor-model"] == served
        assert "x-supervisor-shift" not in answer.headers
        body = answer.json()
        assert (body["object"], body["model"]) == ("chat.completion", served)
        (choice,) = body["choices"]
        assert choice["message"]["content"] == text(12)
        assert choice["finish_reason"] == "stop"
        assert body["usage"]["completion_tokens"] == 12


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("stream", [False, True])
async def test_max_completion_tokens_is_honoured(generation: Any, *, stream: bool) -> None:  # noqa: ANN401 - a literal
    """B and C know the limit as `max_tokens`; A knows none, so its answer is cut here."""
    async with ExoNode(generation, pace=0.0) as node, in_process(node) as world:
        await world.ready()
        if stream:
            found = await streamed(world, max_completion_tokens=5)
            said = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in found)
            end = found[-1]["choices"][0]["finish_reason"]
        else:
            (choice,) = (await world.chat(max_completion_tokens=5)).json()["choices"]
            said, end = choice["message"]["content"], choice["finish_reason"]
        assert (said, end) == (text(5), "length")
        assert node.last_request is not None
        assert "max_completion_tokens" not in node.last_request
        if generation != "A":
            assert node.last_request["max_tokens"] == 5


@pytest.mark.parametrize("stream", [False, True])
async def test_a_default_model_of_a_answers_nobody(*, stream: bool) -> None:
    """A answers with some model when it does not know one: that goes on to the cloud."""
    cloud = Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    async with ExoNode("A", pace=0.0) as node, cloud, in_process(node, cloud=cloud) as world:
        await world.ready()
        node.disease = Disease("wrong_model")
        answer = await world.chat(stream=stream)
        assert answer.headers["x-supervisor-target"] == "house-cloud"
        assert answer.headers["x-supervisor-shift"] == "attempt_failed"
        refused = await world.chat({"x-supervisor-route": "exo"})
        assert refused.status_code == 502
        assert "wrong_model" in refused.json()["error"]["message"]


@SOON
@pytest.mark.parametrize("after", [0, 3])
async def test_a_408_inside_as_body_is_no_part_of_an_answer(after: int, within: float) -> None:
    cloud = Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    async with ExoNode("A", pace=0.01) as node, cloud, in_process(node, cloud=cloud) as world:
        await world.ready()
        node.disease = Disease("timeout_408", after=after)
        whole = await world.chat()
        assert whole.status_code == 200, whole.text
        assert whole.json()["choices"][0]["message"]["content"] == text(12)
        assert whole.headers["x-supervisor-target"] == "house-cloud"
        reply = await world.raw(post(json.dumps(asking(stream=True)).encode()))
        assert b" 408 " not in reply.body
        assert b"Request timed out" not in reply.body
        assert reply.whole == (after == 0)
        assert (b"[DONE]" in reply.body) == (after == 0)
        lines = await world.lines("request_done", 2)
        assert max(line["duration"] for line in lines) < within


async def test_two_slashes_in_a_path_count_as_one() -> None:
    async with ExoNode("C", pace=0.0) as node, in_process(node) as world:
        await world.ready()
        for path in (f"/{CHAT}", "/v1//chat/completions", "//v1//chat///completions"):
            reply = await world.raw(post(json.dumps(asking()).encode(), path=path))
            assert reply.status == 200
