"""The demo's stage: pretend nodes, a pretend cloud, and the real service before them."""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
from msgspec import Struct

from exo_supervisor.app.inputs import Inputs
from exo_supervisor.app.service import serve
from exo_supervisor.client.asynchronous import AsyncClient
from exo_supervisor.config.read import read
from exo_supervisor.demo import Cloud, ExoNode
from exo_supervisor.host import logs, unix
from exo_supervisor.host.credentials import Secret

MODEL = "llama-3.2-3b"
CLOUD_MODEL = "meta-llama/llama-3.2-3b-instruct"
PACE = 0.03
"""Seconds between two tokens of the pretend Exo."""

_CONFIG = """\
[discovery]
static = {seeds}
broadcast = "off"
mdns = false
multicast = false
crawl = false

[health]
interval = 1.0
ready_interval = 2.0

[breaker]
rest = 2.0

[[provider]]
name = "pretend-cloud"
base_url = "{cloud}"
key_env = "PRETEND_CLOUD_KEY"

[[model]]
name = "llama-3.2-3b"
exo = "mlx-community/Llama-3.2-3B-Instruct-4bit"
cloud = ["pretend-cloud/meta-llama/llama-3.2-3b-instruct"]

[[price]]
provider = "pretend-cloud"
model = "*"
from = 2026-01-01
input = 0.05
output = 0.34

[ledger]
reference = "pretend-cloud/meta-llama/llama-3.2-3b-instruct"

[power]
watts = 60.0
"""


class Stage(Struct, frozen=True):
    """What the demo plays with; only `star` runs the model that it asks for."""

    nodes: tuple[ExoNode, ...]
    star: ExoNode
    cloud: Cloud
    client: AsyncClient
    socket: str
    log: str


@asynccontextmanager
async def set_up() -> AsyncGenerator[Stage]:
    """Start everything on loopback and in a new folder, and take it down afterwards.

    The folder stays if the story fails, for the log in it.
    """
    folder = Path(tempfile.mkdtemp(prefix="exo-demo-"))
    lines, path = folder / "service.log", str(folder / "api.sock")
    async with AsyncExitStack() as stack:
        nodes = (
            ExoNode("A", ("llama-3.2-1b",), pace=PACE),
            ExoNode("B", ("mlx-community/Qwen3-0.6B-4bit",), pace=PACE),
            ExoNode("C", pace=PACE),
        )
        for node in nodes:
            await stack.enter_async_context(node)
        cloud = await stack.enter_async_context(Cloud("pretend-key", (CLOUD_MODEL,), pace=PACE))
        stream = stack.enter_context(lines.open("wb"))
        log = logs.configure("info", "json", stream=stream)
        stack.callback(log.close, logs.LAST_LINES)
        listening = unix.open_socket(path, mode=0o600, group="")
        stack.callback(listening.close)
        text = _CONFIG.format(seeds=[node.url for node in nodes], cloud=cloud.base_url)
        given = Inputs(
            config=read(text.replace("'", '"'), file="demo", environ={}).config,
            file=None,
            sockets=[listening.socket],
            keys={"pretend-cloud": (Secret("pretend-key", "the demo"),)},
            why_off={},
            sinks=(log,),
            state=folder,
        )
        tasks = await stack.enter_async_context(anyio.create_task_group())
        tasks.start_soon(serve, given, anyio.sleep_forever)
        yield Stage(nodes, nodes[2], cloud, AsyncClient(path), path, str(lines))
        tasks.cancel_scope.cancel()
