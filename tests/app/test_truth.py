"""The service knows before a request does that a model cannot answer any more, and says why."""

import anyio
import pytest

from exo_supervisor.demo import Cloud, Disease, ExoCluster, ExoNode
from tests.app.world import CLOUD_MODEL, EXO_MODEL, KEY, MODEL, Json, events, in_process
from tests.budget import budget

pytestmark = pytest.mark.real_time

QUICK = {"interval": 1.0, "ready_interval": 0.5}


def at_exo(body: Json) -> list[tuple[bool, str]]:
    [row] = [row for row in body["models"] if row["id"] == MODEL]
    return [(at["ready"], at["why"]) for at in row["where"] if at["target"] != "house-cloud"]


@budget(8.0)
async def test_a_shards_host_that_is_killed_takes_the_model_away_in_seconds(within: float) -> None:
    """Exo itself goes on calling it ready for 30 s; no request has to find out."""
    cluster = ExoCluster("C")
    async with (
        ExoNode(cluster=cluster, pace=0.0) as first,
        ExoNode(cluster=cluster, pace=0.0) as second,
        Cloud(KEY, (CLOUD_MODEL,), pace=0.0) as cloud,
        in_process(first, second, cloud=cloud, health=QUICK) as world,
    ):
        cluster.place(EXO_MODEL, ready_at=0.0, hosts=2)
        await world.ready(2)
        began = anyio.current_time()
        await second.stop()
        shown = await world.until("/supervisor/models", lambda body: at_exo(body)[0][0] is False)
        assert at_exo(shown) == [(False, "host_down")]
        assert anyio.current_time() - began < within
        assert list(cluster.standing()), "Exo has not noticed"
        answer = await world.chat()
        assert answer.headers["x-supervisor-target"] == "house-cloud"
        assert answer.headers["x-supervisor-shift"] == "model_not_ready"
        assert answer.headers["x-supervisor-attempts"] == "1"
        assert [line["model"] for line in await world.lines("model_lost")] == [EXO_MODEL]


async def test_a_silent_host_is_read_from_the_state_of_the_others() -> None:
    """The supervisor does not even know the host: the state tells that its master misses it."""
    cluster = ExoCluster("C")
    async with (
        ExoNode(cluster=cluster, pace=0.0) as first,
        ExoNode(cluster=cluster, pace=0.0) as second,
        in_process(first, health=QUICK) as world,
    ):
        cluster.place(EXO_MODEL, ready_at=0.0, hosts=2)
        await world.ready()
        await second.stop()
        second.left_at = anyio.current_time() - 16.0
        shown = await world.until("/supervisor/models", lambda body: at_exo(body)[0][0] is False)
        assert at_exo(shown) == [(False, "host_silent")]


async def test_an_election_is_named_with_what_it_cost_and_machines_are_shown() -> None:
    async with ExoNode(pace=0.0) as node, in_process(node, health=QUICK) as world:
        await world.ready()
        shown = await world.until("/supervisor/nodes", lambda body: body["nodes"][0]["capacity"])
        [seen] = shown["nodes"]
        assert seen["capacity"]["memory_total"] == 64 * 2**30
        assert seen["capacity"]["memory_available"] == 48 * 2**30
        count = len(node.cluster.instances)
        node.disease = Disease("re_election", seconds=60.0)
        [elected] = await world.lines("cluster_re_elected")
        assert elected["models_lost"] == count > 0
        assert elected["index_after"] == -1
        shown = await world.look("/supervisor/nodes")
        assert shown["nodes"][0]["why"].startswith(f"re-elected, {count} model")
        assert not events(world.log(), "cluster_frozen")
