"""A client that reads slowly gets its whole answer, however long the target's timers are."""

import json

import anyio
import pytest

from exo_supervisor.demo import Disease, ExoNode
from tests.app.world import PATIENCE, asking, in_process, post
from tests.demo.raw import taken_apart

pytestmark = pytest.mark.real_time

STALL = 1.0
LARGE = 4 * 1024 * 1024
"""Bytes of an event, more than what sockets and buffers hold."""


async def test_a_client_that_pauses_for_longer_than_a_stall_gets_the_rest() -> None:
    node = ExoNode("C", pace=0.0)
    async with node, in_process(node, timeouts={"stall": STALL}) as world:
        await world.ready()
        node.disease = Disease("huge_event", size=LARGE)
        received = b""
        async with await anyio.connect_unix(world.path) as client:
            await client.send(post(json.dumps(asking(stream=True)).encode()))
            await anyio.sleep(1.5 * STALL)  # what the client does, not what the test waits for
            with anyio.fail_after(PATIENCE):
                async for data in client:
                    received += data
        reply = taken_apart(received)
        assert (reply.status, reply.whole, len(reply.body) > LARGE) == (200, True, True)
        assert reply.body.endswith(b"data: [DONE]\n\n")
        (line,) = await world.lines("request_done")
        assert line["outcome"] == "success"
