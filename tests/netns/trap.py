"""On a host of the LAN: does an Exo find its peers although a source listens beside it.

`python -m tests.netns.trap GENERATION PEERS TRIALS [thief]` prints, for each order of starting,
in how many trials the Exo found so many peers. The thief is what no source may be: a socket on
the wildcard address of generation C's port.
"""

import json
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio

from exo_supervisor.core.events import Event
from exo_supervisor.core.names import Generation
from exo_supervisor.demo import ExoNode
from exo_supervisor.demo.announce_a import AnnouncerA
from exo_supervisor.demo.announce_c import AnnouncerC
from tests.netns.look import source

PATIENCE = {"A": 12.0, "C": 6.0}
"""Two announcements of a peer, and as long again and more for a machine that is slow.

Who finds its peers waits for none of it; and the thief takes away what comes later, too.
"""

Announcer = AnnouncerA | AnnouncerC


@asynccontextmanager
async def listening(generation: Generation, *, thief: bool) -> AsyncGenerator[None]:
    """Have a source beside the Exo; it is up once it has told of somebody."""
    if thief:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as wildcard:
            wildcard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            wildcard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            wildcard.bind(("::", 52413))
            yield
        return
    send, inbox = anyio.create_memory_object_stream[Event](64)
    async with send, inbox, anyio.create_task_group() as tasks:
        tasks.start_soon(source(generation, send).run)
        with anyio.fail_after(10):
            await inbox.receive()
        yield
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def running(run: Callable[[], Coroutine[Any, Any, None]]) -> AsyncGenerator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        yield
        tasks.cancel_scope.cancel()


async def found(announcer: Announcer, peers: int, generation: Generation) -> bool:
    """Wait until the Exo knows so many peers; its table is all there is to look at."""
    with anyio.move_on_after(PATIENCE[generation]):
        while len(announcer.peers) < peers:  # noqa: ASYNC110 - it has no event to wait for
            await anyio.sleep(0.02)
    return len(announcer.peers) >= peers


async def main(generation: Generation, peers: int, trials: int, *, thief: bool) -> None:
    kind = AnnouncerA if generation == "A" else AnnouncerC
    exo_first = source_first = 0
    async with ExoNode(generation, host="0.0.0.0", port=52415) as node:
        for _ in range(trials):
            announcer = kind(node)
            async with running(announcer.run):
                await found(announcer, peers, generation)
                async with listening(generation, thief=thief):
                    announcer.peers.clear()
                    exo_first += await found(announcer, peers, generation)
            announcer = kind(node)
            async with listening(generation, thief=thief), running(announcer.run):
                source_first += await found(announcer, peers, generation)
    sys.stdout.write(json.dumps({"exo_first": exo_first, "source_first": source_first}) + "\n")


if __name__ == "__main__":
    chosen: Generation = "A" if sys.argv[1] == "A" else "C"
    trapped = bool(sys.argv[4:])
    anyio.run(lambda: main(chosen, int(sys.argv[2]), int(sys.argv[3]), thief=trapped))
