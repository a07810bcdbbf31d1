"""A thousand nodes and a hundred events a second: the page stays smooth and small."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest
from aiohttp import web
from playwright.async_api import Browser, expect

from exo_supervisor.serve.browser import Sessions
from exo_supervisor.serve.control.page import Page
from tests.hud.screen import opened

pytestmark = [pytest.mark.browser, pytest.mark.real_time]

NODES, EVENTS = 1000, 100
SECONDS = 8
MOST_BUSY = 0.5
"""Of one processor: what the page's thread may be at work, on a machine that others use, too."""
MOST_ELEMENTS = 6000
TS = "2026-01-01T00:00:00.000Z"


def node(number: int) -> dict[str, Any]:
    fell = number % 50 == 0
    return {
        "id": f"10.0.{number // 250}.{number % 250}:52415", "url": "", "generation": "C",
        "version": "0.3.70", "cluster": f"cluster-{number // 100}",
        "rung": "seen" if fell else "ready", "since": TS, "why": "down since 2 s" if fell else None,
        "advice": None, "models": [{"id": "m", "ready": not fell}],
        "was": "ready" if fell else None,
        "breaker": {"state": "closed", "reason": "none", "since": None, "until": None},
        "sources": ["mdns"], "latency": 0.001, "capacity": None, "trust": "named",
    }  # fmt: skip


SAID: dict[str, Any] = {
    "nodes": {"nodes": [node(number) for number in range(NODES)]},
    "models": {"models": []},
    "breakers": {"breakers": []},
    "requests": {"requests": [], "ended": []},
    "shifts": {"shifts": [], "trips": []},
    "status": {
        "version": "0", "uptime": 1.0, "ready": True, "summary": "Exo serves", "config": None,
        "advice": [], "looked": [], "nodes": {"ready": NODES}, "down": 20, "providers": [],
        "requests": {"total": 0}, "held": [], "quiet": [], "sockets": [], "last_failed": None,
    },
}  # fmt: skip


async def _events(request: web.Request) -> web.StreamResponse:
    """Tell of nodes that come and go, and of requests that end, a hundred times a second."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for number in range(100_000):
        name = "node_up" if number % 10 == 0 else "request_done"
        facts = {"ts": TS, "level": "info", "event": name, "request_id": f"req_{number}"}
        facts |= {"node": node(number % NODES)["id"], "model": "m", "outcome": "success"}
        text = msgspec.json.encode({**facts, "ttft": 0.1, "target": "10.0.0.1:1", "duration": 1.0})
        await response.write(b"id: %d\nevent: %b\ndata: %b\n\n" % (number, name.encode(), text))
        await anyio.sleep(1 / EVENTS)
    return response


async def _view(request: web.Request) -> web.StreamResponse:
    body = SAID.get(request.match_info["view"])
    return web.json_response(body, status=200 if body else 404)


@asynccontextmanager
async def crowded() -> AsyncGenerator[str]:
    page = Page(Sessions())

    async def _hud(request: web.Request) -> web.StreamResponse:
        answer = page.look(request, request.path.removeprefix("/hud").lstrip("/"))
        return answer if isinstance(answer, web.StreamResponse) else await answer

    app = web.Application()
    app.router.add_get("/supervisor/events", _events)
    app.router.add_get("/supervisor/{view}", _view)
    app.router.add_get("/hud", _hud)
    app.router.add_get("/hud/{name}", _hud)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield "http://{}:{}/hud".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


async def test_a_crowd_of_nodes_and_events_leaves_the_page_at_rest(browser: Browser) -> None:
    async with crowded() as url, opened(browser, url) as (page, complaints):
        await expect(page.locator(".nodes > li")).to_have_count(40)
        await expect(page.locator(".drawing .mark")).to_have_count(NODES)
        probe: Any = await page.context.new_cdp_session(page)
        await probe.send("Performance.enable", {"timeDomain": "threadTicks"})

        async def worked() -> float:
            said: dict[str, list[dict[str, Any]]] = await probe.send("Performance.getMetrics")
            return {each["name"]: each["value"] for each in said["metrics"]}["TaskDuration"]

        before = await worked()
        await page.wait_for_timeout(SECONDS * 1000)
        busy = (await worked() - before) / SECONDS
        elements = await page.evaluate("document.querySelectorAll('*').length")
        listed = await page.locator("#log li").count()
        print(f"busy {busy:.0%} of a processor, {elements} elements")  # noqa: T201 - asked for with -s
        assert busy < MOST_BUSY
        assert elements < MOST_ELEMENTS
        assert 0 < listed <= 40
        assert [each for each in complaints if "404" not in each] == []
        await page.get_by_label("Filter nodes").fill("10.0.3.249")
        await expect(page.locator(".nodes > li")).to_have_count(1)
