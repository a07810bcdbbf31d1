"""The page at /hud: its files, its session on TCP, and the verb that brings it to a browser."""

import hashlib
import re
import resource
import socket
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from exo_supervisor.cli.forward import PATIENCE, DeniedError, Forwarder, read, splice
from exo_supervisor.demo import ExoNode
from exo_supervisor.serve.browser import PROOF
from tests.app.test_clients import bearer, house
from tests.app.test_tcp import TOKEN, client_of, listening
from tests.app.world import CHAT, Json, World, asking, in_process

pytestmark = pytest.mark.real_time

FOLDER = Path(__file__).parents[2] / "exo_supervisor" / "hud"
STATUS, ORDER = "/supervisor/status", "/supervisor/breakers/{}/auto"


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@asynccontextmanager
async def forwarded(world: World) -> AsyncGenerator[tuple[httpx.AsyncClient, str]]:
    """Forward a world's socket, as the verb does; yields a browser and the ticket."""
    forwarder = Forwarder(world.path, "127.0.0.1")
    threading.Thread(target=forwarder.run, daemon=True).start()
    address, ticket = forwarder.url.split("/hud#t=")
    try:
        async with client_of(address) as browser:
            yield browser, ticket
    finally:
        forwarder.close()


async def let_in(browser: httpx.AsyncClient, token: str) -> dict[str, str]:
    """Change a token for a session; returns what the page sends with what acts."""
    own = {"origin": str(browser.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    begun = await browser.post("/hud/session", headers={**bearer(token), **own})
    assert begun.status_code == 200, begun.text
    assert re.search(r"; Path=/; HttpOnly; SameSite=Strict$", begun.headers["set-cookie"])
    assert begun.headers["cache-control"] == "no-store"
    return {**own, PROOF: begun.json()["proof"]}


async def test_the_page_comes_with_all_that_keeps_others_scripts_out() -> None:
    async with ExoNode("C") as node, in_process(node) as world:
        for path in ("/hud", "/hud/", "/hud/index.html", "/hud/app.js", "/hud/hud.css"):
            answer = await world.http.get(path)
            assert answer.status_code == 200, path
            said = answer.headers
            policy = dict(
                each.split(" ", 1) for each in said["content-security-policy"].split("; ")
            )
            assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
            assert policy["frame-ancestors"] == "'none'"
            assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
            assert policy["require-trusted-types-for"] == "'script'"
            assert policy["trusted-types"] == "lit-html"
            assert said["x-content-type-options"] == "nosniff"
            assert said["referrer-policy"] == "no-referrer"
            assert said["cross-origin-opener-policy"] == "same-origin"
            assert said["cross-origin-resource-policy"] == "same-origin"
        assert (await world.http.get("/hud/app.js")).headers["content-type"].startswith("text/java")
        for path in (
            "/hud/NOTICE",
            "/hud/..%2f__init__.py",
            "/hud/no.js",
            "/hud/a/b.js",
            "/hud/%00.js",
        ):
            assert code(await world.http.get(path)) == (404, "route_not_found"), path
        assert code(await world.http.post("/hud")) == (405, "method_not_allowed")
        assert code(await world.http.get("/hud/session")) == (405, "method_not_allowed")


def test_what_is_vendored_is_what_the_notice_says() -> None:
    notice = (FOLDER / "NOTICE").read_text()
    digest = hashlib.sha256((FOLDER / "lit-html.js").read_bytes()).hexdigest()
    assert f"{digest}  lit-html.js" in notice
    assert "Google LLC" in (FOLDER / "LICENSE.lit-html.txt").read_text()


def test_no_script_or_style_of_the_page_stands_in_markup() -> None:
    """What the policy forbids fails in silence: no handler, no style, no string as markup."""
    own = [*FOLDER.glob("*.js"), *FOLDER.glob("*.html")]
    for each in own:
        if each.name == "lit-html.js":
            continue
        text = each.read_text()
        for banned in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "unsafeHTML",
            "eval(",
            "style=",
        ):
            assert banned not in text, (each.name, banned)
        assert not re.search(r"<script(?! type=\"module\" src=)", text), each.name
        assert not re.search(r"\son[a-z]+=", text), each.name


async def acts(browser: httpx.AsyncClient, node: ExoNode, act: dict[str, str]) -> None:
    """See what a session is good for, and what it is not."""
    order = ORDER.format(node.address)
    assert (await browser.get(STATUS)).status_code == 200
    looks_only = {name: value for name, value in act.items() if name != PROOF}
    assert code(await browser.post(order, headers=looks_only)) == (403, "not_allowed")
    nowhere = {PROOF: act[PROOF]}
    assert code(await browser.post(order, headers=nowhere)) == (403, "not_allowed")
    foreign = {**act, "origin": "http://127.0.0.1:1"}
    assert code(await browser.post(order, headers=foreign)) == (403, "not_allowed")
    for path in ("/supervisor/tokens", "/supervisor/%74okens", "/supervisor/inspect", "/metrics"):
        assert code(await browser.get(path)) == (403, "not_allowed"), path
    assert code(await browser.post("/supervisor/tokens/default/new", headers=act))[0] == 403
    assert code(await browser.get(STATUS, headers={"host": "evil.example"}))[0] == 403
    assert code(await browser.get(STATUS, headers={"sec-fetch-site": "cross-site"}))[0] == 403
    answered = await browser.post(CHAT, json=asking(), headers=act)
    assert answered.status_code == 200
    assert answered.headers["x-supervisor-target"] == node.address


async def test_on_tcp_a_token_is_changed_for_a_session() -> None:
    async with ExoNode("C", pace=0.0) as node, listening(node) as (world, tcp):
        await world.ready()
        linked = {"sec-fetch-site": "cross-site"}
        assert (await tcp.get("/hud", headers=linked)).status_code == 200
        assert (await tcp.get("/hud", headers={"host": "evil.example"})).status_code == 403
        assert code(await tcp.get(STATUS)) == (401, "bad_token")
        assert code(await tcp.post("/hud/session", headers=bearer("wrong"))) == (401, "bad_token")
        act = await let_in(tcp, TOKEN)
        await acts(tcp, node, act)
        refused = await tcp.post(ORDER.format(node.address), headers=act)
        assert code(refused) == (403, "not_allowed"), "its client is no admin"
        assert TOKEN.encode() not in world.log()


async def test_a_session_ends_with_its_token() -> None:
    rows: list[Json] = [{"name": "office", "admin": True}]
    async with ExoNode("C", pace=0.0) as node, house(*rows, node=node) as (world, tcp):
        await world.ready()
        made = (await tcp_new(world)).json()
        act = await let_in(tcp, made["token"])
        order = ORDER.format(node.address)
        assert (await tcp.post(order, headers=act)).status_code == 200, "its client is an admin"
        await world.http.post(f"/supervisor/tokens/{made['id']}/revoke")
        assert code(await tcp.get(STATUS)) == (401, "bad_token")


async def tcp_new(world: World) -> httpx.Response:
    return await world.http.post("/supervisor/tokens/office/new")


async def test_the_verb_lets_one_browser_in_and_no_other() -> None:
    async with ExoNode("C", pace=0.0) as node, in_process(node) as world:
        await world.ready()
        async with forwarded(world) as (browser, ticket):
            assert (await browser.get("/hud")).headers["referrer-policy"] == "no-referrer"
            assert code(await browser.get(STATUS)) == (401, "bad_token")
            foreign = {**bearer(ticket), "origin": "https://evil.example"}
            assert code(await browser.post("/hud/session", headers=foreign))[0] == 403
            act = await let_in(browser, ticket)
            await acts(browser, node, act)
            assert (await browser.post(ORDER.format(node.address), headers=act)).status_code == 200
            again = await browser.post("/hud/session", headers=bearer(ticket))
            assert code(again) == (401, "bad_token"), "it works once"
            async with client_of(str(browser.base_url)) as other:
                assert code(await other.get(STATUS)) == (401, "bad_token")


async def test_a_browser_that_leaves_cancels_at_the_service() -> None:
    async with ExoNode("C", pace=0.05) as node, in_process(node) as world:
        await world.ready()
        async with forwarded(world) as (browser, ticket):
            act = await let_in(browser, ticket)
            body = asking(stream=True, max_tokens=1000)
            async with browser.stream("POST", CHAT, json=body, headers=act) as answer:
                async for _ in answer.aiter_bytes():
                    break
            [line] = await world.lines("request_done")
            assert line["outcome"] == "abandoned"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET http://evil/ HTTP/1.1\r\n\r\n", 400),
        (b"GET /hud HTTP/1.1\r\nhost: localhost\r\nhost: evil\r\n\r\n", 400),
        (b"GET /hud HTTP/1.1\r\nhost : localhost\r\n\r\n", 400),
        (b"GET /hud HTTP/1.1\r\nhost: localhost\r\nno header\r\n\r\n", 400),
        (
            b"POST /hud/session HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n",
            400,
        ),
        (b"POST /hud/session HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999\r\n\r\n", 413),
        (b"POST /hud/session HTTP/1.1\r\nhost: localhost\r\ncontent-length: +1\r\n\r\n", 400),
        (b"GET /hud HTTP/1.1\r\n\r\n", 403),
        (b"x" * 40_000, 400),
    ],
)
async def test_the_verb_reads_a_head_strictly(data: bytes, status: int, tmp_path: Path) -> None:
    forwarder = Forwarder(str(tmp_path / "none"), "127.0.0.1")
    threading.Thread(target=forwarder.run, daemon=True).start()
    host, port = forwarder.url.removeprefix("http://").split("/")[0].split(":")
    try:
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(data)
            answer = await stream.receive()
        assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    finally:
        forwarder.close()


def test_a_head_that_drips_takes_a_place_for_a_while_only() -> None:
    """Whoever sends a byte now and then would else keep the owner of the page out for hours."""
    dripping, client = socket.socketpair()
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 1.0
        dripping.sendall(b"G")
        return now

    with dripping, client, pytest.raises(DeniedError, match="did not all come"):
        read(client, clock)
    assert now <= PATIENCE + 2


def test_an_answer_that_comes_before_its_question_was_read_is_brought() -> None:
    """A service that has said it all and closed can be written to no more."""
    browser, client = socket.socketpair()
    service, answering = socket.socketpair()
    with browser, client, service:
        with answering:
            answering.sendall(b"busy")
        splice(client, service, b"POST", 2)
        client.close()
        assert browser.recv(100) == b"busy"


def test_where_no_descriptor_is_left_the_page_waits_says_so_and_goes_on(tmp_path: Path) -> None:
    warned, told = threading.Event(), list[str]()

    def warn(text: str) -> None:
        told.append(text)
        warned.set()

    forwarder = Forwarder(str(tmp_path / "none"), "127.0.0.1", warn)
    host, port = forwarder.url.removeprefix("http://").split("/")[0].split(":")
    serving = threading.Thread(target=forwarder.run, daemon=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.create_connection((host, int(port))) as browser, socket.socket() as last:
        browser.sendall(b"GET /hud HTTP/1.1\r\n\r\n")
        resource.setrlimit(resource.RLIMIT_NOFILE, (last.fileno(), hard))
        try:
            serving.start()
            warned.wait()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert browser.recv(100).startswith(b"HTTP/1.1 403 ")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            forwarder.close()
    serving.join()
    assert told == ["warning: the page waits: too many open files; it goes on by itself"]


async def test_a_service_that_is_gone_is_told_of(tmp_path: Path) -> None:
    forwarder = Forwarder(str(tmp_path / "none"), "127.0.0.1")
    threading.Thread(target=forwarder.run, daemon=True).start()
    address, ticket = forwarder.url.split("/hud#t=")
    try:
        async with client_of(address) as browser:
            await let_in(browser, ticket)
            assert code(await browser.get(STATUS)) == (502, "unreachable")
    finally:
        forwarder.close()
