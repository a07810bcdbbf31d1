"""On a host of the LAN: runs the service, and notes at the socket whom it ever contacts.

`python -m tests.netns.border SECONDS` prints a JSON list of `[how, host, port]`, each once.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

import anyio

from exo_supervisor.app.inputs import Inputs
from exo_supervisor.app.service import serve
from exo_supervisor.config.read import read
from exo_supervisor.host import logs, unix

contacts: set[tuple[str, str, int]] = set()
WAYS = {"socket.connect", "socket.sendto", "socket.sendmsg"}


def note(event: str, told: tuple[Any, ...]) -> None:
    """Note an address that a socket is asked to reach; Unix and netlink sockets have none."""
    if event in WAYS and isinstance(told[1], tuple):
        address = cast("tuple[Any, ...]", told[1])
        if isinstance(address[0], str):
            contacts.add((event, address[0].partition("%")[0], int(address[1])))


async def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="s") as folder:
        log = logs.configure("warning", "json")
        listening = unix.open_socket(f"{folder}/s", mode=0o600, group="")
        given = Inputs(
            config=read(None, file="border", environ={}).config,
            file=None,
            sockets=[listening.socket],
            keys={},
            why_off={},
            sinks=(log,),
            state=Path(folder) / "state",
        )

        async def stop() -> None:
            await anyio.sleep(seconds)

        await serve(given, stop)
        listening.close()
        log.close(2.0)
    sys.stdout.write(json.dumps(sorted(contacts)) + "\n")


if __name__ == "__main__":
    sys.addaudithook(note)  # uvloop connects without Python's sockets, so asyncio's own loop runs
    anyio.run(main, float(sys.argv[1]))
