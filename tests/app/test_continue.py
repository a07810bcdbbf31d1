"""`continue = true`: a plain text whose target dies in the middle goes on at another one."""

from typing import Any

import anyio
import openai
import pytest

from exo_supervisor.demo import Cloud, Disease, ExoNode, text
from tests.app.world import CLOUD_MODEL, EXO_MODEL, HELLO, KEY, MODEL, World, events, in_process

pytestmark = pytest.mark.real_time

STALL = {"first_content": 1.5, "first_content_max": 1.5, "stall": 1.0}
"""Only a stall ends by a timer: none that a loaded machine overruns ends another."""
WORDS = 14
DEATHS = [
    Disease("cut", after=3),
    Disease("stall", after=3),
    Disease("error_event", after=3),
    Disease("unfinished", after=3),
    Disease("timeout_408", after=3),
]


def rule(*cloud: str, **more: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - values of TOML
    return [{"name": MODEL, "exo": [EXO_MODEL], "cloud": list(cloud), "continue": True, **more}]


async def streamed(world: World, **more: Any) -> tuple[str, str | None, Any]:  # noqa: ANN401
    """Stream an answer through OpenAI's SDK: its text, its finish reason, its last chunk's mark."""
    pieces: list[str] = []
    finish = mark = None
    async for chunk in await world.sdk.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, **more
    ):
        choice = chunk.choices[0]
        pieces.append(choice.delta.content or "")
        if choice.finish_reason is not None:
            finish, mark = choice.finish_reason, (chunk.model_extra or {}).get("supervisor")
    return "".join(pieces), finish, mark


@pytest.mark.parametrize("death", DEATHS, ids=lambda death: death.name)
async def test_another_node_goes_on_without_a_lost_or_repeated_character(death: Disease) -> None:
    timers = STALL if death.name == "stall" else {}
    async with (
        ExoNode("C", pace=0.1, tokens=WORDS) as first,
        ExoNode("B", (EXO_MODEL,), pace=0.01, tokens=WORDS) as second,
        in_process(first, second, timeouts=timers, model=rule()) as world,
    ):
        await world.ready(2)
        first.disease = death
        hold = f"/supervisor/breakers/{second.address}"
        await world.http.post(f"{hold}/open")
        got: list[tuple[str, str | None, Any]] = []

        async def read() -> None:
            got.append(await streamed(world))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await first.until(lambda: first.tokens_sent > 0)
            await world.http.post(f"{hold}/auto")
        joint = {"target": second.address, "after": 3}
        assert got == [(text(WORDS), "stop", {"continued": [joint]})]
        (continued,) = events(world.log(), "stream_continued")
        assert (continued["from"], continued["to"]) == (first.address, second.address)
        (done,) = await world.lines("request_done")
        assert (done["outcome"], done["continued"], done["attempts"]) == ("success", 1, 2)


async def test_the_cloud_goes_on_where_no_node_can_within_the_client_s_limit() -> None:
    async with (
        ExoNode("C", pace=0.01, tokens=WORDS) as node,
        Cloud(KEY, (CLOUD_MODEL,), pace=0.0, tokens=WORDS) as cloud,
        in_process(node, cloud=cloud, model=rule(f"house-cloud/{CLOUD_MODEL}")) as world,
    ):
        await world.ready()
        node.disease = Disease("cut", after=4)
        said, finish, mark = await streamed(world, max_tokens=9)
        assert (said, finish) == (text(9), "length")
        assert mark == {"continued": [{"target": "house-cloud", "after": 4}]}
        assert cloud.last_request is not None
        assert cloud.last_request["messages"][-1] == {"role": "assistant", "content": text(4)}


async def read_into(pieces: list[str], world: World) -> None:
    """Stream an answer, and keep what came of it even if it breaks off."""
    stream = await world.sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    async for chunk in stream:
        pieces += [chunk.choices[0].delta.content or ""]


@pytest.mark.parametrize("reaction", ["rejects", "begins anew"])
async def test_a_target_that_will_not_go_on_ends_the_stream_as_a_broken_one(reaction: str) -> None:
    """Its 400 never reaches the client, and nothing of what it says anew does either."""
    async with (
        ExoNode("C", pace=0.01, tokens=WORDS) as node,
        Cloud(KEY, (CLOUD_MODEL,), pace=0.0, prefills=False, tokens=WORDS) as cloud,
        in_process(node, cloud=cloud, model=rule(f"house-cloud/{CLOUD_MODEL}")) as world,
    ):
        await world.ready()
        node.disease = Disease("cut", after=3)
        if reaction == "rejects":
            cloud.disease = Disease("status", status=400)
        pieces: list[str] = []
        with pytest.raises(openai.APIError) as broken:
            await read_into(pieces, world)
        assert "".join(pieces) == text(3)
        assert "not whole" in str(broken.value)
        assert "house-cloud" not in str(broken.value)
        assert f"{node.address} broke off after 3 pieces" in str(broken.value), "not who came after"
        (done,) = await world.lines("request_done")
        assert (done["target"], done["outcome"]) == (node.address, "failure")


@pytest.mark.parametrize(
    "more",
    [
        {"stop": ["never"]},
        {"extra_body": {"enable_thinking": True}},
    ],
)
async def test_what_cannot_be_joined_is_not_continued(more: dict[str, Any]) -> None:
    async with (
        ExoNode("C", pace=0.01, tokens=WORDS) as first,
        ExoNode("C", pace=0.01, tokens=WORDS) as second,
        in_process(first, second, model=rule()) as world,
    ):
        await world.ready(2)
        first.disease = second.disease = Disease("cut", after=5)
        with pytest.raises(openai.APIError, match="not whole"):
            await streamed(world, **more)
        assert not events(world.log(), "stream_continued")
