"""Where one fault is drilled: pretend targets on loopback, and the real service before them."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
from anyio import to_thread
from msgspec import Struct

from exo_supervisor.app.inputs import Inputs
from exo_supervisor.app.service import serve
from exo_supervisor.client.asynchronous import AsyncClient
from exo_supervisor.client.json_object import fields, objects
from exo_supervisor.demo import Cloud, ExoNode
from exo_supervisor.demo.server import DemoServer
from exo_supervisor.host import unix
from exo_supervisor.host.credentials import Secret
from exo_supervisor.rehearse.drill.plan import Plan
from exo_supervisor.rehearse.drill.witness import CHAT, TOKENS
from exo_supervisor.runtime.sinks import Sink

PACE = 0.004
"""Seconds between two tokens of a pretend target."""
KEEPALIVE = 0.1
"""Seconds between two keep-alive comments of the pretend Exo."""
_KEY = "pretend-key"


class Ground(Struct, frozen=True):
    """One service and everything that it can reach."""

    plan: Plan
    socket: str
    client: AsyncClient
    node: ExoNode | None
    clouds: dict[str, Cloud]

    @property
    def servers(self) -> list[DemoServer]:
        """Every pretend target."""
        return [*([] if self.node is None else [self.node]), *self.clouds.values()]

    @property
    def left_house(self) -> int:
        """How many requests reached a cloud."""
        return sum(cloud.seen for cloud in self.clouds.values())

    def name_of(self, target: str) -> str:
        """Name a target as a person knows it: `Exo`, or the provider's own name."""
        return "Exo" if self.node is not None and target == self.node.address else target

    def server(self, target: str) -> DemoServer:
        """Find the pretend target that goes by this name in answers."""
        if self.node is not None and target == self.node.address:
            return self.node
        return self.clouds[target]

    def asked(self, target: str) -> int:
        """Tell how many chats a target was asked."""
        return self.server(target).requests[CHAT]


@asynccontextmanager
async def set_up(plan: Plan, sinks: Sequence[Sink] = ()) -> AsyncGenerator[Ground]:
    """Start everything on loopback and in a new folder; afterwards nothing is left of it.

    A drill that is cancelled in here leaves the next one a socket that nobody listens to.
    """
    async with AsyncExitStack() as stack:
        folder = await stack.enter_async_context(anyio.TemporaryDirectory(prefix="exo-drill-"))
        path = str(Path(folder) / "s")
        node = None
        if plan.model.exo:
            node = ExoNode("C", plan.model.exo, pace=PACE, tokens=TOKENS, keepalive_every=KEEPALIVE)
            await stack.enter_async_context(node)
        clouds = {
            name: await stack.enter_async_context(Cloud(_KEY, ids, pace=PACE, tokens=TOKENS))
            for name, ids in plan.cloud_ids.items()
        }
        urls = {name: cloud.base_url for name, cloud in clouds.items()}
        listening = await to_thread.run_sync(_listen, path)
        stack.push_async_callback(to_thread.run_sync, listening.close)
        given = Inputs(
            config=plan.at(None if node is None else node.url, urls),
            file=None,
            sockets=[listening.socket],
            keys={name: (Secret(_KEY, "the drill"),) for name in clouds},
            why_off={},
            waits=plan.waits,
            sinks=sinks,
        )
        stop = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve, given, stop.wait)
            yield Ground(plan, path, AsyncClient(path), node, clouds)
            stop.set()  # its socket is let go of before it is closed: the next one may be its like


def _listen(path: str) -> unix.ListeningSocket:
    return unix.open_socket(path, mode=0o600, group="")


async def ready(ground: Ground) -> None:
    """Wait until the service has seen every target."""
    while True:
        status = await ground.client.look("/supervisor/status")
        up = fields(status["nodes"])["ready"] == (ground.node is not None)
        if up and all(each["state"] == "ready" for each in objects(status["providers"])):
            return
        await anyio.sleep(0.01)
