"""On a host of the LAN: runs the service, and notes at the socket whom it ever contacts.

`python -m tests.netns.border SECONDS HOST...` prints a JSON list of `[how, host, port]`, each once.
It runs so many seconds from when it has connected to each of the hosts, or has not in `PATIENCE`.
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

PATIENCE = 30.0
"""Seconds for the hosts that are led to; a slow machine takes its time."""

contacts: set[tuple[str, str, int]] = set()
CONNECT = "socket.connect"
WAYS = {CONNECT, "socket.sendto", "socket.sendmsg"}


def note(event: str, told: tuple[Any, ...]) -> None:
    """Note an address that a socket is asked to reach; Unix and netlink sockets have none."""
    if event in WAYS and isinstance(told[1], tuple):
        address = cast("tuple[Any, ...]", told[1])
        if isinstance(address[0], str):
            contacts.add((event, address[0].partition("%")[0], int(address[1])))


async def main(seconds: float, *led_to: str) -> None:
    wanted = {(CONNECT, host) for host in led_to}
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
            with anyio.move_on_after(PATIENCE):
                while not wanted <= {each[:2] for each in contacts}:  # noqa: ASYNC110 - an audit hook wakes nobody
                    await anyio.sleep(0.05)
            await anyio.sleep(seconds)

        await serve(given, stop)
        listening.close()
        log.close(2.0)
    sys.stdout.write(json.dumps(sorted(contacts)) + "\n")


if __name__ == "__main__":
    sys.addaudithook(note)  # uvloop connects without Python's sockets, so asyncio's own loop runs
    anyio.run(main, float(sys.argv[1]), *sys.argv[2:])
