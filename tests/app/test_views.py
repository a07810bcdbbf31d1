"""The service explains itself: breakers, nodes, models and its own state, as they change."""

import re

import anyio
import pytest

from exo_supervisor import __version__
from exo_supervisor.demo import Cloud, Disease, ExoNode
from tests.app.world import CHAT, CLOUD_MODEL, EXO_MODEL, KEY, MODEL, Json, World, in_process, until

pytestmark = pytest.mark.real_time

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def pair() -> tuple[ExoNode, Cloud]:
    return ExoNode("C", pace=0.0), Cloud(KEY, (CLOUD_MODEL,), pace=0.0)


async def breaker(world: World, target: str, model: str | None = None) -> Json:
    rows = (await world.look("/supervisor/breakers"))["breakers"]
    (row,) = [row for row in rows if (row["target"], row["model"]) == (target, model)]
    return row


async def test_a_breaker_opens_shifts_traffic_probes_and_closes() -> None:
    """Three dropped connections open it; after its rest one probe closes it again."""
    node, cloud = pair()
    async with (
        node,
        cloud,
        in_process(node, cloud=cloud, breaker={"rest": 0.5}, health={"interval": 60.0}) as world,
    ):
        await world.ready()
        node.disease = Disease("redirect")
        for _ in range(3):
            assert (await world.chat()).headers["x-supervisor-shift"] == "attempt_failed"
        row = await breaker(world, node.address)
        assert (row["state"], row["reason"], row["forced"]) == ("open", "trip_after", False)
        assert INSTANT.fullmatch(row["since"])
        assert INSTANT.fullmatch(row["until"])
        assert row["until"] > row["since"]
        tried = node.requests[CHAT]
        shifted = await world.chat()
        assert shifted.headers["x-supervisor-shift"] == "breaker_open"
        assert shifted.headers["x-supervisor-attempts"] == "1"
        assert node.requests[CHAT] == tried
        node.disease = Disease()
        await until_exo_answers(world, node)
        row = await breaker(world, node.address)
        assert (row["state"], row["failures"]) == ("closed", 0)
        moves = await world.lines("traffic_shifted", 2)
        assert [(move["from"], move["to"], move["reason"]) for move in moves] == [
            ("exo", "cloud", "attempt_failed"),
            ("cloud", "exo", "recovered"),
        ]


async def until_exo_answers(world: World, node: ExoNode) -> None:
    async def target() -> str:
        return (await world.chat()).headers["x-supervisor-target"]

    await until(target, lambda found: found == node.address)


async def test_an_operator_forces_a_breaker_and_gives_it_back() -> None:
    node, cloud = pair()
    async with node, cloud, in_process(node, cloud=cloud) as world:
        await world.ready()
        opened = (await world.http.post(f"/supervisor/breakers/{node.address}/open")).json()
        assert (opened["was"], opened["changed"]) == ("closed", True)
        assert opened["breaker"]["state"] == "open"
        assert (opened["breaker"]["forced"], opened["breaker"]["reason"]) == (True, "operator")
        assert (await world.chat()).headers["x-supervisor-shift"] == "breaker_open"
        again = (await world.http.post(f"/supervisor/breakers/{node.address}/open")).json()
        assert again["changed"] is False
        for verb in ("close", "auto"):
            done = (await world.http.post(f"/supervisor/breakers/{node.address}/{verb}")).json()
            assert done["breaker"]["state"] == "closed"
            assert done["breaker"]["forced"] == (verb == "close")
            assert (await world.chat()).headers["x-supervisor-target"] == node.address


async def test_an_operator_names_a_model_by_the_clients_name() -> None:
    node, cloud = pair()
    async with node, cloud, in_process(node, cloud=cloud) as world:
        await world.ready()
        for target, model in ((node.address, EXO_MODEL), ("house-cloud", CLOUD_MODEL)):
            place = f"/supervisor/breakers/{target}/open?model={MODEL}"
            row = (await world.http.post(place)).json()["breaker"]
            assert (row["model"], row["state"]) == (model, "open")
        refused = await world.chat()
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_target")
        assert int(refused.headers["retry-after"]) >= 1


NODE = set(
    "id url generation version cluster rung since why advice models breaker".split()  # noqa: SIM905
)
BREAKER = {"target", "model", "state", "forced", "reason", "since", "until", "failures"}
WHERE = {"target", "model", "ready", "why", "progress", "detail"}
STATUS = set(
    "version uptime ready config advice looked nodes providers requests not_yet".split()  # noqa: SIM905
)
RUNGS = {"seen", "reachable", "identified", "clustered", "placed", "ready"}


async def test_every_view_has_the_shape_that_scripts_rely_on() -> None:
    """Keys and sets of values, over nodes of each generation, a dead one, and a cloud."""
    nodes = [ExoNode("A"), ExoNode("B"), ExoNode("C"), ExoNode("C", ()), ExoNode("C")]
    cloud = Cloud(KEY, (CLOUD_MODEL,))
    async with nodes[0], nodes[1], nodes[2], nodes[3], nodes[4], cloud:
        await nodes[4].stop()
        async with in_process(*nodes, cloud=cloud) as world:
            await world.ready(3)
            await world.lines("provider_reached")
            found = {row["id"]: row for row in (await world.look("/supervisor/nodes"))["nodes"]}
            rows = [found[node.address] for node in nodes]
            assert [row["generation"] for row in rows] == ["A", "B", "C", "C", None]
            assert [row["rung"] for row in rows] == ["ready", "ready", "ready", "clustered", "seen"]
            for row, node in zip(rows, nodes, strict=True):
                assert set(row) >= NODE
                assert (row["id"], row["url"]) == (node.address, node.url)
                assert set(row["breaker"]) == {"state", "reason", "since", "until"}
                assert INSTANT.fullmatch(row["since"])
                assert (row["why"] is None) == (row["rung"] == "ready")
            assert rows[2]["models"] == [{"id": EXO_MODEL, "ready": True}]
            assert rows[3]["advice"]
            assert rows[4]["advice"]
            for row in (await world.look("/supervisor/breakers"))["breakers"]:
                assert set(row) >= BREAKER
                assert row["state"] in ("closed", "open", "half_open")
            models = {row["id"]: row for row in (await world.look("/supervisor/models"))["models"]}
            assert {name: row["state"] for name, row in models.items()} == {
                MODEL: "ready",
                EXO_MODEL: "ready",
                "llama-3.2-1b": "ready",
                CLOUD_MODEL: "cloud",
            }
            assert all(set(place) == WHERE for row in models.values() for place in row["where"])
            assert len(models[MODEL]["where"]) == 4
            status = await world.look("/supervisor/status")
            assert set(status) >= STATUS
            assert (status["version"], status["ready"], status["config"]) == (
                __version__,
                True,
                None,
            )
            assert set(status["nodes"]) == RUNGS
            assert status["nodes"]["ready"] == 3
            (provider,) = status["providers"]
            assert (provider["name"], provider["state"]) == ("house-cloud", "ready")
            assert (provider["why"], provider["keys"], provider["refused"]) == (None, 1, [])
            assert status["looked"]
            assert status["requests"]["in_flight"] == 0


async def test_what_loads_is_not_ready_and_says_how_far_it_is() -> None:
    node = ExoNode("C")
    node.disease = Disease("loading")
    async with node, in_process(node) as world:
        body = await world.until(
            "/supervisor/models", lambda body: body["models"][0]["state"] == "loading"
        )
        (place,) = body["models"][0]["where"]
        assert (place["ready"], place["why"]) == (False, "loading")
        assert place["progress"]
        ready = await world.http.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"ready": False})
        refused = await world.chat()
        assert refused.status_code == 503
        node.disease = Disease()
        await world.ready()
        assert (await world.http.get("/readyz")).status_code == 200
        assert (await world.chat()).status_code == 200


async def test_it_is_healthy_before_it_is_ready_and_head_answers_as_get_does() -> None:
    async with in_process("http://127.0.0.1:9") as world:
        assert (await world.http.get("/healthz")).json() == {"status": "ok"}
        assert (await world.http.get("/readyz")).status_code == 503
        await world.lines("first_look_done")  # so that nothing changes between a GET and a HEAD
        for path in ("/", "/health", "/healthz", "/readyz", "/v1/models", "/supervisor/status"):
            got, head = await world.http.get(path), await world.http.head(path)
            assert head.status_code == got.status_code
            assert head.content == b""
            assert head.headers["content-type"] == "application/json"
        status = await world.until("/supervisor/status", lambda status: status["advice"])
        assert status["ready"] is False


async def test_it_says_who_it_is_and_names_the_route_that_was_meant() -> None:
    async with in_process("http://127.0.0.1:9") as world:
        who = await world.look("/")
        assert (who["name"], who["version"]) == ("exo-supervisor", __version__)
        for path in who["routes"]:
            async with world.http.stream("GET", path) as answer:  # one of them has no end
                assert answer.status_code in (200, 405, 503)
        for wrong, meant in {
            "/chat/completions": CHAT,
            "/v1/v1/models": "/v1/models",
            "/supervisor/stats": "/supervisor/status",
            "/x": "/v1/models",
        }.items():
            answer = await world.http.get(wrong)
            assert answer.status_code == 404
            assert meant in answer.json()["error"]["message"]
        assert "no such model" in (await world.http.get("/v1/models/x")).json()["error"]["message"]


async def test_a_404_finds_near_names_across_case_and_owner_and_what_can_be_placed() -> None:
    node = ExoNode("C", ())
    async with node, in_process(node) as world:
        await world.until("/supervisor/nodes", lambda body: body["nodes"][0]["rung"] == "clustered")
        card = "mlx-community/Qwen3-0.6B-4bit"

        async def refused() -> str:
            message: str = (await world.chat(model="qwen3-0.6b-4BIT")).json()["error"]["message"]
            return message

        await until(refused, lambda message: f"Exo could place: {card}" in message)
        answer = await world.chat(model=MODEL.upper())
        assert f"similar: {MODEL}" in answer.json()["error"]["message"]


async def test_what_is_under_way_is_shown() -> None:
    node = ExoNode("C", pace=0.0)
    async with node, in_process(node) as world:
        await world.ready()
        node.disease = Disease("prefill_stalls", seconds=0.05)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.chat)
            body = await world.until(
                "/supervisor/requests",
                lambda body: body["requests"] and body["requests"][0]["prefill"],
            )
            [row] = body["requests"]
            assert (row["model"], row["state"], row["target"]) == (MODEL, "asked", node.address)
            assert row["prefill"]["total"] > 0
            tasks.cancel_scope.cancel()


async def test_requests_wait_for_the_first_look_rather_than_go_to_the_cloud() -> None:
    node, cloud = pair()
    async with node, cloud:
        node.disease = Disease("silent")
        async with in_process(node, cloud=cloud, health={"timeout": 5.0}) as world:
            answers: list[str] = []

            async def ask() -> None:
                answers.append((await world.chat()).headers["x-supervisor-target"])

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                await world.until(
                    "/supervisor/status", lambda body: body["requests"]["in_flight"] == 1
                )
                assert (await world.http.get("/readyz")).status_code == 503
                node.disease = Disease()
                await node.stop()
                await node.start()
            assert answers


async def test_what_a_model_can_is_told_in_both_dialects() -> None:
    """Exo's cards say it, and they are read beside the first state."""
    async with ExoNode("C", pace=0.0) as node, in_process(node) as world:
        await world.ready()

        def told(body: Json) -> bool:
            return any(card.get("capabilities") == ["text"] for card in body["data"])

        await world.until("/v1/models", told)
        tags = (await world.look("/api/tags"))["models"]
        assert ["completion"] in [card.get("capabilities") for card in tags]
