"""A page in somebody's browser: it may know the token, and cannot hide where it comes from."""

from collections.abc import AsyncGenerator

import httpx
import pytest

from exo_supervisor.demo import ExoNode
from tests.app.test_tcp import BEARER, TOKEN, listening
from tests.app.world import CHAT, World, asking

pytestmark = pytest.mark.real_time

Opened = tuple[World, httpx.AsyncClient, ExoNode]


@pytest.fixture
async def opened() -> AsyncGenerator[Opened]:
    async with ExoNode("C", pace=0.0) as node, listening(node) as (world, tcp):
        await world.ready()
        yield world, tcp, node


async def test_a_leaked_token_is_of_no_use_to_a_page(opened: Opened) -> None:
    _, tcp, node = opened
    own = str(tcp.base_url).rstrip("/")
    foreign = [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:1"},
        {"origin": f"{own}.evil.example"},
        {"host": "evil.example"},
        {"host": "evil.example:80"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "localhost.evil.example"},
        {"host": "10.0.0.1"},
        {"host": "[::2]"},
        {"host": "[::1"},
        {"host": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ]
    for headers in foreign:
        for path in (CHAT, f"/t/{TOKEN}{CHAT}"):
            answer = await tcp.post(path, json=asking(), headers={**BEARER, **headers})
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "not_allowed")
        looked = await tcp.get("/healthz", headers=headers)
        assert looked.status_code == 403, headers
    assert node.requests[CHAT] == 0
    ours = {**BEARER, "origin": own, "sec-fetch-site": "same-origin"}
    assert (await tcp.post(CHAT, json=asking(), headers=ours)).status_code == 200


async def test_without_a_token_a_page_learns_who_listens_and_no_more(opened: Opened) -> None:
    _, tcp, node = opened
    for path in ("/healthz", "/"):
        assert (await tcp.get(path)).status_code == 200
    for path in ("/supervisor/status", "/v1/models", "/metrics", "/t/x/v1/models"):
        assert (await tcp.get(path)).status_code == 401, path
    assert (await tcp.post(CHAT, json=asking())).status_code == 401
    assert node.requests[CHAT] == 0


async def test_the_three_ways_to_show_the_token(opened: Opened) -> None:
    world, tcp, _ = opened
    for headers, prefix in (
        (BEARER, ""),
        ({"x-api-key": TOKEN}, ""),
        ({}, f"/t/{TOKEN}"),
        ({"authorization": "Bearer whatever-the-client-sends"}, f"/t/{TOKEN}"),
    ):
        answer = await tcp.post(f"{prefix}{CHAT}", json=asking(), headers=headers)
        assert answer.status_code == 200, (headers, prefix)
        listed = await tcp.get(f"{prefix}/v1/models?x=1", headers=headers)
        assert listed.json()["object"] == "list"
    assert TOKEN.encode() not in world.log()


async def test_a_token_shows_what_one_knows_and_not_who_one_is(opened: Opened) -> None:
    _, tcp, node = opened
    path = f"/supervisor/breakers/{node.address}/open"
    answer = await tcp.post(path, headers=BEARER)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "not_allowed")
