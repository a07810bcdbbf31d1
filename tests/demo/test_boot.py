"""A demo cluster boots as the real one: alone, merged, replaying; and places late."""

from typing import Any

import anyio
import httpx
import pytest

from exo_supervisor.demo import ExoCluster, ExoNode
from exo_supervisor.demo.state import state

MODEL = "mlx-community/Llama-3.2-3B-Instruct-4bit"


def joined(cluster: ExoCluster, *names: str) -> list[ExoNode]:
    """Let members join that have a name and no socket."""
    members = [ExoNode("C", cluster=cluster) for _ in names]
    for member, name in zip(members, names, strict=True):
        member.node_id = name
        cluster.join(member, name)
    return members


def told(cluster: ExoCluster, member: ExoNode) -> tuple[list[str], int, int]:
    """Give what a member tells: whom it knows, its index, how many instances it shows."""
    shown: dict[str, Any] = state(cluster, member)
    return shown["topology"]["nodes"], shown["lastEventAppliedIdx"], len(shown["instances"])


async def test_members_are_alone_then_replay_the_log_and_then_share_it() -> None:
    cluster = ExoCluster("C", (MODEL,), gather_seconds=5.0, replay_seconds=10.0)
    first, second = joined(cluster, "n1", "n2")
    await anyio.sleep(4.0)
    assert told(cluster, first)[0] == ["n1"]
    assert told(cluster, second)[:2] == (["n2"], 8)
    await anyio.sleep(1.0)
    assert told(cluster, second) == (["n1", "n2"], -1, 0), "it fell to the others' beginning"
    both, index, instances = told(cluster, first)
    assert (both, instances) == (["n1", "n2"], 1)
    await anyio.sleep(5.0)
    assert 0 < told(cluster, second)[1] < index
    await anyio.sleep(5.0)
    assert told(cluster, second) == told(cluster, first)


async def test_an_order_is_carried_out_late_under_the_id_that_it_named() -> None:
    cluster = ExoCluster("B", execute_seconds=14.0, load_seconds=3.0)
    (member,) = joined(cluster, "n1")
    for _ in range(2):
        cluster.order(MODEL, "i1")
    await anyio.sleep(13.9)
    assert cluster.standing() == []
    await anyio.sleep(0.1)
    assert [one.id for one in cluster.standing()] == ["i1"], "one id is one instance"
    assert cluster.loading(MODEL)
    await anyio.sleep(3.0)
    assert not cluster.loading(MODEL)
    assert told(cluster, member)[2] == 1


@pytest.mark.real_time
async def test_a_member_that_replays_has_no_instance_to_answer_with() -> None:
    cluster = ExoCluster("C", (MODEL,), replay_seconds=3600.0)
    asking = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
    async with (
        ExoNode("C", cluster=cluster, pace=0.0) as first,
        ExoNode("C", cluster=cluster, pace=0.0) as second,
        httpx.AsyncClient() as http,
    ):
        answers = [
            (await http.post(f"{node.url}/v1/chat/completions", json=asking)).status_code
            for node in (first, second)
        ]
        assert answers == [200, 404]


@pytest.mark.real_time
async def test_exo_keeps_the_id_of_a_previewed_instance() -> None:
    cluster = ExoCluster("B")
    async with ExoNode("B", cluster=cluster) as exo, httpx.AsyncClient(base_url=exo.url) as http:
        preview = (await http.get("/instance/previews", params={"model_id": MODEL})).json()
        wanted = preview["previews"][0]["instance"]
        assert (await http.post("/instance", json={"instance": wanted})).status_code == 200
        assert list((await http.get("/state/instances")).json()) == [
            wanted["MlxRingInstance"]["instanceId"]
        ]
