"""Histories of requests, one of each kind, and what `why` tells of each."""

import sys
from io import StringIO

import anyio
import httpx
import pytest

from exo_supervisor.cli import story
from exo_supervisor.cli.term import moment
from exo_supervisor.demo import Cloud, Disease, ExoNode
from tests.app.world import (
    CHAT,
    CLOUD_MODEL,
    KEY,
    LEGACY_MODEL,
    MODEL,
    World,
    asking,
    in_process,
    until,
)

pytestmark = pytest.mark.real_time
LOCAL = {"x-supervisor-privacy": "local_only"}
RARELY = {"interval": 60.0}


def shown(text: str) -> str:
    """Hold a text to what fits any screen, and print it for whoever runs this by hand."""
    assert all(len(line) <= 80 and line.isascii() for line in text.splitlines()), text
    sys.stdout.write(text + "\n\n")
    return text


async def told(world: World, name: str) -> str:
    """Tell a request's story, as the verb does."""
    row = (await world.look(f"/supervisor/requests/{name}"))["request"]
    return shown(story.request(row, moment(row["at"]) or 0.0, StringIO()))


async def asked(world: World, headers: dict[str, str] | None = None, **more: object) -> str:
    """Send a request, and tell its story."""
    answer = await world.chat(headers, **more)
    return await told(world, answer.headers["x-request-id"])


async def last(world: World) -> str:
    """Wait until nothing is under way, and tell the story of what ended last."""
    await world.idle()
    [row] = (await world.look("/supervisor/requests?last=1"))["ended"]
    return await told(world, row["id"])


async def test_a_house_with_a_cloud() -> None:
    """First choice, a field, a failed attempt, a trip, an open breaker, privacy, a probe."""
    node, cloud = ExoNode(pace=0.0), Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    async with (
        node,
        cloud,
        in_process(node, cloud=cloud, breaker={"rest": 0.5}, health=RARELY) as world,
    ):
        await world.ready()
        first = await asked(world)
        assert f"ended     answered by {node.address} in" in first
        assert f"because   {node.address}: the only one left that could be asked" in first
        assert "\nnot " not in first

        unfit = await asked(world, response_format={"type": "json_object"})
        assert f"not       {node.address}: it does not honour response_format" in unfit

        node.disease = Disease("redirect")
        failed = await asked(world)
        assert "shift attempt_failed" in failed
        assert f"not       {node.address}: tried, bad status, status 3" in failed
        await world.chat()
        opened = await asked(world)
        assert f"breaker   {node.address}: opened by this request (trip_after)" in opened
        shifted = await asked(world)
        assert f"not       {node.address}: its breaker is open, last bad_status" in shifted
        body = await world.look("/supervisor/shifts")
        moves = shown(story.shifts(body, moment(body["shifts"][0]["since"]) or 0, StringIO()))
        assert f"shift     {MODEL} from exo to cloud" in moves
        assert f"evidence  {node.address}: tried, bad status" in moves
        [trip] = body["trips"]
        assert [each["fault"] for each in trip["evidence"]] == ["bad_status"] * 3
        refused = await asked(world, LOCAL, model=f"house-cloud/{CLOUD_MODEL}")
        assert "ended     refused after" in refused
        assert "house-cloud: the request must stay in the house" in refused
        assert "try       exo-supervisor models place house-cloud/" in refused

        node.disease = Disease()
        answer = await until(world.chat, lambda sent: _target(sent) == node.address)
        probe = await told(world, answer.headers["x-request-id"])
        assert f"{node.address}: probed by this request (probe_sent)" in probe
        assert f"{node.address}: closed by this request" in probe
        now = await world.look(f"/supervisor/models/{MODEL}")
        forecast = shown(story.model(now, StringIO()))
        assert f"goes to   {node.address} as mlx-community/" in forecast
        assert "house-cloud: it stands by: another comes before it" in forecast


def _target(answer: httpx.Response) -> str:
    return answer.headers["x-supervisor-target"]


async def test_a_house_of_two_nodes() -> None:
    """The fastest of two, a node that is down, all busy, a deadline, a client that left."""
    one, two = ExoNode(pace=0.0), ExoNode(pace=0.0)
    async with one, two, in_process(one, two, health={"interval": 0.1}) as world:
        await world.ready(2)
        assert "of 2" in await asked(world)
        assert "fastest of 2" in await asked(world)
        one.disease = two.disease = Disease("slow", seconds=60)
        late = await asked(world, {"x-supervisor-deadline": "0.3"})
        assert "ended     its deadline passed after 0.3" in late
        with anyio.move_on_after(0.3):
            await world.chat()
        left = await last(world)
        assert "ended     its client left after" in left
        assert "at work when its client left" in left
        one.disease = Disease()
        two.drop()
        await world.until("/supervisor/nodes", lambda body: _rungs(body) == ["ready", "seen"])
        down = await asked(world)
        assert f"{two.address}: down, the host is up, but nothing listens there" in down
        one.disease = Disease("status", status=503, retry_after=60)
        busy = await asked(world)
        assert f"not       {one.address}: tried, busy, status 503" in busy
        assert "its client is told overloaded" in busy


def _rungs(body: dict[str, list[dict[str, str]]]) -> list[str]:
    return sorted(each["rung"] for each in body["nodes"])


async def test_a_house_that_waits() -> None:
    """A model that is loading, and one seat for two requests."""
    loading, cloud = ExoNode(), Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    loading.disease = Disease("loading")
    async with loading, cloud, in_process(loading, cloud=cloud) as world:
        await world.until("/supervisor/nodes", lambda body: _rungs(body) == ["placed"])
        text = await asked(world)
        assert "shift model_not_ready" in text
        assert f"not       {loading.address}: not ready," in text


async def test_a_house_with_one_seat() -> None:
    old = ExoNode("A", pace=0.02)
    async with old, in_process(old, routing={"patience": 30.0}) as world:
        await world.until("/supervisor/nodes", lambda body: _rungs(body) != ["seen"])
        names = list[str]()

        async def ask() -> None:
            answer = await world.http.post(CHAT, json=asking(model=LEGACY_MODEL))
            names.append(answer.headers["x-request-id"])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            tasks.start_soon(ask)
        assert "it waited for its turn, until" in await told(world, names[1])
