"""On a host of the LAN: how long one source takes to find so many nodes, trial after trial.

`python -m tests.netns.look GENERATION NODES TRIALS` prints a JSON list of seconds.
"""

import json
import sys
import time

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from exo_supervisor.core.events import Event, NodeSighted
from exo_supervisor.discovery.allowed_networks import AllowedNetworks
from exo_supervisor.discovery.broadcast import Broadcast
from exo_supervisor.discovery.mdns import Mdns
from exo_supervisor.discovery.multicast import Multicast
from exo_supervisor.fleet_io.fetch import Fetcher
from exo_supervisor.fleet_io.probe import Prober
from exo_supervisor.runtime.fetch import Get, GetError
from exo_supervisor.runtime.supervise import Service
from exo_supervisor.serve.upstream import open_sessions

PORTS = [52415]
PATIENCE = 15.0


def source(generation: str, inbox: MemoryObjectSendStream[Event]) -> Service:
    match generation:
        case "A":
            return Broadcast(inbox, PORTS, AllowedNetworks(), mode="raw")
        case "B":
            return Mdns(inbox, PORTS, AllowedNetworks())
        case _:
            return Multicast(inbox, PORTS, AllowedNetworks())


async def identified(
    get: Get, generation: str, inbox: MemoryObjectReceiveStream[Event], nodes: int
) -> dict[str, float]:
    """Return each node's address, and when it was found to be what it was announced as."""
    found: dict[str, float] = {}
    while len(found) < nodes:
        event = await inbox.receive()
        assert isinstance(event, NodeSighted)
        try:
            identity = (await Prober(get, event.url, 2.0).look()).identity
        except GetError:
            continue
        if identity.generation == generation and event.claimed in {None, identity.node_id}:
            found.setdefault(event.node, time.monotonic())
    return found


async def main(generation: str, nodes: int, trials: int) -> None:
    took: list[float] = []
    exos, clouds = open_sessions()
    async with exos, clouds:
        for _ in range(trials):
            await anyio.run_process(["ip", "neigh", "flush", "dev", "eth0"])
            send, inbox = anyio.create_memory_object_stream[Event](64)
            async with send, inbox, anyio.create_task_group() as tasks:
                begun = time.monotonic()
                tasks.start_soon(source(generation, send).run)
                with anyio.fail_after(PATIENCE):
                    found = await identified(Fetcher(exos).get, generation, inbox, nodes)
                took.append(max(found.values()) - begun)
                tasks.cancel_scope.cancel()
    sys.stdout.write(json.dumps(took) + "\n")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
