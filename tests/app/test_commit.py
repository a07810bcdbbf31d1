"""`commit = "answer"`: a streaming client sees a whole answer, or an error before any of it."""

from typing import Any

import pytest

from exo_supervisor.demo import Cloud, Disease, ExoNode, text
from tests.app.world import CLOUD_MODEL, EXO_MODEL, HELLO, KEY, MODEL, World, in_process

pytestmark = pytest.mark.real_time

TIMERS = {"headers": 0.4, "first_content": 0.4, "first_content_max": 0.4, "stall": 0.4}
IN_THE_MIDDLE = [
    Disease("cut", after=3),
    Disease("stall", after=3),
    Disease("error_event", after=3),
    Disease("unfinished", after=3),
    Disease("done_without_finish"),
]


def rule(*cloud: str) -> list[dict[str, Any]]:
    return [{"name": MODEL, "exo": [EXO_MODEL], "cloud": list(cloud), "commit": "answer"}]


async def streamed(world: World) -> tuple[str, str | None]:
    """Stream an answer through OpenAI's SDK: its text, and how it finished."""
    pieces: list[str] = []
    finish = None
    async for chunk in await world.sdk.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True
    ):
        pieces.append(chunk.choices[0].delta.content or "")
        finish = chunk.choices[0].finish_reason or finish
    return "".join(pieces), finish


@pytest.mark.parametrize("disease", IN_THE_MIDDLE, ids=lambda disease: disease.name)
async def test_a_fault_in_the_middle_fails_over_unseen(disease: Disease) -> None:
    async with (
        ExoNode("C", pace=0.01, tokens=6) as node,
        Cloud(KEY, (CLOUD_MODEL,), pace=0.0, tokens=9) as cloud,
        in_process(
            node, cloud=cloud, timeouts=TIMERS, model=rule(f"house-cloud/{CLOUD_MODEL}")
        ) as world,
    ):
        await world.ready()
        node.disease = disease
        assert await streamed(world) == (text(9), "stop")
        (done,) = await world.lines("request_done")
        assert (done["outcome"], done["attempts"], done["target"]) == ("success", 2, "house-cloud")


async def test_meanwhile_the_client_gets_keep_alives_and_then_all_at_once() -> None:
    async with (
        ExoNode("C", pace=0.1, tokens=6) as node,
        in_process(node, model=rule(), server={"head": 0.2}) as world,
    ):
        await world.ready()
        answer = await world.chat(stream=True)
        body = answer.text
        assert body.startswith(": keep-alive\n\n")
        assert body.endswith("data: [DONE]\n\n")
        assert body.index(": supervisor ") < body.index("data: ")
        assert await streamed(world) == (text(6), "stop")


async def test_with_nobody_left_it_is_an_error_and_no_piece_of_an_answer() -> None:
    async with (
        ExoNode("C", pace=0.01, tokens=6) as node,
        in_process(node, timeouts=TIMERS, model=rule()) as world,
    ):
        await world.ready()
        node.disease = Disease("cut", after=3)
        answer = await world.chat(stream=True)
        assert answer.status_code == 502
        assert answer.json()["error"]["code"] == "attempts_failed"
