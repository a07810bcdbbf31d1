"""The real service's page in a headless Chromium, by way of the verb's own forwarder."""

import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct
from playwright.async_api import Browser, Page

from exo_supervisor.cli.forward import Forwarder
from exo_supervisor.demo import Cloud, ExoNode
from tests.app.world import World, in_process


class Screen(Struct):
    """One browser's page of one house, and what its console complained of."""

    world: World
    page: Page
    url: str
    complaints: list[str]


@asynccontextmanager
async def opened(browser: Browser, url: str) -> AsyncGenerator[tuple[Page, list[str]]]:
    """Open a page in a profile of its own; what the console says is kept."""
    context = await browser.new_context(viewport={"width": 1400, "height": 900})
    complaints: list[str] = []
    page = await context.new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(url)
    yield page, complaints
    await page.unroute_all(behavior="wait")  # a test's own route may be asking the house just now
    await context.close()


@asynccontextmanager
async def shown(
    browser: Browser,
    *nodes: ExoNode,
    cloud: Cloud | None = None,
    ready: int | None = None,
    **tables: Any,  # noqa: ANN401 - tables of TOML
) -> AsyncGenerator[Screen]:
    """Run a house, and show it."""
    tables = {"health": {"interval": 1.0}, **tables}
    async with in_process(*nodes, cloud=cloud, **tables) as world:
        await world.ready(len(nodes) if ready is None else ready)
        forwarder = Forwarder(world.path, "127.0.0.1")
        threading.Thread(target=forwarder.run, daemon=True).start()
        try:
            async with opened(browser, forwarder.url) as (page, complaints):
                await page.wait_for_selector(".fresh .live")
                yield Screen(world, page, forwarder.url, complaints)
        finally:
            forwarder.close()
