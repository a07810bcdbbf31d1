"""The service on a host of the LAN, and what can be seen of it from here.

It writes while we look: a file may not be there yet, or end in the middle of a line.
"""

import json
import socket
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from tests.netns.lan import Lan, ended

PATIENCE = 60.0
"""Seconds for what must come; a machine that is slow and shared takes its time."""


@contextmanager
def running(
    lan: Lan, host: str, place: Path, discovery: Mapping[str, str], err: IO[bytes] | None = None
) -> Generator[str]:
    """Run the service on a host; its socket is what comes back."""
    path = str(place / "s")
    keys = {f"EXO_SUPERVISOR_DISCOVERY__{key.upper()}": each for key, each in discovery.items()}
    env = {"STATE_DIRECTORY": str(place / "state"), **keys}
    words = ("exo_supervisor", "run", "--socket", path)
    with ended(lan.start(host, *words, env=env, err=err)) as process:
        yield path
        process.terminate()
        assert process.wait(PATIENCE) == 0


def until(met: Callable[[], object], within: float = PATIENCE) -> float:
    """Wait until something is so, and return how long it took."""
    began = time.monotonic()
    while not met():
        assert time.monotonic() - began < within
        time.sleep(0.02)
    return time.monotonic() - began


def rows_of(path: str) -> dict[str, Any]:
    """Ask a service for its nodes; there are none before it listens."""
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.settimeout(PATIENCE)
        client.connect(path)
        client.sendall(b"GET /supervisor/nodes HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65_536), b""))
        rows = json.loads(answer.partition(b"\r\n\r\n")[2])["nodes"]
        return {row["id"]: row for row in rows}
    return {}


def seen_of(path: str, node: str, what: str) -> Any:  # noqa: ANN401 - any JSON
    """Ask a service for one thing of a node; None where it does not know the node yet."""
    return rows_of(path).get(node, {}).get(what)


def ready_nodes(path: str) -> dict[str, str]:
    """Ask a service for the nodes that are ready, each with its generation."""
    rows = rows_of(path)
    return {at: row["generation"] for at, row in rows.items() if row["rung"] == "ready"}


def text_of(file: Path) -> str:
    """Read what another process has written by now."""
    with suppress(FileNotFoundError):
        return file.read_text(encoding="utf-8")
    return ""


def logged(log: Path, event: str) -> list[Any]:
    """List the lines of an event that are whole by now."""
    whole = text_of(log).rpartition("\n")[0]
    return [line for line in map(json.loads, whole.splitlines()) if line["event"] == event]
