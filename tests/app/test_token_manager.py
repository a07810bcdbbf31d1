"""What an unmodified ai-token-manager sent, byte for byte, is answered so that it never latches."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from exo_supervisor.demo import Cloud, Disease, ExoNode, text
from exo_supervisor.host.credentials import Secret
from exo_supervisor.host.tcp import open_tcp
from tests.app.world import CLOUD_MODEL, KEY, MODEL, PATIENCE, World, in_process
from tests.demo.raw import Reply, taken_apart

pytestmark = pytest.mark.real_time

RECORDED = Path(__file__).parent.parent / "recordings" / "token-manager"
CHAT = (RECORDED / "chat.request.http").read_bytes()
MODELS = (RECORDED / "models.request.http").read_bytes()
TOKEN = "manager-token"
LIMITED = CHAT.replace(TOKEN.encode(), b"limited-token")
Send = Callable[[bytes], Awaitable[Reply]]


def latches(reply: Reply) -> bool:
    """Judge as `make_request` and `send_request` do."""
    said = reply.body.decode().lower()
    words = any(word in said for word in ("quota", "402", "429"))
    return reply.status in (401, 402, 429) or (reply.status >= 400 and words)


def for_model(name: str) -> bytes:
    longer = b"Content-Length: %d" % (76 - len(MODEL) + len(name))
    asked = CHAT.replace(MODEL.encode(), name.encode())
    return asked.replace(b"Content-Length: 76", longer)


async def test_the_recorded_exchange_is_served_and_no_row_of_its_rules_is_hit() -> None:
    node, cloud = ExoNode("C", pace=0.0), Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    listener = open_tcp("127.0.0.1:0")
    names = ("manager", "limited")
    house = in_process(
        node,
        cloud=cloud,
        tcp=(listener, Secret("the-listener's", "the test")),
        client=[
            {"name": "manager", "profile": "token-manager"},
            {"name": "limited", "profile": "token-manager", "rate": {"requests": 1}},
        ],
        client_tokens={name: Secret(f"{name}-token", "the test") for name in names},
    )
    async with node, cloud, house as world:
        await world.ready()
        await world.lines("provider_reached")

        async def send(request: bytes) -> Reply:
            return await exchanged(listener.getsockname()[1], request)

        await _whole(send)
        await _refused(send, world)
        node.disease = cloud.disease = Disease("status", status=429, retry_after=1)
        assert (await send(CHAT)).status == 503
        await node.stop()
        cloud.disease = Disease("status", status=401)
        for request in (CHAT, for_model(CLOUD_MODEL)):
            assert not latches(reply := await send(request))
            assert reply.status == 503
        for token in (TOKEN, "limited-token"):
            assert token.encode() not in world.log()


async def _whole(send: Send) -> None:
    """Serve it, `//` in its path too, and list models where it looks for them."""
    listed: Any = json.loads((await send(MODELS)).body)
    assert MODEL in [model["id"] for model in listed.get("models", listed.get("data", []))]
    for request in (CHAT, CHAT.replace(b"/v1/chat", b"/v1//chat")):
        reply = await send(request)
        answer: Any = json.loads(reply.body)
        assert (reply.status, answer["choices"][0]["message"]["content"]) == (200, text(12))
        assert {type(answer["usage"][f"{kind}_tokens"]) for kind in ("prompt", "total")} == {int}


async def _refused(send: Send, world: World) -> None:
    wrong = (
        (CHAT.replace(TOKEN.encode(), b"another-token"), 403, "bad_token"),
        (for_model("quota-402-429"), 404, "model_not_found"),
        (CHAT.replace(b'"role": "user"', b'"role": 429 - '), 400, "bad_json"),
    )
    assert (await send(LIMITED)).status == 200
    for request, status, code in (*wrong, (LIMITED, 503, "rate_limited")):
        reply = await send(request)
        assert (reply.status, json.loads(reply.body)["error"]["code"]) == (status, code)
        assert not latches(reply)
    assert {line["client"] for line in await world.lines("request_done", 6)} >= {"manager"}


async def exchanged(port: int, request: bytes) -> Reply:
    """Send bytes over TCP, and read one answer."""
    received = b""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with anyio.fail_after(PATIENCE):
        writer.write(request)
        while not (b"\r\n\r\n" in received and taken_apart(received).whole):
            part = await reader.read(65536)
            if not part:
                break
            received += part
    writer.transport.abort()
    return taken_apart(received)
