"""The page, in a browser: it shows what the service says, asks before it orders, and runs no text.

It takes Chromium and a minute: `pytest -m browser`.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from playwright.async_api import Browser, Page, expect

from exo_supervisor.demo import Cloud, Disease, ExoNode
from tests.app.test_budgets import PRICE
from tests.app.test_tcp import TOKEN, listening
from tests.app.world import CLOUD_MODEL, EXO_MODEL, KEY, MODEL
from tests.hud.screen import Screen, opened, shown

pytestmark = [pytest.mark.browser, pytest.mark.real_time]

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
EVIL = '"><img src=x onerror="window.ran=1"><script>window.ran=1</script>'
expect.set_options(timeout=60_000)
WITHIN = 2.0
"""Seconds from a node's event in the log until the page shows it."""


async def findings(page: Page) -> list[str]:
    """Ask axe-core what keeps whom from using the page."""
    await page.evaluate(AXE)
    found: dict[str, Any] = await page.evaluate("axe.run(document)")
    return [
        f"{each['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


async def press(screen: Screen, within: str, *buttons: str) -> None:
    """Open something's orders, and press one button after the other until the dialog is gone."""
    await choose(screen, within, *buttons)
    await expect(screen.page.locator("#dialog")).not_to_be_visible()


async def choose(screen: Screen, within: str, *buttons: str) -> None:
    """Open something's orders, and press one button after the other."""
    await screen.page.locator(within).get_by_role("button", name="Orders").first.click()
    for each in buttons:
        await screen.page.get_by_role("dialog").get_by_role("button", name=each).click()


async def test_each_panel_says_what_the_service_says(browser: Browser) -> None:
    async with (
        ExoNode("C", (EXO_MODEL,), pace=0.0) as node,
        ExoNode("A", ("llama-3.2-1b",)) as old,
        Cloud(KEY, (CLOUD_MODEL,), pace=0.0) as cloud,
        shown(browser, node, old, cloud=cloud) as screen,
    ):
        page = screen.page
        assert (await screen.world.chat()).status_code == 200
        routed = await screen.world.chat(headers={"x-supervisor-route": "cloud"})
        assert routed.status_code == 200
        await expect(page.locator("#ended .rows > li")).to_have_count(2)
        status = await screen.world.look("/supervisor/status")
        level, parts = status["verdict"]["level"], status["verdict"]["parts"]
        await expect(page.locator("#verdict")).to_have_class(f"verdict {level}")
        for part in parts[1:]:
            await expect(page.locator("#verdict")).to_contain_text(part, ignore_case=True)
        for line in status["advice"]:
            await expect(page.locator("#advice")).to_contain_text(line)
        rows = (await screen.world.look("/supervisor/nodes"))["nodes"]
        for row in rows:
            shown_row = page.locator(".nodes > li", has_text=row["id"])
            await expect(shown_row.locator(".ladder")).to_contain_text(row["rung"])
            await expect(page.locator(".drawing")).to_contain_text(row["id"])
        await expect(page.locator("#nodes .rungs")).to_contain_text("2 ready")
        for row in (await screen.world.look("/supervisor/models"))["models"]:
            if not row["alias_of"]:
                await expect(page.locator("#models")).to_contain_text(row["id"])
        await expect(page.locator("#clouds")).to_contain_text("house-cloud ready")
        await expect(page.locator("#clouds")).to_contain_text("key set")
        await expect(page.locator("#ended .sums")).to_contain_text("2 requests: 1 Exo, 1 cloud")
        await expect(page.locator("#books")).to_contain_text("1 request")
        await expect(page.locator("#log")).to_contain_text("request_done")
        await expect(page.locator("#about")).to_contain_text(status["version"])
        await expect(page.locator("#spoken")).to_contain_text(parts[0])
        assert [each for each in screen.complaints if "503" not in each] == []


async def test_money_is_what_the_ledger_says(browser: Browser, tmp_path: Path) -> None:
    rows: dict[str, Any] = {
        "price": [PRICE],
        "budget": {"day": 5.0},
        "ledger": {"reference": f"house-cloud/{CLOUD_MODEL}"},
    }
    async with (
        ExoNode("C", (EXO_MODEL,), pace=0.0) as node,
        Cloud(KEY, (CLOUD_MODEL,), pace=0.0) as cloud,
        shown(browser, node, cloud=cloud, state=tmp_path, **rows) as screen,
    ):
        assert (await screen.world.chat()).status_code == 200
        routed = {"x-supervisor-route": "cloud"}
        assert (await screen.world.chat(headers=routed)).status_code == 200
        path = "/supervisor/ledger?by=target&since=today"
        ledger = await screen.world.until(path, lambda body: body["total"]["requests"] == 2)
        books = screen.page.locator("#books")
        assert float(ledger["total"]["cost"]) > 0
        assert float(ledger["total"]["saved"]) > 0
        for name in ("cost", "saved"):
            whole = "$" + ledger["total"][name]
            await expect(books.locator(".figures")).to_contain_text(whole[:8])
        for row in ledger["rows"]:
            await expect(books.locator("tbody tr", has_text=row["key"])).to_have_count(1)
        [budget] = (await screen.world.look("/supervisor/status"))["budgets"]
        await expect(books.locator(".budgets")).to_contain_text(f"${budget['spent']}"[:8])
        await expect(books.locator(".budgets")).to_contain_text("Budget of house, day")
        assert screen.complaints == []


async def test_what_runs_and_what_moved_is_shown(browser: Browser) -> None:
    async with (
        ExoNode("C", (EXO_MODEL,), pace=0.05) as node,
        Cloud(KEY, (CLOUD_MODEL,), pace=0.0) as cloud,
        shown(browser, node, cloud=cloud) as screen,
        anyio.create_task_group() as tasks,
    ):
        node.disease = Disease("silent_chat")
        tasks.start_soon(screen.world.chat)
        row = screen.page.locator("#running .rows > li")
        await expect(row).to_contain_text(MODEL)
        await expect(row).to_contain_text(node.address)
        await expect(screen.page.locator(".hub.busy .count")).to_have_text("1")
        await node.stop()
        moved = screen.page.locator("#shifts .timeline")
        await expect(moved).to_contain_text("exo → cloud")
        await expect(moved).to_contain_text("an attempt failed")


async def test_a_node_that_dies_is_seen_to_be_down_at_once(browser: Browser) -> None:
    async with (
        ExoNode("C", (EXO_MODEL,)) as stays,
        ExoNode("B", ("mlx-community/Qwen3-0.6B-4bit",)) as dies,
        shown(browser, stays, dies) as screen,
    ):
        seen = screen.page.evaluate_handle(
            """() => new Promise((seen) => {
                const shown = (what) => document.querySelector(what) !== null;
                const look = () => {
                    if (shown(".nodes .down") && shown(".drawing .mark.down")) seen(Date.now());
                    else requestAnimationFrame(look);
                };
                look();
            })"""
        )
        await dies.stop()
        [line] = await screen.world.lines("node_down")
        at = await (await seen).json_value()
        logged = await screen.page.evaluate("(ts) => Date.parse(ts)", line["ts"])
        assert (at - logged) / 1000 < WITHIN
        await expect(screen.page.locator("#verdict")).to_have_class("verdict weak")
        await expect(screen.page.locator("#verdict")).to_contain_text("1 node down")
        down = screen.page.locator(".nodes > li.down")
        await expect(down).to_contain_text(dies.address)
        await expect(down.locator(".why")).to_contain_text("was ready")


async def test_a_breaker_is_held_and_let_go_after_a_question(browser: Browser) -> None:
    async with ExoNode("C", (EXO_MODEL,)) as node, shown(browser, node) as screen:
        page = screen.page

        async def breaker() -> tuple[str, bool]:
            rows = (await screen.world.look("/supervisor/breakers"))["breakers"]
            return next((each["state"], each["forced"]) for each in rows if each["model"] is None)

        await press(screen, ".nodes", "Hold its breaker open", "Cancel")
        assert await breaker() == ("closed", False)
        await press(screen, ".nodes", "Hold its breaker open", "Hold its breaker open")
        assert await breaker() == ("open", True)
        await expect(page.locator(".nodes > li.open")).to_contain_text(node.address)
        await expect(page.locator("#verdict")).to_contain_text("1 breaker open")
        await press(screen, ".nodes", "Hold its breaker closed", "Hold its breaker closed")
        await expect(page.locator("#clouds")).to_contain_text("held by an operator")
        assert await breaker() == ("closed", True)
        await press(screen, ".nodes", "Let its breaker go", "Let its breaker go")
        await expect(page.locator("#verdict")).to_have_class("verdict well")
        assert await breaker() == ("closed", False)
        path = f"/supervisor/breakers/{node.address}/open?model={EXO_MODEL}"
        assert (await screen.world.http.post(path)).status_code == 200
        await expect(page.locator(".drawing")).to_contain_text("1 model held back")


async def as_found(route: Any) -> None:  # noqa: ANN401 - a Route of playwright
    """Show the only node as one that nobody named."""
    answer = await route.fetch()
    [row] = (await answer.json())["nodes"]
    await route.fulfill(response=answer, json={"nodes": [{**row, "trust": "found"}]})


async def test_trust_that_is_not_kept_is_said_to_end_with_a_restart(browser: Browser) -> None:
    async with ExoNode("C", (EXO_MODEL,)) as node, shown(browser, node) as screen:
        await screen.page.route("**/supervisor/nodes", as_found)
        await screen.page.reload()  # else it asks anew only after a while, with nothing going on
        await expect(screen.page.locator(".nodes")).to_contain_text("found, not trusted")
        await choose(screen, ".nodes", "Trust it", "Trust it")
        dialog = screen.page.locator("#dialog")
        await expect(dialog).to_contain_text("It holds until the service restarts")
        await expect(dialog.get_by_role("alert")).to_contain_text("there is no state directory")
        await screen.page.get_by_role("button", name="Close").click()
        await expect(dialog).not_to_be_visible()


async def test_a_node_is_trusted_and_a_model_placed_and_removed(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        ExoNode("C", (EXO_MODEL,)) as node,
        shown(browser, node, state=tmp_path / "state") as screen,
    ):
        page = screen.page
        await page.route("**/supervisor/nodes", as_found)
        await page.reload()
        await expect(page.locator(".nodes")).to_contain_text("found, not trusted")
        await press(screen, ".nodes", "Trust it", "Trust it")
        assert [each["node"] for each in await screen.world.lines("node_trusted")] == [node.address]
        await page.locator("#models").get_by_role("button", name="Orders").first.click()
        await expect(page.locator("#choice")).to_contain_text(f"Now {node.address} would serve it")
        await page.get_by_role("button", name="Remove it from Exo").click()
        await page.get_by_role("button", name="Remove it from Exo").click()
        await expect(page.locator("#dialog")).not_to_be_visible()
        await screen.world.lines("model_removed")
        await expect(page.locator("#models .rows > li")).not_to_contain_text("ready")
        await page.get_by_role("button", name="Place a model").click()
        await page.get_by_label("Its name").fill("no-such-model")
        await page.get_by_role("button", name="Go on").click()
        await page.get_by_role("button", name="Place it on Exo").click()
        await expect(page.locator("#dialog [role=alert]")).to_contain_text("no such model")
        await page.get_by_role("button", name="Close").click()
        await page.get_by_role("button", name="Place a model").click()
        await page.get_by_label("Its name").fill(EXO_MODEL)
        await page.get_by_role("button", name="Go on").click()
        await page.get_by_role("button", name="Place it on Exo").click()
        await expect(page.locator("#models .rows > li").first).to_contain_text("ready")


async def test_a_chat_tells_who_served_and_why(browser: Browser) -> None:
    async with (
        ExoNode("C", (EXO_MODEL,), pace=0.0) as node,
        Cloud(KEY, (CLOUD_MODEL,), pace=0.0) as cloud,
        shown(browser, node, cloud=cloud) as screen,
    ):
        page = screen.page
        question = page.get_by_label("Question")
        await question.fill("Name three rivers.")
        await question.press("Enter")
        last = page.locator(".turns article").last
        await expect(last.locator(".served")).to_contain_text(f"Exo {node.address} served")
        await expect(last.locator(".served")).to_contain_text("tokens")
        node.disease = Disease("error_event", after=0)
        await question.fill("And three more.")
        await page.get_by_role("button", name="Send").click()
        await expect(last.locator(".served")).to_contain_text("cloud house-cloud served, since an")
        await expect(last.locator(".served")).to_contain_text("2 attempts")
        await expect(page.locator("#ended .rows > li")).to_have_count(2)
        await page.locator("#ended").get_by_role("button", name="Why").first.click()
        story = page.locator("#dialog .story > li")
        await expect(story).to_have_count(2)
        await expect(story.first).to_contain_text("error event")
        await expect(story.last).to_contain_text("house-cloud served it")
        await page.get_by_role("button", name="Close").click()
        await page.get_by_label("Keep it in the house").check()
        await question.fill("A secret.")
        await page.get_by_role("button", name="Send").click()
        await expect(last.get_by_role("alert")).to_be_visible()
        line = (await screen.world.lines("request_done", 3))[-1]
        assert line["egress_bytes"] == 0
        node.disease = Disease("cut", after=3)
        await page.get_by_role("button", name="Clear").click()
        await question.fill("Half.")
        await page.get_by_role("button", name="Send").click()
        await expect(last.get_by_role("alert")).to_be_visible()


async def test_no_name_of_a_node_or_a_model_is_run(browser: Browser) -> None:
    """One real model is named like a script; then all that the service says of itself is one."""
    async with ExoNode("C", (EXO_MODEL, EVIL)) as node, shown(browser, node) as screen:
        page = screen.page
        await expect(page.locator("#models")).to_contain_text('"><img')

        async def poison(route: Any) -> None:  # noqa: ANN401 - a Route of playwright
            answer = await route.fetch()
            await route.fulfill(response=answer, json=poisoned(await answer.json()))

        for view in ("status", "nodes", "models", "breakers", "requests", "shifts", "clients"):
            await page.route(f"**/supervisor/{view}*", poison)
        await page.reload()
        for panel in ("#nodes", "#models", "#map", "#about"):
            await expect(page.locator(panel)).to_contain_text("onerror")
        assert await page.evaluate("window.ran") is None
        assert await page.locator("img").count() == 0
        assert await page.locator("script").count() == 1


KEPT = {"rung", "state", "level", "model_state", "generation"}


def poisoned(said: Any) -> Any:  # noqa: ANN401 - any JSON
    """Make a script of every text, but of those that choose how a row is drawn."""
    match said:
        case dict():
            rows = cast("dict[str, Any]", said)
            return {name: v if name in KEPT else poisoned(v) for name, v in rows.items()}
        case list():
            return [poisoned(each) for each in cast("list[Any]", said)]
        case str():
            return EVIL
        case _:
            return said


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
async def test_nobody_is_kept_from_using_it(browser: Browser, scheme: Any, width: int) -> None:  # noqa: ANN401
    async with (
        ExoNode("C", (EXO_MODEL,), pace=0.0) as node,
        ExoNode("B", ("mlx-community/Qwen3-0.6B-4bit",)) as dies,
        Cloud(KEY, (CLOUD_MODEL,), pace=0.0) as cloud,
        shown(browser, node, dies, cloud=cloud) as screen,
    ):
        page = screen.page
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size({"width": width, "height": 900})
        node.disease = Disease("error_event", after=0)
        assert (await screen.world.chat()).status_code == 200
        await dies.stop()
        await expect(page.locator(".nodes > li.down")).to_be_visible()
        await expect(page.locator("#shifts .timeline")).to_be_visible()
        assert await findings(page) == []
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(overflow) == 0
        await page.locator(".nodes").get_by_role("button", name="Orders").first.click()
        assert await findings(page) == []


async def test_it_is_used_by_keyboard_alone(browser: Browser) -> None:
    async with ExoNode("C", (EXO_MODEL,)) as node, shown(browser, node) as screen:
        page = screen.page
        orders = page.locator(".nodes").get_by_role("button", name="Orders")
        await expect(orders).to_be_visible()  # what is drawn later lies behind the focus
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the panels")).to_be_focused()
        await page.keyboard.press("Enter")
        for _ in range(8):
            await page.keyboard.press("Tab")
            if await orders.evaluate("(it) => it === document.activeElement"):
                break
        await expect(orders).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Cancel")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).not_to_be_visible()
        await expect(orders).to_be_focused()


async def test_who_wants_no_motion_gets_none(browser: Browser) -> None:
    async with (
        ExoNode("C", (EXO_MODEL,), pace=0.05) as node,
        shown(browser, node) as screen,
        anyio.create_task_group() as tasks,
    ):
        node.disease = Disease("silent_chat")
        tasks.start_soon(screen.world.chat)
        await expect(screen.page.locator(".line.busy")).to_have_count(1)
        moving = "document.getAnimations().filter((each) => each.playState === 'running').length"
        assert await screen.page.evaluate(moving) > 0
        await screen.page.emulate_media(reduced_motion="reduce")
        assert await screen.page.evaluate(moving) == 0
        await node.stop()


async def test_a_service_that_is_gone_outranks_all_that_it_said(browser: Browser) -> None:
    async with ExoNode("C", (EXO_MODEL,)) as node, shown(browser, node) as screen:
        page = screen.page
        await expect(page.locator("#verdict")).to_have_class("verdict well")
        await page.route("**/supervisor/**", lambda route: route.abort())
        await expect(page.locator("#verdict")).to_have_class("verdict bad")
        await expect(page.locator("body")).to_have_class("stale")
        await page.unroute("**/supervisor/**")
        await expect(page.locator("#verdict")).to_have_class("verdict well")


async def test_an_address_works_once_and_the_tab_that_used_it_goes_on(browser: Browser) -> None:
    async with ExoNode("C", (EXO_MODEL,)) as node, shown(browser, node) as screen:
        assert screen.page.url.endswith("/hud"), "the token stays in no address"
        await screen.page.reload()
        await expect(screen.page.locator("#verdict")).to_have_class("verdict well")
        assert await screen.page.evaluate("document.cookie") == ""
        async with opened(browser, screen.url) as (page, _):
            await expect(page.locator("#verdict")).to_contain_text("Not let in")
            await expect(page.locator("#verdict")).to_contain_text("used already")


async def test_on_tcp_a_token_opens_the_page_and_gives_no_orders(browser: Browser) -> None:
    async with ExoNode("C", (EXO_MODEL,)) as node, listening(node) as (world, tcp):
        await world.ready()
        where = f"{str(tcp.base_url).rstrip('/')}/hud"
        async with opened(browser, where) as (page, _):
            await expect(page.locator("#verdict")).to_contain_text("Not let in")
            await expect(page.locator("#advice")).to_contain_text("exo-supervisor hud")
        async with opened(browser, f"{where}#t={TOKEN}") as (page, complaints):
            await expect(page.locator("#verdict")).to_have_class("verdict well")
            await page.locator(".nodes").get_by_role("button", name="Orders").click()
            await page.get_by_role("button", name="Hold its breaker open").click()
            await page.get_by_role("button", name="Hold its breaker open").click()
            await expect(page.locator("#dialog [role=alert]")).to_contain_text("may give orders")
            assert [each for each in complaints if "503" not in each and "403" not in each] == []
