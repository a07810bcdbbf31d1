"""A loopback listener asks for its token on every path but one, and passes it on to nobody."""

import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from anyio.abc import Process
from zeroconf import ServiceInfo
from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

from exo_supervisor.demo import Cloud, ExoNode
from exo_supervisor.discovery.advertise import SERVICE
from exo_supervisor.host.credentials import Secret
from exo_supervisor.host.tcp import open_tcp
from tests.app.world import (
    CHAT,
    CLOUD_MODEL,
    KEY,
    NO_TLS,
    PATIENCE,
    World,
    asking,
    events,
    exchanged,
    folder,
    in_process,
    left,
    process_of_service,
    run,
    run_all,
    toml,
)
from tests.ports import quiet_port

pytestmark = pytest.mark.real_time

TOKEN = "house-token-0123456789"
BEARER = {"authorization": f"Bearer {TOKEN}"}
ENV = {"EXO_SUPERVISOR_TOKEN": TOKEN}


def client_of(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=PATIENCE, verify=NO_TLS)


@asynccontextmanager
async def listening(
    *nodes: ExoNode, cloud: Cloud | None = None
) -> AsyncGenerator[tuple[World, httpx.AsyncClient]]:
    """Run the service with a TCP listener, and a client for it that shows nothing by itself."""
    with open_tcp("127.0.0.1:0") as opened:
        url = "http://{}:{}".format(*opened.getsockname())
        async with (
            in_process(*nodes, cloud=cloud, tcp=(opened, Secret(TOKEN, "the test"))) as world,
            client_of(url) as tcp,
        ):
            yield world, tcp


@asynccontextmanager
async def process_that_listens(
    *nodes: ExoNode, **tables: object
) -> AsyncGenerator[tuple[World, httpx.AsyncClient, Process]]:
    """Run that service as a process."""
    port = quiet_port()
    text = toml(nodes, None, {"server": {"tcp": f"127.0.0.1:{port}"}, **tables})
    with folder() as place:
        async with (
            process_of_service(place, text, env=ENV) as (world, process),
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, verify=NO_TLS
            ) as tcp,
        ):
            yield world, tcp, process


PATHS = (
    ("GET", "/v1/models"),
    ("GET", "/v1/models/x"),
    ("GET", "/readyz"),
    ("GET", "/healthz/"),
    ("GET", "//healthz"),
    ("GET", "/supervisor/status"),
    ("GET", "/supervisor/nodes"),
    ("POST", "/supervisor/breakers/x/open"),
    ("GET", "/nowhere"),
    ("GET", CHAT),
    ("POST", CHAT),
    ("OPTIONS", CHAT),
)
WRONG: tuple[list[tuple[str, str]], ...] = (
    [],
    [("authorization", "Bearer")],
    [("authorization", f"Bearer {TOKEN[:-1]}")],
    [("authorization", f"Bearer {TOKEN}x")],
    [("authorization", f"Basic {TOKEN}")],
    [("authorization", TOKEN)],
    [("authorization", f"Bearer {TOKEN}"), ("authorization", "Bearer other")],
    [("authorization", f"Bearer {TOKEN}\xe9")],
    [("cookie", f"token={TOKEN}"), ("x-api-key", f"{TOKEN}x")],
    [("x-api-key", "other"), ("x-api-key", TOKEN)],
)


async def test_without_the_token_every_path_but_one_is_401() -> None:
    async with ExoNode("C") as node, listening(node) as (world, tcp):
        await world.ready()
        for method, path in PATHS:
            url = httpx.URL(str(tcp.base_url), raw_path=path.encode())
            answer = await tcp.request(method, url)
            refused(answer)
        for headers in WRONG:
            raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
            refused(await tcp.post(CHAT, json=asking(), headers=raw))
            refused(await tcp.get("/supervisor/status", headers=raw))
        assert (await tcp.get("/healthz")).json() == {"status": "ok"}
        assert node.requests[CHAT] == 0


def refused(answer: httpx.Response) -> None:
    assert answer.status_code == 401, answer.request.url
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("bad_token", None)
    assert error["type"] == "authentication_error"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.text


async def test_a_wrong_token_reads_as_wrong_and_a_missing_one_as_missing() -> None:
    async with ExoNode("C") as node, listening(node) as (_, tcp):
        said = {
            (): "this listener asks for its token",
            (("authorization", "Bearer wrong"),): "the token that was sent is wrong",
            (("authorization", "Basic eDp5"),): "the Authorization header has another scheme",
            (("authorization", "Bearer a"), ("authorization", "Bearer b")): "more than one",
        }
        for headers, words in said.items():
            answer = await tcp.get("/v1/models", headers=list(headers))
            assert answer.status_code == 401
            assert answer.json()["error"]["message"].startswith(words)
        assert (await tcp.get("/")).json()["name"] == "exo-supervisor", "who listens is no secret"


async def test_with_the_token_it_serves_as_the_socket_does() -> None:
    async with ExoNode("C") as node, listening(node) as (world, tcp):
        await world.ready()
        for scheme in ("Bearer", "bearer", "BEARER", "Bearer "):
            headers = {"authorization": f"{scheme} {TOKEN}"}
            answer = await tcp.post(CHAT, json=asking(), headers=headers)
            assert answer.status_code == 200
        streamed = await tcp.post(CHAT, json=asking(stream=True), headers=BEARER)
        assert streamed.text.endswith("data: [DONE]\n\n")
        assert (await tcp.get(CHAT, headers=BEARER)).status_code == 405
        assert (await world.chat()).status_code == 200, "the Unix socket asks for none"


async def test_each_request_has_its_line_a_refused_one_too_and_no_user() -> None:
    async with ExoNode("C") as node, listening(node) as (world, tcp):
        await world.ready()
        await tcp.post(CHAT, json=asking())
        await tcp.post(CHAT, json=asking(), headers=BEARER)
        await world.chat()
        lines = await world.lines("request_done", 3)
        assert [(line["status"], line["code"], line["outcome"]) for line in lines] == [
            (401, "bad_token", "refused"),
            (200, None, "success"),
            (200, None, "success"),
        ]
        assert [line["client_uid"] is None for line in lines] == [True, True, False]
        assert TOKEN.encode() not in world.log()
        (started,) = events(world.log(), "service_listening")
        assert started["sockets"][1] == tcp.base_url.netloc.decode()


@pytest.mark.parametrize("target", ["http://[", "http://a:99999999/"])
async def test_a_target_that_is_no_url_is_refused_and_waits_for_nobody(target: str) -> None:
    """The answer was never sent, and the connection stayed open, of one without a token, too."""
    async with ExoNode("C") as node, listening(node) as (_, tcp):
        port = tcp.base_url.port or 0
        for said in ("", f"authorization: Bearer {TOKEN}\r\n"):
            with anyio.fail_after(PATIENCE):
                async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                    head = f"GET {target} HTTP/1.1\r\nhost: localhost\r\n{said}\r\n"
                    await stream.send(head.encode())
                    answer = b"".join([part async for part in stream])
            assert b" 400 " in answer.partition(b"\r\n")[0]


async def test_slashes_behind_a_token_in_the_path_read_as_one() -> None:
    """A base URL that ends in one, and a path that begins with one: joined as texts."""
    async with ExoNode("C") as node, listening(node) as (world, tcp):
        await world.ready()
        for path in ("/v1/models", "//v1/models", "//v1//models?a=//b"):
            url = httpx.URL(str(tcp.base_url), raw_path=f"/t/{TOKEN}{path}".encode())
            assert (await tcp.get(url)).status_code == 200, path


async def test_the_token_goes_to_nobody() -> None:
    async with (
        ExoNode("C") as node,
        Cloud(KEY, (CLOUD_MODEL,)) as cloud,
        listening(node, cloud=cloud) as (world, tcp),
    ):
        await world.ready()
        await world.lines("provider_reached")
        for route, target in (("exo", node), ("cloud", cloud)):
            headers = {**BEARER, "x-supervisor-route": route}
            assert (await tcp.post(CHAT, json=asking(), headers=headers)).status_code == 200
            assert target.last_headers
            assert TOKEN not in str(target.last_headers)


async def test_a_drain_lets_its_streams_end() -> None:
    async with (
        ExoNode("C", pace=0.05, tokens=20) as node,
        process_that_listens(node) as (world, tcp, process),
    ):
        await world.ready()
        texts: list[str] = []

        async def ask() -> None:
            texts.append((await tcp.post(CHAT, json=asking(stream=True), headers=BEARER)).text)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await node.until(lambda: node.tokens_sent > 3)
            process.terminate()
            assert await left(process) == 0
        assert texts[0].endswith("data: [DONE]\n\n")
        with pytest.raises(httpx.ConnectError):
            await tcp.get("/healthz")


async def test_without_a_token_there_is_no_service() -> None:
    with folder() as place:
        file = place / "supervisor.toml"
        await anyio.Path(file).write_text('[server]\ntcp = "127.0.0.1:11435"\n')
        words = "--config", str(file)
        for ended in await run_all(("run", *words), ("check", *words)):
            assert (ended.code, ended.out) == (78, "")
            assert "EXO_SUPERVISOR_TOKEN is not set" in ended.err
            assert "'api-token'" in ended.err
            assert "Traceback" not in ended.err


async def test_the_token_may_be_a_credential() -> None:
    port = quiet_port()
    with folder() as place:
        await anyio.Path(place / "api-token").write_text(TOKEN + "\n")
        text = toml([], None, {"server": {"tcp": f"127.0.0.1:{port}"}})
        env = {"CREDENTIALS_DIRECTORY": str(place)}
        async with (
            process_of_service(place, text, env=env),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as tcp,
        ):
            assert (await tcp.get("/v1/models", headers=BEARER)).status_code == 200
            assert (await tcp.get("/v1/models")).status_code == 401


async def test_a_port_that_is_taken_is_told_of_and_leaves_no_socket_behind() -> None:
    with folder() as place, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        file, path = place / "supervisor.toml", place / "s"
        await anyio.Path(file).write_text(f'[server]\ntcp = "{where}"\n')
        ended = await run("run", "--config", str(file), "--socket", str(path), env=ENV)
        assert ended.code == 1
        assert f"{where} cannot be listened on: address already in use" in ended.err
        assert not await anyio.Path(path).exists()


async def test_it_is_announced_only_if_asked_for() -> None:
    """One that is not to be announced runs before the other is heard."""
    group = AsyncZeroconf(interfaces=["127.0.0.1"])
    ports: set[int | None] = set()

    def hear(name: str, **_: object) -> None:
        info = ServiceInfo(SERVICE, name)
        info.load_from_cache(group.zeroconf)
        ports.add(info.port)

    async with (
        process_that_listens(discovery={"advertise": False}) as (_, quiet, _quiet),
        process_that_listens(discovery={"advertise": True}) as (_, tcp, process),
    ):
        browser = AsyncServiceBrowser(group.zeroconf, SERVICE, handlers=[hear])
        try:
            with anyio.fail_after(PATIENCE):
                while tcp.base_url.port not in ports:  # noqa: ASYNC110 - nothing tells
                    await anyio.sleep(0.01)
        finally:
            await browser.async_cancel()
            await group.async_close()
        assert quiet.base_url.port not in ports
        process.terminate()
        assert await left(process) == 0


async def test_what_is_no_http_gets_no_further_than_on_the_socket() -> None:
    async with listening() as (world, tcp):
        garbage = b"\x16\x03\x01\r\n\r\n"
        reply = await exchanged(world.path, garbage)
        async with await anyio.connect_tcp("127.0.0.1", tcp.base_url.port or 0) as client:
            await client.send(garbage)
            received = await client.receive()
        assert body_of(received) == body_of(reply)
        assert json.loads(body_of(received))["error"]["code"] == "bad_http"


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]
