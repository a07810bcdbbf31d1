"""A provider that repeats the prompt, in whatever it says: the client alone may read that."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from exo_supervisor.demo import ExoNode
from tests.app.world import CLOUD_MODEL, EXO_MODEL, KEY_ENV, MODEL, Json, World, in_process

pytestmark = pytest.mark.real_time

PROMPT = "Tell nobody that the vault of the museum\nopens with the number 27-4-11"
SECRETS = (b"vault", b"museum", b"opens with")
PAID = "no credits left: "
"""Words of money are kept for the status, as why a key rests."""


class Echo:
    """Repeats the prompt that came, as plain text, escaped, in capitals, or in an event.

    Where it is told a `prompt`, that is what it repeats.
    """

    def __init__(self, status: int, how: str, prompt: str = "") -> None:
        self.status, self.how, self.prompt = status, how, prompt

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/models"):
            return web.json_response({"data": [{"id": CLOUD_MODEL}]})
        prompt: str = self.prompt or (await request.json())["messages"][0]["content"]
        told = {"escaped": json.dumps(prompt), "capitals": prompt.upper()}.get(self.how, prompt)
        body = json.dumps({"error": {"message": f"{PAID}{told}"}})
        if self.how == "event":
            sse = {"content-type": "text/event-stream"}
            return web.Response(body=f"data: {body}\n\n".encode(), headers=sse)
        return web.Response(status=self.status, body=body, content_type="application/json")


@asynccontextmanager
async def house(echo: Echo, dialect: str = "openai") -> AsyncGenerator[World]:
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", echo.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    base_url = f"http://{host}:{port}" + ("/v1" if dialect == "openai" else "")
    provider = {"name": "echo", "base_url": base_url, "key_env": KEY_ENV, "dialect": dialect}
    rule = {"name": MODEL, "exo": [EXO_MODEL], "cloud": [f"echo/{CLOUD_MODEL}"]}
    order = {"order": ["cloud", "exo"]}
    try:
        async with (
            ExoNode("C", pace=0.0) as node,
            in_process(node, provider=[provider], model=[rule], routing=order) as world,
        ):
            await world.ready()
            yield world
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("how", ["plain", "escaped", "capitals", "event"])
@pytest.mark.parametrize("status", [402, 500, 502])
async def test_in_an_error_that_another_target_mended(status: int, how: str) -> None:
    async with house(Echo(status, how)) as world:
        messages = [{"role": "user", "content": PROMPT}]
        for stream in (False, True):
            assert (await world.chat(messages=messages, stream=stream)).status_code == 200
        await world.lines("attempt_failed")
        heard = world.log()
        for path in ("/supervisor/status", "/supervisor/breakers", "/supervisor/nodes"):
            heard += (await world.http.get(path)).content
        for secret in SECRETS:
            assert secret not in heard.lower()


DATA = {"type": "text", "media_type": "text/plain", "data": PROMPT}
DOCUMENT = [{"type": "text", "text": "read"}, {"type": "document", "source": DATA}]
THOUGHTS = [{"type": "redacted_thinking", "data": PROMPT}, {"type": "text", "text": "k"}]
ONLY_THEIRS: dict[str, Json] = {
    "document": {"messages": [{"role": "user", "content": DOCUMENT}]},
    "redacted_thinking": {
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": THOUGHTS},
            {"role": "user", "content": "go on"},
        ]
    },
    "server_tool": {"tools": [{"name": "f", "type": "web_search_1", "user_location": PROMPT}]},
    "metadata": {"metadata": {"user_id": PROMPT}},
    "container": {"container": PROMPT},
}


@pytest.mark.parametrize("asked", ONLY_THEIRS.values(), ids=ONLY_THEIRS)
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_of_what_only_the_clients_own_dialect_can_say(dialect: str, asked: Json) -> None:
    """Some of it goes to a provider of that dialect alone, which may quote it as well."""
    async with house(Echo(500, "plain", PROMPT), dialect) as world:
        plain = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
        await world.http.post("/v1/messages", json={**plain, **asked})
        await world.lines("request_done")
        if dialect == "anthropic":
            assert await world.lines("attempt_failed"), "it was asked"
        heard = world.log() + (await world.http.get("/supervisor/status")).content
        for secret in SECRETS:
            assert secret not in heard.lower()
