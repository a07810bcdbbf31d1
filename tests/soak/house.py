"""A house under soak: pretend targets here, and the service in a process of its own."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL
from typing import Any, cast

import anyio
from anyio import to_thread
from anyio.abc import Process
from msgspec import Struct

from exo_supervisor.client.asynchronous import AsyncClient
from exo_supervisor.client.errors import NoAnswerError
from exo_supervisor.demo import Cloud, ExoCluster, ExoNode
from exo_supervisor.demo.server import DemoServer
from exo_supervisor.rehearse.drill.witness import TOKENS
from tests.soak.service import TASKS

MODEL = "house-model"
EXO_MODEL = "mlx-community/Llama-3.2-3B-Instruct-4bit"
LEGACY_MODEL = "llama-3.2-1b"
CLOUD_MODEL = "vendor/house-model"
KEY, PACE = "soak-key", 0.03
PATIENCE = 120.0
"""Seconds for what must come; a busy machine takes its time."""
CONFIG = """\
[discovery]
static = {seeds}
broadcast = "off"
mdns = false
multicast = false
crawl = false
[health]
interval = 2.0
timeout = 1.0
ready_interval = 2.0
[breaker]
rest = 1.0
rest_max = 4.0
[timeouts]
headers = 2.0
first_content = 2.0
first_content_max = 3.0
stall = 2.0
[routing]
patience = 0.5
{providers}
[[model]]
name = "house-model"
exo = ["mlx-community/Llama-3.2-3B-Instruct-4bit", "llama-3.2-1b"]
cloud = ["near/vendor/house-model", "far/vendor/house-model"]
"""
PROVIDER = """\
[[provider]]
name = "{name}"
base_url = "{url}"
key_env = "SOAK_KEY"
priority = {place}
first_content = 3.0
"""


class House(Struct, frozen=True):
    """What a soak plays with."""

    nodes: tuple[ExoNode, ...]
    clouds: tuple[Cloud, ...]
    process: Process
    client: AsyncClient
    socket: str
    place: Path

    @property
    def servers(self) -> list[DemoServer]:
        """Every pretend target."""
        return [*self.nodes, *self.clouds]

    async def look(self, path: str) -> dict[str, Any]:
        """Ask for one of the service's own views."""
        return cast("dict[str, Any]", await self.client.look(path))

    async def logged(self) -> list[dict[str, Any]]:
        """Read the lines that tell of a request's end."""
        return await to_thread.run_sync(_ends, self.place / "log")

    async def tasks(self) -> int:
        """Ask the process how many tasks it has."""
        file = anyio.Path(self.place / "tasks")
        await file.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        with anyio.fail_after(PATIENCE):
            while True:
                await anyio.sleep(0.05)
                if await file.exists() and (text := await file.read_text()):
                    return int(text)


@asynccontextmanager
async def open_house(place: Path) -> AsyncGenerator[House]:
    """Start everything, and wait until all targets are seen."""
    pair = ExoCluster("C", (EXO_MODEL,))
    nodes = (
        ExoNode("C", cluster=pair, pace=PACE, tokens=TOKENS, keepalive_every=0.5),
        ExoNode("C", cluster=pair, pace=PACE, tokens=TOKENS, keepalive_every=0.5),
        ExoNode("B", (EXO_MODEL,), pace=PACE, tokens=TOKENS),
        ExoNode("A", (LEGACY_MODEL,), pace=PACE, tokens=TOKENS),
    )
    clouds = tuple(Cloud(KEY, (CLOUD_MODEL,), pace=PACE, tokens=TOKENS) for _ in range(2))
    async with AsyncExitStack() as stack:
        for server in (*nodes, *clouds):
            await stack.enter_async_context(server)
        socket = str(place / "s")
        process = await stack.enter_async_context(_service(place, socket, nodes, clouds))
        house = House(nodes, clouds, process, AsyncClient(socket), socket, place)
        with anyio.fail_after(PATIENCE):
            await _ready(house)
        yield house


@asynccontextmanager
async def _service(
    place: Path, socket: str, nodes: tuple[ExoNode, ...], clouds: tuple[Cloud, ...]
) -> AsyncGenerator[Process]:
    providers = "".join(
        PROVIDER.format(name=name, url=cloud.base_url, place=at)
        for at, (name, cloud) in enumerate(zip(("near", "far"), clouds, strict=True))
    )
    file = place / "supervisor.toml"
    seeds = json.dumps([node.url for node in nodes])
    await anyio.Path(file).write_text(CONFIG.format(seeds=seeds, providers=providers))
    environ = {**os.environ, "SOAK_KEY": KEY, TASKS: str(place / "tasks")}
    words = ["run", "--config", str(file), "--socket", socket]
    async with await anyio.open_file(place / "log", "wb") as log:
        process = await anyio.open_process(
            [sys.executable, "-m", "tests.soak.service", *words],
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=log.wrapped,
            env=environ,
        )
        async with process:
            try:
                yield process
            finally:
                process.terminate()


async def _ready(house: House) -> None:
    while True:
        await anyio.sleep(0.05)
        try:
            status = await house.look("/supervisor/status")
        except NoAnswerError:  # it does not listen yet
            continue
        if status["nodes"]["ready"] == len(house.nodes):
            return


def _ends(log: Path) -> list[dict[str, Any]]:
    with log.open("rb") as lines:
        whole = (line for line in lines if line.endswith(b"\n"))  # the last may be half written
        return [json.loads(line) for line in whole if b'"event":"request_done"' in line]
