"""The Python client, waiting and awaited: a whole answer, or an error that says what is wrong."""

import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from socket import AF_UNIX, SHUT_RDWR, socket
from threading import Thread
from typing import Any, TypeVar

import pytest
from anyio import to_thread

from exo_supervisor.client import (
    AnswerError,
    AsyncClient,
    Client,
    CutError,
    NoAnswerError,
    RefusedError,
)
from exo_supervisor.client.calls import read_served
from exo_supervisor.client.json_object import fields, objects
from exo_supervisor.demo import ExoNode, text
from exo_supervisor.demo.local import Local
from exo_supervisor.host.credentials import Secret
from exo_supervisor.host.tcp import open_tcp
from tests.app.world import CLOUD_MODEL, EXO_MODEL, KEY, MODEL, World, in_process

pytestmark = pytest.mark.real_time
T = TypeVar("T")
TOKEN = "the-token-of-this-listener"


def awaited(call: Callable[[], T]) -> Awaitable[T]:
    """Let a client that waits do so in a thread."""
    return to_thread.run_sync(call)


@pytest.mark.parametrize(
    ("said", "attempts"),
    [("2", 2), ("", 0), ("²", 0), ("-1", 0), ("9" * 18, 10**18 - 1), ("9" * 4_400, 0)],
)
def test_attempts_that_are_no_number_are_none(said: str, attempts: int) -> None:
    assert read_served({"x-supervisor-attempts": said}, {}).attempts == attempts


async def test_both_clients_ask_for_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """One house for all of it: whole, streamed, embedded, listed, placed, by socket and by TCP."""
    node, cloud = ExoNode("C", pace=0.0), Local(KEY, (CLOUD_MODEL,), pace=0.0)
    listener = open_tcp("127.0.0.1:0")
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    tcp = (listener, Secret(TOKEN, "the test"))
    async with node, cloud, in_process(node, cloud=cloud, tcp=tcp) as world:
        await world.ready()
        await _waiting(world, node.address)
        await _awaited(world, node.address)
        by_tcp = Client(url=url, token=TOKEN, route="cloud")
        served = (await awaited(lambda: by_tcp.chat("Hello", model=MODEL))).served
        assert (served.target, served.shift, served.attempts) == ("house-cloud", "route", 1)
        assert served.request_id
        monkeypatch.setenv("EXO_SUPERVISOR_TOKEN", TOKEN)
        assert (await AsyncClient(url=url).chat("Hello", model=MODEL)).text == text(12)
        foreign = Client(url=url, token="another")
        with pytest.raises(RefusedError) as refused:
            await awaited(foreign.status)
        assert (refused.value.status, refused.value.code) == (401, "bad_token")


async def _waiting(world: World, address: str) -> None:
    client = Client(world.path)
    whole = await awaited(lambda: client.chat("Hello", model=MODEL, max_tokens=5))
    assert (whole.text, whole.finish, whole.served.target) == (text(5), "length", address)
    assert (whole.usage["completion_tokens"], whole.tool_calls) == (5, [])

    def read() -> tuple[str, str, int]:
        stream = client.stream([{"role": "user", "content": "Hello"}], model=MODEL)
        assert "".join(stream) == stream.text == text(12)
        return stream.finish, stream.served.target, stream.tokens

    assert await awaited(read) == ("stop", address, 12)
    rows = {row["id"]: row for row in await awaited(client.models)}
    assert rows[MODEL]["state"] == "ready"
    assert (await awaited(client.status))["ready"] is True
    with pytest.raises(RefusedError) as missing:
        await awaited(lambda: client.place("no/such model"))
    assert (missing.value.status, missing.value.code) == (404, "model_not_found")
    assert (await awaited(lambda: client.place(MODEL)))["id"] == MODEL
    vectors = await awaited(lambda: client.embeddings(["a", "b"], model=CLOUD_MODEL))
    assert [len(each) > 1 for each in vectors] == [True, True]


async def _awaited(world: World, address: str) -> None:
    client = AsyncClient(world.path, privacy="local_only", deadline=60)
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
    whole = await client.chat("Hello", model=MODEL, tools=tools)
    assert (whole.text, whole.finish, len(whole.tool_calls)) == ("", "tool_calls", 1)
    stream = client.stream("Hello", model=EXO_MODEL)
    assert "".join([piece async for piece in stream]) == stream.text == text(12)
    assert (stream.finish, stream.served.target, stream.tokens) == ("stop", address, 12)
    chunks = client.stream("Hello", model=MODEL, tools=tools).chunks()
    choices = [each async for chunk in chunks for each in objects(chunk["choices"])]
    assert any(fields(choice["delta"]).get("tool_calls") for choice in choices)
    assert (await client.look("/supervisor/nodes"))["nodes"]
    with pytest.raises(RefusedError) as refused:
        await client.chat("Hello", model=CLOUD_MODEL)
    assert (refused.value.status, refused.value.code) == (403, "privacy")
    assert refused.value.request_id
    assert MODEL in [row["id"] for row in await client.models()]
    assert (await client.status())["ready"] is True
    assert (await client.place(MODEL))["id"] == MODEL


async def test_a_stream_that_is_left_is_cancelled_at_its_target() -> None:
    node = ExoNode("C", pace=0.02)
    async with node, in_process(node) as world:
        await world.ready()
        async with AsyncClient(world.path).stream("Hello", model=MODEL, max_tokens=500) as stream:
            async for _ in stream:
                break

        def leave() -> None:
            with Client(world.path).stream("Hello", model=MODEL, max_tokens=500) as stream:
                next(iter(stream))

        await awaited(leave)
        lines = await world.lines("request_done", 2)
        assert [line["outcome"] for line in lines] == ["abandoned"] * 2


# --------------------------------------------------------- what a service must not get away with

SAYS = b'data: {"choices": [{"delta": {"content": "half"}}]}\n\n'
ERROR = b'data: {"error": {"message": "it died", "code": "attempts_failed"}}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"


def chunked(*parts: bytes, end: bool = True) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return HEAD + b"transfer-encoding: chunked\r\n\r\n" + body + (b"0\r\n\r\n" if end else b"")


@pytest.fixture
def liar(tmp_path: Path) -> Iterator[Callable[[bytes], str]]:
    """Answer each connection with the same bytes, and close it."""
    plug, threads = socket(AF_UNIX), list[Thread]()
    path = str(tmp_path / "s")
    plug.bind(path)
    plug.listen()

    def start(answer: bytes) -> str:
        def run() -> None:
            while True:
                try:
                    near, _ = plug.accept()
                except OSError:  # the test is over
                    return
                with near:
                    near.recv(65536)
                    near.sendall(answer)

        threads.append(Thread(target=run))
        threads[-1].start()
        return path

    yield start
    plug.shutdown(SHUT_RDWR)
    for thread in threads:
        thread.join()
    plug.close()


BROKEN = [
    (chunked(SAYS, end=False), "broken_off"),
    (chunked(SAYS), "broken_off"),
    (chunked(SAYS, ERROR), "attempts_failed"),
    (chunked(), "broken_off"),
    (HEAD + b"content-length: 9\r\n\r\n" + SAYS, "broken_off"),
    (HEAD + b"content-length: 2\r\n\r\n{}", "broken_off"),
    (b"SSH-2.0-x\r\n\r\n", "unreachable"),
    (b"HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n", ""),
]


@pytest.mark.parametrize(("answer", "code"), BROKEN)
async def test_a_stream_never_ends_quietly(
    liar: Callable[[bytes], str], answer: bytes, code: str
) -> None:
    path = liar(answer)

    def read() -> str:
        with pytest.raises(AnswerError) as caught:
            list(Client(path).stream("Hello", model=MODEL))
        return caught.value.code

    assert await awaited(read) == code
    with pytest.raises(AnswerError) as caught:
        _ = [piece async for piece in AsyncClient(path).stream("Hello", model=MODEL)]
    assert caught.value.code == code


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"choices": []}', b"no JSON"])
async def test_a_whole_answer_without_an_answer_is_an_error(
    liar: Callable[[bytes], str], body: bytes
) -> None:
    path = liar(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    with pytest.raises(CutError):
        await awaited(lambda: Client(path).chat("Hello", model=MODEL))
    with pytest.raises(CutError):
        await AsyncClient(path).embeddings("Hello", model=MODEL)


async def test_nobody_who_listens_is_told_with_all_that_was_tried(tmp_path: Path) -> None:
    path = str(tmp_path / "none")
    with pytest.raises(NoAnswerError, match=f"{path}: no such file or directory"):
        Client(path).status()
    with pytest.raises(NoAnswerError, match=f"{path}: no such file or directory"):
        await AsyncClient(path).status()


async def test_silence_ends_with_the_timeout(tmp_path: Path) -> None:
    with socket(AF_UNIX) as plug:
        plug.bind(path := str(tmp_path / "s"))
        plug.listen()
        with pytest.raises(NoAnswerError, match="no answer in time"):
            await AsyncClient(path, timeout=0.01).status()
        with pytest.raises(NoAnswerError, match="no answer in time"):
            await awaited(Client(path, timeout=0.01).status)


HEAVY = {"Client": ("anyio", "asyncio", "ssl"), "AsyncClient": ("asyncio.subprocess", "trio")}


@pytest.mark.parametrize("name", HEAVY)
def test_its_import_is_light(name: str) -> None:
    """A program pays for what it asks for; one that waits needs no event loop."""
    heavy = {"aiohttp", "msgspec", "structlog", "zeroconf", "email", *HEAVY[name]}
    code = (
        f"import sys; from exo_supervisor.client import {name}; {name}('/s')\n"
        f"sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - our own words
