"""`local = true` over real sockets: what must stay is served, and no connection leads out."""

import socket
from ipaddress import ip_address
from typing import Any

import pytest
from aiohttp import web

from exo_supervisor.app.border import border_of
from exo_supervisor.config.fault import ConfigError
from exo_supervisor.config.read import read
from exo_supervisor.demo import Cloud
from tests.app.world import CLOUD_MODEL, MODEL, in_process

pytestmark = pytest.mark.real_time

ROW = [{"name": MODEL, "cloud": [f"house/{CLOUD_MODEL}"]}]
LOCAL_ONLY = {"x-supervisor-privacy": "local_only"}
PUBLIC = "203.0.113.9"


class Ollama(Cloud):
    """Tells which of its models it hands on."""

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/tags", self.tags), *super().routes()]

    async def tags(self, _request: web.Request) -> web.Response:
        own = [{"name": CLOUD_MODEL, "model": CLOUD_MODEL}]
        away = [{"name": "alias", "model": "alias", "remote_host": "https://ollama.com:443"}]
        return web.json_response({"models": [*own, *away]})


def named(cloud: Cloud, **more: object) -> list[dict[str, object]]:
    return [{"name": "house", "base_url": cloud.base_url, "local": True, **more}]


@pytest.mark.parametrize("kind", [Cloud, Ollama])
async def test_what_must_stay_is_served_by_a_provider_of_the_house(kind: type[Cloud]) -> None:
    async with kind(None, (CLOUD_MODEL, "alias"), pace=0.0) as cloud:
        tables: dict[str, Any] = {"provider": named(cloud), "routing": {"privacy": "local_only"}}
        async with in_process(model=ROW, **tables) as world:
            await world.ready(0)
            answer = await world.chat(headers=LOCAL_ONLY)
            assert (answer.status_code, answer.headers["x-supervisor-target"]) == (200, "house")
            status = await world.look("/supervisor/status")
            assert (status["requests"]["exo"], status["requests"]["cloud"]) == (1, 0)
            assert status["ready"] is True
            [line] = await world.lines("request_done")
            assert (line["egress_bytes"], line["local"]) == (0, True)
            away = await world.chat(model="house/alias", headers=LOCAL_ONLY)
            assert (away.status_code == 200) == (kind is Cloud)


async def test_a_name_is_asked_for_at_each_connection_and_may_not_lead_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look_up, at = socket.getaddrinfo, [PUBLIC]

    def answer(host: Any, port: Any, *more: Any, **named: Any) -> Any:  # noqa: ANN401
        return look_up(at[0] if host == "rebinds.test" else host, port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    async with Cloud(None, (CLOUD_MODEL,), pace=0.0) as cloud:
        port = cloud.address.rpartition(":")[2]
        table = named(cloud, base_url=f"http://rebinds.test:{port}/v1")
        async with in_process(model=ROW, provider=table) as world:
            await world.until(
                "/supervisor/status", lambda body: body["providers"][0]["why"] == "not_local"
            )
            assert (await world.chat(headers=LOCAL_ONLY)).status_code == 503
            assert cloud.requests.total() == 0


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("127.0.0.1", True), ("::1", True), ("10.1.2.3", True), ("192.168.0.9", True),
        ("172.31.0.1", True), ("100.64.0.1", True), ("fe80::1", True), ("fd00::1", True),
        ("::ffff:192.168.0.9", True), ("8.8.8.8", False), (PUBLIC, False), ("2001:db8::1", False),
        ("::ffff:8.8.8.8", False), ("0.0.0.0", False), ("64:ff9b::c0a8:1", False),
        ("198.51.100.7", True),
    ],
)  # fmt: skip
async def test_where_a_connection_may_end(*, address: str, inside: bool) -> None:
    text = '[discovery]\nranges = ["198.51.100.0/24"]'
    border = border_of(read(text, file="f", environ={}).config)
    why = await border.not_local(ip_address(address), 80)
    assert why == (None if inside else "not_local")


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ('base_url = "https://api.example/v1"', ""),
        ('base_url = "http://127.0.0.1:1/v1"', ""),
        ('base_url = "http://[fd00::1]:1/v1"', ""),
        ('base_url = "http://198.51.100.7/v1"', ""),
        ('preset = "ollama"', ""),
        ('base_url = "http://8.8.8.8/v1"', "public address"),
        ('base_url = "http://[2001:db8::1]/v1"', "public address"),
        ('preset = "ollama"\nproxy = "http://proxy.example:3128"', "leads out of it"),
    ],
)
def test_what_leads_out_of_the_house_is_a_fault_of_the_file(rows: str, fault: str) -> None:
    text = '[discovery]\nranges = ["198.51.100.0/24"]\n'
    text += f'[[provider]]\nname = "p"\nlocal = true\n{rows}\n'
    if not fault:
        assert read(text, file="f", environ={}).config.providers[0].local
        return
    with pytest.raises(ConfigError, match=fault):
        read(text, file="f", environ={})
