"""A provider that repeats the key which it was sent, in whatever it says."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tests.app.world import CLOUD_MODEL, KEY, KEY_ENV, MODEL, Json, World, in_process

pytestmark = pytest.mark.real_time

SSE = {"content-type": "text/event-stream"}


class Echo:
    """A provider whose every word holds the Authorization header that came."""

    def __init__(self) -> None:
        self.status, self.event = 400, ""
        self.base_url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        shown = request.headers.get("authorization", "no key was sent")
        if request.path.endswith("/models"):
            return web.json_response({"data": [{"id": CLOUD_MODEL}]})
        bare = shown.removeprefix("Bearer ")
        told = f"{'x' * 280} nobody has the key <{bare}>, and your header was {shown}"
        if not self.event:
            error = {"message": told[220:], "type": bare, "code": shown, "param": shown}
            return web.json_response({"error": error}, status=self.status)
        body = self.event.replace("TOLD", shown)
        return web.Response(body=f"data: {body}\n\ndata: [DONE]\n\n".encode(), headers=SSE)


@asynccontextmanager
async def house() -> AsyncGenerator[tuple[World, Echo]]:
    echo = Echo()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", echo.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    provider = {"name": "echo", "base_url": f"http://{host}:{port}/v1", "key_env": KEY_ENV}
    rule = {"name": MODEL, "cloud": [f"echo/{CLOUD_MODEL}"]}
    try:
        async with in_process(provider=[provider], model=[rule]) as world:
            yield world, echo
    finally:
        await runner.cleanup()


async def told(world: World) -> bytes:
    """Gather what a client, the status and the log are told."""
    heard = b""
    for stream in (False, True):
        answer = await world.chat(stream=stream)
        heard += answer.content + repr(answer.headers).encode()
    for path in ("/supervisor/status", "/supervisor/breakers", "/supervisor/models"):
        heard += (await world.http.get(path)).content
    return heard + world.log()


@pytest.mark.parametrize(
    "status", [400, 401, 402, 403, 404, 409, 410, 413, 418, 422, 429, 500, 503]
)
async def test_in_an_error_of_any_status(status: int) -> None:
    async with house() as (world, echo):
        echo.status = status
        heard = await told(world)
        assert KEY[:10].encode() not in heard
        assert b"Bearer sk" not in heard


ENDED: Json = {"index": 0, "delta": {}, "finish_reason": "stop"}
EVENTS: tuple[Json, ...] = (
    {"error": {"message": "bad: TOLD", "code": "TOLD", "type": "TOLD"}},
    {"error": "TOLD"},
    {
        "model": "TOLD",
        "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}],
    },
    {"model": "TOLD", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
)


@pytest.mark.parametrize("event", EVENTS)
async def test_in_an_event(event: Json) -> None:
    async with house() as (world, echo):
        echo.event = json.dumps(event)
        assert KEY[:10].encode() not in await told(world)
