"""A service that was paused reads what came meanwhile before any timer judges."""

import json
import signal
from typing import Any

import anyio
import pytest

from exo_supervisor.demo import Cloud, Disease, ExoNode, text
from exo_supervisor.demo.server import DemoServer
from tests.app.world import (
    CLOUD_MODEL,
    KEY,
    KEY_ENV,
    LEGACY_MODEL,
    MODEL,
    asking,
    folder,
    post,
    process_of_service,
    toml,
)
from tests.demo.raw import taken_apart

pytestmark = [pytest.mark.real_time, pytest.mark.alone, pytest.mark.timeout(50)]
SHORT = 1.0
"""Seconds of the timer that is to run out."""
PACE, TOKENS = 0.1, 20


@pytest.mark.parametrize(("who", "begun"), [("exo", True), ("cloud", True), ("cloud", False)])
async def test_an_answer_that_went_on_while_the_process_was_stopped_is_whole(
    who: str, *, begun: bool
) -> None:
    """All of it was sent long before; the timer has run out when the process goes on."""
    node = ExoNode("A", (LEGACY_MODEL,), pace=PACE, tokens=TOKENS)
    cloud = Cloud(KEY, (CLOUD_MODEL,), pace=PACE, tokens=TOKENS)
    server: DemoServer = cloud if who == "cloud" else node
    async with node, cloud:
        server.disease = Disease() if begun else Disease("slow", seconds=2 * SHORT)
        with folder() as place:
            async with process_of_service(place, configured(node, cloud, who)) as (world, process):
                await world.until("/supervisor/status", lambda body: body["ready"])
                async with await anyio.connect_unix(world.path) as client:
                    await client.send(post(json.dumps(asking(stream=True)).encode()))
                    await server.until(lambda: server.open_streams == 1)
                    received = await client.receive() if begun else b""
                    process.send_signal(signal.SIGSTOP)
                    stopped = anyio.current_time()
                    await server.until(lambda: server.open_streams == 0)
                    assert anyio.current_time() > stopped + SHORT, "its timer has run out"
                    process.send_signal(signal.SIGCONT)
                    async for part in client:
                        received += part
                (done,) = await world.lines("request_done")
    assert (done["outcome"], done["attempts"]) == ("success", 1)
    reply = taken_apart(received)
    assert (reply.status, reply.whole, said(reply.body)) == (200, True, text(TOKENS))


def configured(node: ExoNode, cloud: Cloud, who: str) -> str:
    """Send all to one of the two, whose timers are short."""
    provider: dict[str, Any] = {"base_url": cloud.base_url, "key_env": KEY_ENV}
    provider |= {"name": "house-cloud", "stall": SHORT, "headers": SHORT}
    model = {"name": MODEL, "exo": [LEGACY_MODEL], "cloud": [f"house-cloud/{CLOUD_MODEL}"]}
    tables = {"provider": [provider], "model": [model], "routing": {"order": [who]}}
    return toml([node], None, {**tables, "timeouts": {"stall": SHORT}})


def said(body: bytes) -> str:
    """Put the words of a stream together."""
    events = [json.loads(each[6:]) for each in body.split(b"\n\n") if each.startswith(b"data: {")]
    choices = [choice for event in events for choice in event["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)
