"""Who asks, and what they may: a rule by the kernel's word or by a token narrows each request."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

from exo_supervisor.demo import Cloud, ExoNode
from exo_supervisor.host.credentials import Secret
from exo_supervisor.host.tcp import open_tcp
from tests.app.world import (
    CHAT,
    CLOUD_MODEL,
    EXO_MODEL,
    KEY,
    MODEL,
    NO_TLS,
    PATIENCE,
    World,
    asking,
    folder,
    in_process,
    run_all,
)

pytestmark = pytest.mark.real_time

SERVER, KIDS, OFFICE = "token-of-the-listener", "token-of-the-kids", "token-of-the-office"
ME = [os.geteuid()]
Row = dict[str, Any]


@asynccontextmanager
async def house(
    *clients: Row,
    node: ExoNode,
    cloud: Cloud | None = None,
    **tables: Any,  # noqa: ANN401 - tables of TOML
) -> AsyncGenerator[tuple[World, httpx.AsyncClient]]:
    """Run the service for these clients, with a listener on TCP and one who asks there."""
    with open_tcp("127.0.0.1:0") as opened:
        url = "http://{}:{}".format(*opened.getsockname())
        tokens = {"kids": Secret(KIDS, "the test"), "office": Secret(OFFICE, "the test")}
        named = {each["name"] for each in clients}
        async with (
            in_process(
                node,
                cloud=cloud,
                tcp=(opened, Secret(SERVER, "the test")),
                client=list(clients),
                client_tokens={name: tokens[name] for name in tokens.keys() & named},
                **tables,
            ) as world,
            httpx.AsyncClient(base_url=url, timeout=PATIENCE, verify=NO_TLS) as tcp,
        ):
            await world.ready()
            yield world, tcp


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_the_log_names_the_client_of_a_user_and_of_a_token() -> None:
    kids, office = {"name": "kids"}, {"name": "office", "uid": ME}
    async with ExoNode("C") as node, house(kids, office, node=node) as (world, tcp):
        await world.chat(bearer(KIDS))  # what is sent over the Unix socket tells nothing
        for token in (SERVER, KIDS, OFFICE):
            assert (await tcp.post(CHAT, json=asking(), headers=bearer(token))).status_code == 200
        lines = await world.lines("request_done", 4)
        assert [line["client"] for line in lines] == ["office", "default", "kids", "office"]
        for token in (SERVER, KIDS, OFFICE):
            assert token.encode() not in world.log()


async def test_a_client_asks_for_its_own_models_alone() -> None:
    rows = [
        {"name": MODEL, "exo": [EXO_MODEL]},
        {"name": "other", "exo": [EXO_MODEL]},
    ]
    kids = {"name": "kids", "uid": ME, "models": ["oth*"]}
    async with ExoNode("C") as node, house(kids, node=node, model=rows) as (world, _):
        assert (await world.chat(model="other")).status_code == 200
        answer = await world.chat()
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "not_allowed"


@pytest.mark.parametrize("field", ["models", "fallback_models", "fallbacks", "preset"])
async def test_a_client_held_to_its_models_has_no_broker_choose_others(field: str) -> None:
    kids = {"name": "kids", "uid": ME, "models": [MODEL]}
    async with (
        ExoNode("C") as node,
        Cloud(KEY, (CLOUD_MODEL,)) as cloud,
        house(kids, node=node, cloud=cloud) as (world, tcp),
    ):
        for path, more in ((CHAT, {}), ("/v1/messages", {"max_tokens": 9})):
            body = asking(**{field: ["vendor/dear"]}, **more)
            answer = await world.http.post(path, json=body)
            assert (answer.status_code, field in answer.text) == (403, True)
        answer = await tcp.post(CHAT, json=body, headers=bearer(SERVER))
        assert answer.status_code != 403, "who may ask for all may have others chosen"


async def test_what_a_client_sends_stays_in_the_house_by_its_rule() -> None:
    kids = {"name": "kids", "privacy": "local_only"}
    async with (
        ExoNode("C") as node,
        Cloud(KEY, (CLOUD_MODEL,)) as cloud,
        house(kids, node=node, cloud=cloud) as (world, tcp),
    ):
        await world.lines("provider_reached")
        await node.stop()
        await world.ready(0)
        answer = await tcp.post(CHAT, json=asking(), headers=bearer(KIDS))
        assert answer.json()["error"]["code"] == "local_only_unavailable"
        assert (await world.chat()).headers["x-supervisor-target"] == "house-cloud"


async def test_what_a_client_may_ask_for_is_all_that_its_lists_show() -> None:
    rows = [
        {"name": "small", "exo": [EXO_MODEL], "aliases": ["fast"]},
        {"name": "other", "exo": [EXO_MODEL]},
    ]
    kids = {"name": "kids", "models": ["small"]}
    async with ExoNode("C") as node, house(kids, node=node, model=rows) as (world, tcp):
        listed = (await tcp.get("/v1/models", headers=bearer(KIDS))).json()["data"]
        assert {each["id"] for each in listed} == {"small", "fast"}
        tags = (await tcp.get("/api/tags", headers=bearer(KIDS))).json()["models"]
        assert {each["name"] for each in tags} == {"small", "fast"}
        ready = (await tcp.get("/api/ps", headers=bearer(KIDS))).json()["models"]
        assert {each["name"] for each in ready} == {"small"}
        assert {each["id"] for each in (await world.look("/v1/models"))["data"]} >= {"other"}
        for name, status in (("small", 200), ("fast", 200), ("other", 403), ("smal", 403)):
            shown = await tcp.get(f"/v1/models/{name}", headers=bearer(KIDS))
            of_ollama = await tcp.post("/api/show", headers=bearer(KIDS), json={"model": name})
            assert (shown.status_code, of_ollama.status_code) == (status, status), name


@pytest.mark.parametrize("admin", [False, True])
async def test_a_token_gives_orders_where_its_row_says_so(admin: bool) -> None:  # noqa: FBT001 - a parameter
    async with (
        ExoNode("C") as node,
        house({"name": "kids", "admin": admin}, node=node) as (world, tcp),
    ):
        path = f"/supervisor/breakers/{node.address}/auto"
        answer = await tcp.post(path, headers=bearer(KIDS))
        assert answer.status_code == (200 if admin else 403)
        [line] = await world.lines("order_given" if admin else "order_refused")
        assert (line["client"], line["client_uid"]) == ("kids", None)
        assert (await tcp.post(path, headers=bearer(SERVER))).status_code == 403


@pytest.mark.parametrize(
    "path", ["breakers/{}/open", "nodes/{}/trust", "models/{}/place", "models/{}/remove"]
)
async def test_what_was_pasted_in_the_place_of_a_name_is_in_no_line(path: str) -> None:
    async with ExoNode("C") as node, house({"name": "kids", "admin": True}, node=node) as (w, tcp):
        answer = await tcp.post(f"/supervisor/{path.format(KIDS)}", headers=bearer(KIDS))
        assert answer.status_code in (400, 404)
        [line] = await w.lines("order_given")
        assert "(unknown)" in line["order"]
        assert KIDS.encode() not in w.log()


async def test_over_its_rate_a_client_is_told_when_to_come_again_in_its_dialect() -> None:
    kids = {"name": "kids", "rate": {"requests": 2}}
    async with ExoNode("C", pace=0.0) as node, house(kids, node=node) as (world, tcp):
        for _ in range(2):
            assert (await tcp.post(CHAT, json=asking(), headers=bearer(KIDS))).status_code == 200
        told = {
            CHAT: ("error", "code", "rate_limited"),
            "/v1/messages": ("error", "type", "rate_limit_error"),
            "/api/chat": ("error", "", ""),
        }
        for path, (outer, inner, said) in told.items():
            answer = await tcp.post(path, json=asking(max_tokens=9), headers=bearer(KIDS))
            assert answer.status_code == 429
            assert 1 <= int(answer.headers["retry-after"]) <= 61
            assert "x-should-retry" not in answer.headers
            body = answer.json()[outer]
            assert not inner or body[inner] == said
        assert (await world.chat()).status_code == 200, "others are not held to it"
        used = (await world.look("/supervisor/clients"))["clients"]
        assert [(each["name"], each["requests"]) for each in used] == [("kids", 5), ("default", 1)]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ('uid = ["nobody-here-9"]', "uid of client 'kids' names 'nobody-here-9'"),
        ('gid = ["no-group-here-9"]', "there is no group 'no-group-here-9'"),
        ('token_env = "KIDS_TOKEN"', "KIDS_TOKEN holds a space"),
    ],
)
async def test_a_client_who_is_nobody_keeps_the_service_from_its_start(row: str, told: str) -> None:
    with folder() as place:
        file = place / "supervisor.toml"
        await anyio.Path(file).write_text(f'[[client]]\nname = "kids"\n{row}\n')
        words = ("--config", str(file), "--socket", str(place / "s"))
        for ended in await run_all(
            ("run", *words), ("check", *words), env={"KIDS_TOKEN": "two words of a secret"}
        ):
            assert ended.code == 78
            assert told in ended.err
            assert "two words" not in ended.err + ended.out
