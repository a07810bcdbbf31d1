"""A service that was paused reads what came meanwhile before any timer judges."""

import json
import signal

import anyio
import pytest

from exo_supervisor.demo import Cloud, ExoNode, text
from exo_supervisor.demo.server import DemoServer
from tests.app.world import (
    CHAT,
    CLOUD_MODEL,
    KEY,
    KEY_ENV,
    LEGACY_MODEL,
    MODEL,
    asking,
    folder,
    process_of_service,
    toml,
)

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(50)]
STALL = 1.0
PACE, TOKENS = 0.1, 40


@pytest.mark.parametrize("who", ["A", "cloud"])
async def test_an_answer_that_went_on_while_the_process_was_stopped_is_whole(who: str) -> None:
    """All of it was sent long before; the stall timer has run out when the process goes on."""
    node = ExoNode("A", (LEGACY_MODEL,), pace=PACE, tokens=TOKENS)
    cloud = Cloud(KEY, (CLOUD_MODEL,), pace=PACE, tokens=TOKENS)
    server: DemoServer = cloud if who == "cloud" else node
    async with node, cloud:
        tables = {"timeouts": {"stall": STALL}, "provider": [provider(cloud)]}
        rule = {"name": MODEL, "exo": [LEGACY_MODEL], "cloud": [f"house-cloud/{CLOUD_MODEL}"]}
        order = {"order": [who if who == "cloud" else "exo"]}
        given = toml([node], None, {**tables, "model": [rule], "routing": order})
        with folder() as place:
            async with process_of_service(place, given) as (world, process):
                await world.until("/supervisor/status", lambda body: body["ready"])
                async with world.http.stream("POST", CHAT, json=asking(stream=True)) as answer:
                    parts = answer.aiter_bytes()
                    body = await anext(parts)
                    process.send_signal(signal.SIGSTOP)
                    stopped = anyio.current_time()
                    await server.until(lambda: server.open_streams == 0)
                    assert anyio.current_time() > stopped + STALL, "its timer has run out"
                    process.send_signal(signal.SIGCONT)
                    async for part in parts:
                        body += part
                (done,) = await world.lines("request_done")
    assert (done["outcome"], done["attempts"]) == ("success", 1)
    assert said(body) == text(TOKENS)
    assert body.endswith(b"data: [DONE]\n\n")


def provider(cloud: Cloud) -> dict[str, str | float]:
    named = {"name": "house-cloud", "base_url": cloud.base_url, "key_env": KEY_ENV}
    return {**named, "stall": STALL}


def said(body: bytes) -> str:
    """Put the words of a stream together."""
    events = [json.loads(each[6:]) for each in body.split(b"\n\n") if each.startswith(b"data: {")]
    choices = [choice for event in events for choice in event["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)
