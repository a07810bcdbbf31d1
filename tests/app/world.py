"""The real service before demo servers, in this process or in one of its own."""

import asyncio
import json
import os
import shutil
import ssl
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from io import BytesIO
from pathlib import Path
from socket import socket
from subprocess import DEVNULL, PIPE
from typing import IO, Any, TypeVar, cast

import anyio
import httpx
from anyio import to_thread
from anyio.abc import Process
from msgspec import Struct
from openai import AsyncOpenAI

from exo_supervisor.app.inputs import Inputs
from exo_supervisor.app.service import serve
from exo_supervisor.config.literal import literal
from exo_supervisor.config.read import Settings, read
from exo_supervisor.config.schema import Provider
from exo_supervisor.core.policy import WAITS, Waits
from exo_supervisor.demo import Cloud, ExoNode, MessagesCloud
from exo_supervisor.host import logs, unix
from exo_supervisor.host.credentials import Secret
from tests.budget import EVER
from tests.demo.raw import Reply, taken_apart

MODEL = "house-model"
EXO_MODEL = "mlx-community/Llama-3.2-3B-Instruct-4bit"
LEGACY_MODEL = "llama-3.2-1b"
CLOUD_MODEL = "vendor/house-model"
KEY = "sk-the-key-of-the-provider"
KEY_ENV = "HOUSE_CLOUD_KEY"
CHAT = "/v1/chat/completions"
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
PATIENCE = EVER
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Saves each client from reading the certificates of the whole world, which nothing here shows."""

SOON = Waits(settle=0.2, restarted=0.2, jitter=0.2)
"""Lets a cluster settle in a moment: the waits themselves are tested in virtual time."""

Json = dict[str, Any]
T = TypeVar("T")


class World(Struct):
    """The service, and the clients that a test uses."""

    path: str
    http: httpx.AsyncClient
    sdk: AsyncOpenAI
    log: Callable[[], bytes]
    url: str = ""
    """Of the listener on TCP, where there is one."""

    async def chat(self, headers: Mapping[str, str] | None = None, **more: Any) -> httpx.Response:  # noqa: ANN401 - any JSON
        """Send a chat request that says little; `more` changes its fields."""
        return await self.http.post(CHAT, json=asking(**more), headers=headers)

    async def look(self, path: str) -> Json:
        return cast("Json", (await self.http.get(path)).json())

    async def until(self, path: str, met: Callable[[Json], object]) -> Json:
        """Ask for one of the service's own views until it is as `met` wants it."""
        return await until(lambda: self.look(path), met)

    async def ready(self, nodes: int = 1) -> None:
        """Wait until exactly so many nodes are ready, and each provider was looked at."""

        def met(body: Json) -> bool:
            looked = all(each["state"] != "unknown" for each in body["providers"])
            return looked and body["nodes"]["ready"] == nodes

        await self.until("/supervisor/status", met)

    async def idle(self) -> None:
        """Wait until no request is in flight."""
        await self.until("/supervisor/status", lambda body: body["requests"]["in_flight"] == 0)

    async def raw(self, data: bytes) -> Reply:
        """Send bytes, and take apart what came back."""
        return taken_apart(await exchanged(self.path, data))

    async def lines(self, event: str, count: int = 1) -> list[Json]:
        """Wait for so many log lines of one event."""

        async def logged() -> list[Json]:
            return events(self.log(), event)

        return await until(logged, lambda found: len(found) >= count)


@asynccontextmanager
async def in_process(
    *nodes: ExoNode | str,
    cloud: Cloud | None = None,
    admin_group: int | None = None,
    state: Path | None = None,
    tcp: tuple[socket, Secret] | None = None,
    client_tokens: Mapping[str, Secret] = {},
    waits: Waits = WAITS,
    **tables: Any,  # noqa: ANN401 - tables of TOML
) -> AsyncGenerator[World]:
    """Run the service in this process until the test ends; then nothing of a request is left."""
    settings = read(toml(nodes, cloud, tables), file="test", environ={})
    log = BytesIO()
    sink = logs.configure("info", "json", stream=log)
    try:
        more = {
            "admin_group": admin_group, "state": state, "tcp": tcp, "waits": waits,
            "client_tokens": client_tokens, "sinks": (sink,),
        }  # fmt: skip
        async with _serving(settings, log.getvalue, more) as world:
            yield world
    finally:
        await to_thread.run_sync(sink.close, 5.0)
    (drained,) = events(log.getvalue(), "drain_started")
    assert drained["in_flight"] == 0
    assert not events(log.getvalue(), "request_crashed")
    assert not events(log.getvalue(), "service_crashed")


@asynccontextmanager
async def _serving(
    settings: Settings, log: Callable[[], bytes], more: Mapping[str, Any]
) -> AsyncGenerator[World]:
    place = Path(tempfile.mkdtemp(prefix="es", dir="/tmp"))
    path = str(place / "s")
    listening = await to_thread.run_sync(lambda: unix.open_socket(path, mode=0o600, group=""))
    given = Inputs(
        config=settings.config,
        file=None,
        sockets=[listening.socket],
        keys=given_keys(settings.config.providers),
        why_off={},
        **more,
    )
    stop, up = anyio.Event(), anyio.Event()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve, given, stop.wait, up.set)
            await up.wait()
            async with clients(path, log) as world:
                yield world
                await world.idle()
            stop.set()
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(listening.close)
        shutil.rmtree(place)


@asynccontextmanager
async def clients(path: str, log: Callable[[], bytes]) -> AsyncGenerator[World]:
    """Open a plain HTTP client and OpenAI's SDK on one socket."""
    transport = httpx.AsyncHTTPTransport(
        uds=path, verify=NO_TLS, limits=httpx.Limits(max_connections=None)
    )
    async with httpx.AsyncClient(
        transport=transport, base_url="http://house", timeout=PATIENCE
    ) as plain:
        sdk = AsyncOpenAI(
            base_url="http://house/v1",
            api_key="unused",
            http_client=cast("Any", plain),  # newer SDKs are typed for httpx2, and take both
            max_retries=0,
        )
        yield World(path, plain, sdk, log)


def given_keys(providers: Sequence[Provider]) -> dict[str, tuple[Secret, ...]]:
    """Give each provider as many keys as it names variables, one where it names none."""
    return {
        each.name: tuple(
            Secret(f"{KEY}-{place}" if place else KEY, "the test")
            for place in range(len(each.key_env) or 1)
        )
        for each in providers
    }


def toml(nodes: Sequence[ExoNode | str], cloud: Cloud | None, tables: Mapping[str, Any]) -> str:
    """Write a configuration for these nodes and this cloud, with timers that suit a test."""
    seeds = [each if isinstance(each, str) else each.url for each in nodes]
    content: Json = {
        "discovery": {
            "static": seeds,
            "broadcast": "off",
            "mdns": False,
            "multicast": False,
            "crawl": False,
        },
        "health": {"interval": 0.2, "timeout": 1.0, "ready_interval": 0.2},
        "breaker": {"rest": 60.0},
        "timeouts": {"headers": 3.0},
        "routing": {"patience": 0.3},
        "log": {"format": "json"},
    }
    if cloud is not None:
        content["provider"] = [
            {
                "name": "house-cloud",
                "base_url": cloud.base_url,
                "key_env": KEY_ENV,
                "dialect": "anthropic" if isinstance(cloud, MessagesCloud) else "openai",
            }
        ]
    to_cloud = [] if cloud is None else [f"house-cloud/{CLOUD_MODEL}"]
    rule = {"name": MODEL, "exo": [EXO_MODEL, LEGACY_MODEL], "cloud": to_cloud}
    content["model"] = [rule]
    for name, table in tables.items():
        content[name] = {**content.get(name, {}), **table} if isinstance(table, dict) else table
    return "".join(_table(name, table) for name, table in content.items())


def _table(name: str, table: Any) -> str:  # noqa: ANN401 - a table or a list of them
    if isinstance(table, list):
        rows = cast("list[Json]", table)
        return "".join(f"[[{name}]]\n{_keys(row)}\n" for row in rows)
    return f"[{name}]\n{_keys(table)}\n"


def _keys(table: Json) -> str:
    return "".join(f"{key} = {literal(value)}\n" for key, value in table.items())


def asking(**more: Any) -> Json:  # noqa: ANN401 - any JSON
    """Return the body of a chat request that says little; a field of None is left out."""
    body = {"model": MODEL, "messages": HELLO, **more}
    return {name: value for name, value in body.items() if value is not None}


def post(body: bytes, *headers: str, path: str = CHAT) -> bytes:
    """Return the bytes of a POST whose connection ends with its answer."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Connection: close", *headers]
    if not any(
        line.lower().startswith(("transfer-encoding", "content-length")) for line in headers
    ):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def exchanged(path: str, data: bytes) -> bytes:
    """Send bytes and return what comes: one whole answer, or all until the connection ends."""
    received = b""
    with anyio.fail_after(PATIENCE):
        reader, writer = await asyncio.open_unix_connection(path, limit=2**24)
        writer.write(data)  # without waiting: who refuses need not read to the end
        try:
            while part := await reader.read(2**20):
                received += part
                if b"\r\n\r\n" in received and taken_apart(received).whole:
                    break
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()
    return received


def events(log: bytes, event: str) -> list[Json]:
    """List a log's lines of one event."""
    whole = [line for line in log.splitlines(keepends=True) if line.endswith(b"\n")]
    return [each for each in map(json.loads, whole) if each["event"] == event]


async def until(ask: Callable[[], Awaitable[T]], met: Callable[[T], object]) -> T:
    """Ask until the answer is as `met` wants it."""
    answer: T | None = None
    with anyio.move_on_after(PATIENCE):
        while True:
            answer = await ask()
            if met(answer):
                return answer
            await anyio.sleep(0.01)
    raise AssertionError(f"it did not happen; the last answer: {answer}")


@contextmanager
def folder() -> Generator[Path]:
    """Make a folder whose name is short enough for a Unix socket."""
    path = Path(tempfile.mkdtemp(prefix="es", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def environ(**more: str) -> dict[str, str]:
    """Return a plain environment for a process of ours."""
    plain = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**plain, "HOME": "/nonexistent", "STATE_DIRECTORY": "/nonexistent/state", **more}


class Ended(Struct, frozen=True):
    """What a process left behind."""

    code: int
    out: str
    err: str


async def run(*words: str, env: Mapping[str, str] | None = None) -> Ended:
    """Run the program to its end."""
    with anyio.fail_after(PATIENCE):
        done = await anyio.run_process(
            [sys.executable, "-m", "exo_supervisor", *words],
            stdin=DEVNULL,
            check=False,
            env=environ(**(env or {})),
        )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


async def run_all(*each: Sequence[str], env: Mapping[str, str] | None = None) -> list[Ended]:
    """Run the program several times at once, with these words each."""
    ends: dict[int, Ended] = {}

    async def one(place: int, words: Sequence[str]) -> None:
        ends[place] = await run(*words, env=env)

    async with anyio.create_task_group() as tasks:
        for place, words in enumerate(each):
            tasks.start_soon(one, place, words)
    return [ends[place] for place in sorted(ends)]


@asynccontextmanager
async def started(
    *words: str,
    module: str = "exo_supervisor",
    err: int | IO[bytes] = DEVNULL,
    env: Mapping[str, str] | None = None,
    **more: Any,  # noqa: ANN401 - for the process
) -> AsyncGenerator[Process]:
    """Start a module of ours as a process; it is killed at the end, if it still runs."""
    process = await anyio.open_process(
        [sys.executable, "-m", module, *words],
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=err,
        env=environ(**(env or {})),
        **more,
    )
    async with process:
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()


@asynccontextmanager
async def process_of_service(
    place: Path,
    text: str,
    *words: str,
    env: Mapping[str, str] | None = None,
    **more: Any,  # noqa: ANN401 - for the process
) -> AsyncGenerator[tuple[World, Process]]:
    """Run `run --config` until the test ends; its log is `log` in the folder, its socket `s`."""
    file, log, path = place / "supervisor.toml", place / "log", str(place / "s")
    file.write_text(text)
    with log.open("wb") as err:
        async with (
            started(
                *("run", "--config", str(file), "--socket", path, *words),
                err=err,
                env={KEY_ENV: KEY, "STATE_DIRECTORY": str(place / "state"), **(env or {})},
                **more,
            ) as process,
            clients(path, log.read_bytes) as world,
        ):
            await world.lines("service_listening")
            yield world, process


async def left(process: Process) -> int:
    """Wait until a process has ended, and return its exit code."""
    with anyio.fail_after(PATIENCE):
        return await process.wait()
