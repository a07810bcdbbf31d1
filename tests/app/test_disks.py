"""What Exo says of disks and runners is seen through the whole service, with what to do."""

from typing import Any

import pytest
from anyio import to_thread

from exo_supervisor.cli.awaited import awaited
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.client.chat import Chat
from exo_supervisor.demo import HEALTHY, Disease, ExoCluster, ExoNode
from exo_supervisor.demo.state import DISK_FULL
from tests.app.world import EXO_MODEL, MODEL, SOON, World, asking, in_process, run

pytestmark = [pytest.mark.real_time, pytest.mark.alone]
ROW = f"/supervisor/models/{MODEL}"
NO_CARD = "somebody/a-model-of-their-own"
HUB = "Exo looks it up on the hub"


async def shown(world: World, *words: str) -> str:
    """Give what a person reads of the models."""
    ended = await run(*words, "--socket", world.path)
    assert ended.code == 0, ended.err
    return " ".join(ended.out.split())


async def becomes(world: World, state: str) -> dict[str, Any]:
    """Wait until the model is in a state, and give its row."""
    body = await world.until(ROW, lambda body: body["model"]["state"] == state)
    row: dict[str, Any] = body["model"]
    return row


@pytest.mark.parametrize(
    ("disease", "said", "words"),
    [
        (Disease("download_failed"), "its download failed", DISK_FULL),
        (Disease("runner_failed"), "its runner failed", "Terminated (signal=9 (Killed))"),
    ],
)
async def test_what_failed_for_good_says_why_and_what_to_do(
    disease: Disease, said: str, words: str
) -> None:
    async with ExoNode("C") as exo, in_process(exo) as world:
        await world.ready()
        exo.disease = disease
        (where,) = (await becomes(world, "failed"))["where"]
        assert (where["ready"], where["detail"]) == (False, words)
        advice = (await world.look("/supervisor/status"))["advice"]
        order = f"exo-supervisor models remove {EXO_MODEL}, then place"
        assert f"{EXO_MODEL} at {exo.address}: {said} ({words}): {order}" in advice
        answer = await world.chat()
        assert answer.status_code == 503, "it is known, and cannot serve now"
        exo.disease = HEALTHY
        await world.ready()


async def test_a_download_shows_percent_and_bytes_as_it_goes_on() -> None:
    async with ExoNode("C") as exo, in_process(exo) as world:
        await world.ready()
        for percent, told in ((25, "25 % (0.4 of 1.7 GiB)"), (75, "75 % (1.3 of 1.7 GiB)")):
            exo.disease = Disease("downloading", percent=percent)

            def moved(body: dict[str, Any], told: str = told) -> bool:
                return any(each["progress"] == f"downloading {told}" for each in where(body))

            await world.until(ROW, moved)
            assert (await becomes(world, "loading"))["instances"] == 1
        assert "loading" in await shown(world, "models")
        assert "downloading 75 % (1.3 of 1.7 GiB)" in await shown(world, "models")


def where(body: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body["model"]["where"]
    return found


async def test_what_is_removed_stays_on_its_disk() -> None:
    async with ExoNode("C") as exo, in_process(exo) as world:
        await world.ready()
        assert (await world.http.post(f"{ROW}/remove")).status_code == 200
        assert (await becomes(world, "downloaded"))["where"] == []


async def test_that_exo_asks_the_hub_is_said_to_all_who_wait() -> None:
    """A model without a card is looked up first, for 11 s offline: it is placed all the same."""
    rule = [{"name": MODEL, "exo": [NO_CARD], "on_demand": True}]
    async with (
        ExoNode("C", cluster=ExoCluster("C"), pace=0.0) as exo,
        in_process(exo, waits=SOON, model=rule, server={"head": 0.3}) as world,
    ):
        exo.disease = Disease("hub_lookup", seconds=11.0)
        await world.until("/supervisor/nodes", lambda body: body["nodes"][0]["rung"] == "clustered")
        async with world.http.stream("POST", "/v1/chat/completions", json=asking(stream=True)):
            row = (await world.until(ROW, lambda body: body["model"]["why"] == HUB))["model"]
            assert (row["state"], row["placement"]["state"]) == ("loading", "asked")
            assert f"no, {HUB}" in await shown(world, "models")
            arguments = Arguments(verb="chat", words=(), socket=world.path)
            waits = await to_thread.run_sync(awaited, arguments, MODEL, Chat())
            assert f"waiting: the model is being placed, {HUB} (" in waits
        exo.disease = HEALTHY
        assert (await becomes(world, "ready"))["why"] is None
