"""What a service costs that carries nothing: its start, its verbs, and the probing of its nodes."""

import os
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen

from msgspec import Struct

from tests.benchmarks.processes import BenchmarkError, cpu_seconds, module, started, tail
from tests.benchmarks.trees import Setting, Tree

READY = 30.0
NODES = 1_000
_SETTLE = 15.0
"""Seconds until each node has been looked at for the first time, and is probed in its turn."""


class Start(Struct, frozen=True):
    """Seconds that each took in one turn."""

    ready: float
    first_status: float
    """The first that is asked of a service; what answers it may be imported for it."""
    status: float
    version: float
    nothing: float
    """The same interpreter's `-c pass`."""


def start(tree: Tree, home: Path, turn: int) -> Start:
    """Start a service, ask it by its verbs, and end it."""
    config, at = home / f"{tree.name}-start.toml", home / f"{tree.name}-start.sock"
    Setting("http://127.0.0.1:9", (), listens=True).write(config, at)
    path = str(home / f"{tree.name}-{turn}.notify")
    with ExitStack() as stack, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(path)
        notified.settimeout(READY)
        log = home / f"{tree.name}-start.log"
        began = time.perf_counter()
        command = tree.command("run", "--config", str(config))
        environ = tree.environ(home)
        notifying = environ | {"NOTIFY_SOCKET": path}
        stack.enter_context(started(command, log, environ=notifying))
        try:
            while b"READY=1" not in notified.recv(4096):
                pass
        except TimeoutError as late:
            raise BenchmarkError(f"{tree.name} is not ready: {tail(log)}") from late
        ready = time.perf_counter() - began
        status = tree.command("status", "--socket", str(at))
        return Start(
            ready,
            first_status=_took(status, environ),
            status=_took(status, environ),
            version=_took(tree.command("version"), environ),
            nothing=_took([str(tree.python), "-c", "pass"], {}),
        )


def _took(command: list[str], environ: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=os.environ | environ)  # noqa: S603 -- our own
    return time.perf_counter() - began


def probing(trees: list[Tree], home: Path, seconds: float) -> dict[str, list[float]]:
    """Return the milliseconds of CPU a second that each service takes to watch many nodes."""
    with ExitStack() as stack:
        nodes = stack.enter_context(
            started(module("tests.benchmarks.nodes", str(NODES)), home / "nodes.log", says=True)
        )
        assert nodes.stdout is not None
        urls = tuple(nodes.stdout.readline().decode().split())
        if len(urls) != NODES:
            raise BenchmarkError(f"{len(urls)} nodes: {tail(home / 'nodes.log')}")
        watching = {tree.name: _watch(stack, tree, home, urls) for tree in trees}
        time.sleep(_SETTLE)
        came: dict[str, list[float]] = {name: [] for name in watching}
        for _ in range(3):
            used = {name: cpu_seconds(each.pid) for name, each in watching.items()}
            time.sleep(seconds)
            for name, each in watching.items():
                came[name].append((cpu_seconds(each.pid) - used[name]) / seconds * 1e3)
        return came


def _watch(stack: ExitStack, tree: Tree, home: Path, urls: tuple[str, ...]) -> Popen[bytes]:
    config, at = home / f"{tree.name}-nodes.toml", home / f"{tree.name}-nodes.sock"
    Setting("http://127.0.0.1:9", urls, listens=False).write(config, at)
    command = tree.command("run", "--config", str(config))
    log = home / f"{tree.name}-nodes.log"
    return stack.enter_context(started(command, log, environ=tree.environ(home)))
