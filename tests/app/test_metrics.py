"""`/metrics` as Prometheus reads it, and what stands in `deploy/` beside it."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from exo_supervisor.demo import Cloud, Disease, ExoNode
from tests.app.world import CLOUD_MODEL, KEY, MODEL, World, in_process

pytestmark = pytest.mark.real_time

DEPLOY = Path(__file__).parents[2] / "deploy"
OPEN = "application/openmetrics-text; version=1.0.0"


async def scraped(world: World) -> dict[str, Metric]:
    """Read the page with Prometheus's own strict parser."""
    answer = await world.http.get("/metrics", headers={"accept": OPEN})
    assert answer.headers["content-type"].startswith("application/openmetrics-text"), answer.text
    read = cast("Any", openmetrics).text_string_to_metric_families  # it has no types
    families = cast("Iterable[Metric]", read(answer.text))
    return {family.name.removeprefix("exo_supervisor_"): family for family in families}


def figures(family: Metric, suffix: str = "") -> dict[tuple[str, ...], float]:
    """Return samples of one name by their labels' values, in the order of the labels' names."""
    wanted = family.name + suffix
    return {tuple(s.labels.values()): s.value for s in family.samples if s.name == wanted}


async def test_a_house_that_shifted_says_so_in_figures(tmp_path: Path) -> None:
    """The page tells of requests, tokens, an opened breaker, a shift, and the house as it is."""
    node, cloud = ExoNode("C", pace=0.0), Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    more: dict[str, Any] = {"health": {"interval": 60.0}, "state": tmp_path}
    async with node, cloud, in_process(node, cloud=cloud, **more) as world:
        await world.ready()
        await world.chat()
        node.disease = Disease("redirect")
        for _ in range(3):
            await world.chat()
        await world.chat(model="nobody-has-this")
        page = await scraped(world)
    counted = figures(page["requests"], "_total")
    assert counted["default", "openai", MODEL, "success", "exo"] == 1
    assert counted["default", "openai", MODEL, "success", "cloud"] == 3
    assert counted["default", "openai", "other", "refused", "none"] == 1
    assert figures(page["request_errors"], "_total") == {("model_not_found",): 1}
    assert figures(page["attempts"], "_total") == {(MODEL, "exo"): 4, (MODEL, "cloud"): 3}
    assert figures(page["shifts"], "_total") == {("exo", "attempt_failed", "cloud"): 1}
    assert figures(page["breaker_transitions"], "_total") == {("exo", "open"): 1}
    assert figures(page["breaker_state"])[node.address,] == 2
    assert figures(page["attempt_failures"], "_total") == {("bad_status", "exo"): 3}
    assert figures(page["prompt_tokens"], "_total").keys() == {(MODEL, "exo"), (MODEL, "cloud")}
    assert figures(page["nodes"])["ready",] == 1
    assert figures(page["provider_up"]) == {("house-cloud",): 1}
    assert figures(page["ready"]) == {(): 1}
    assert figures(page["ledger_stopped"]) == figures(page["ledger_unbooked"]) == {(): 0}
    assert figures(page["egress_requests"], "_total") == {("house-cloud",): 3}
    assert figures(page["overhead_seconds"], "_count").keys() == {("exo",), ("cloud",)}
    assert figures(page["requests_running"]) == {(): 0}
    assert figures(page["time_to_first_token_seconds"], "_count")[MODEL, "exo"] == 1
    assert set(figures(page["sink_failures"], "_total").values()) == {0}
    missing = {name.removeprefix("exo_supervisor_") for name in names_in_deploy()} - set(page)
    assert not missing


async def test_an_older_scraper_gets_the_older_text() -> None:
    async with in_process() as world:
        answer = await world.http.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        names = {family.name for family in text_string_to_metric_families(answer.text)}
        assert {"exo_supervisor_ready", "process_resident_memory_bytes"} <= names
        refused = await world.http.post("/metrics")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET")


def test_the_alerts_have_what_prometheus_asks_of_a_rule() -> None:
    rules = [rule for group in alerts()["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 5
    for rule in rules:
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert rule.keys() >= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"].keys() == {"summary", "description"}


def test_the_dashboard_s_panels_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in dashboard()["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def alerts() -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.safe_load((DEPLOY / "alerts.yml").read_text()))


def dashboard() -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads((DEPLOY / "dashboard.json").read_text()))


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for group in alerts()["groups"] for rule in group["rules"])
    yield from (aim["expr"] for panel in dashboard()["panels"] for aim in panel["targets"])


def names_in_deploy() -> set[str]:
    """Return the families that alerts and dashboard read, without the suffixes of their samples."""
    named = {name for text in expressions() for name in re.findall(r"exo_supervisor_\w+", text)}
    assert len(named) > 10
    return {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in named}
