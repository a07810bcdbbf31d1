"""On a host of the LAN: tells of each node once it is found, with the instant.

`python -m tests.netns.watch GENERATION` prints `up`, then one `INSTANT ADDRESS` a node.
"""

import sys
import time

import anyio
import structlog

from exo_supervisor.core.events import Event
from exo_supervisor.fleet_io.fetch import Fetcher
from exo_supervisor.serve.upstream import open_sessions
from tests.netns.look import identified, source


async def main(generation: str) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    exos, clouds = open_sessions()
    send, inbox = anyio.create_memory_object_stream[Event](64)
    async with exos, clouds, send, inbox, anyio.create_task_group() as tasks:
        tasks.start_soon(source(generation, send).run)
        sys.stdout.write("up\n")
        while True:
            sys.stdout.flush()
            for address in await identified(Fetcher(exos).get, generation, inbox, 1):
                sys.stdout.write(f"{time.monotonic()} {address}\n")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
