"""A silence at Exo, as a client sees it: vouched for, it is filled with comments and goes on."""

import json

import anyio
import pytest

from exo_supervisor.demo import Disease, ExoNode, text
from tests.app.world import PATIENCE, asking, in_process, post
from tests.demo.raw import Reply, taken_apart

pytestmark = pytest.mark.real_time

STALL = 0.8
TOKENS = 6


async def streamed(path: str) -> Reply:
    with anyio.fail_after(PATIENCE):
        async with await anyio.connect_unix(path) as client:
            body = json.dumps(asking(stream=True)).encode()
            await client.send(post(body, "connection: close"))
            parts = [part async for part in client]
    return taken_apart(b"".join(parts))


@pytest.mark.parametrize("generation", [pytest.param("B", marks=pytest.mark.alone), "C"])
async def test_a_silence_in_the_midst_is_vouched_for_and_its_client_kept_awake(
    generation: str,
) -> None:
    node = ExoNode("B" if generation == "B" else "C", pace=0.0, tokens=TOKENS)
    async with node, in_process(node, timeouts={"stall": STALL}) as world:
        await world.ready()
        node.disease = Disease("pause", after=2, seconds=3 * STALL)
        reply = await streamed(world.path)
        assert reply.whole
        before, _, after = reply.body.partition(b": keep-alive\n\n")
        assert b'"content":"' in before
        assert b'"content":"' in after
        told = "".join(
            choice["delta"].get("content") or ""
            for block in reply.body.decode().split("\n\n")
            if block.startswith("data: {")
            for choice in json.loads(block.removeprefix("data: "))["choices"]
        )
        assert told == text(TOKENS)
        (line,) = await world.lines("request_done")
        assert (line["outcome"], line["attempts"]) == ("success", 1)
