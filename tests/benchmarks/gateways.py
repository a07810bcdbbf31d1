"""What is compared: the pass-through, this service, and nginx where it is installed."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct

from tests.benchmarks.answers import CLOUD_MODEL, EXO_MODEL
from tests.benchmarks.processes import BenchmarkError, module, started, tail

START = 20.0
"""Seconds that a gateway may take until it accepts connections."""
LOG_LEVEL = "info"

_CONFIG = """
[server]
socket = "{socket}"
[discovery]
static = ["{upstream}"]
mdns = false
multicast = false
broadcast = "off"
crawl = false
[[provider]]
name = "cloud"
dialect = "openai"
base_url = "{upstream}/cloud/v1"
key_env = "BENCHMARK_KEY"
[[model]]
name = "from-exo"
exo = "{exo}"
[[model]]
name = "from-cloud"
cloud = ["cloud/{cloud}"]
[log]
level = "{level}"
"""
_NGINX = """
daemon off;
master_process off;
pid {home}/nginx.pid;
error_log {home}/nginx.error crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  upstream fake {{ server {address}; keepalive 256; keepalive_requests 1000000; }}
  server {{
    listen unix:{socket} backlog=4096;
    keepalive_requests 1000000;
    location / {{
      proxy_pass http://fake;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


class Gateway(Struct, frozen=True):
    """One of those compared, running."""

    name: str
    socket: str
    pid: int
    plain_path: str
    """Where it takes plain requests so that they reach the fake's cloud."""


def start_all(stack: ExitStack, home: Path, upstream: str) -> list[Gateway]:
    """Start every gateway there is, the floor first."""
    commands = {"floor": _floor, "ours": _ours, "nginx": _nginx}
    if shutil.which("nginx") is None:
        del commands["nginx"]
    return [_start(stack, home, upstream, name, make) for name, make in commands.items()]


def nginx_version() -> str:
    """Return nginx's version, or that there is none."""
    found = shutil.which("nginx")
    if found is None:
        return "nginx: not installed"
    told = subprocess.run([found, "-v"], capture_output=True, check=True, text=True)  # noqa: S603 -- what PATH names
    return "nginx " + told.stderr.strip().rpartition("/")[2]


def _start(
    stack: ExitStack,
    home: Path,
    upstream: str,
    name: str,
    command: Callable[[Path, str, str], list[str]],
) -> Gateway:
    path = str(home / f"{name}.sock")
    log = home / f"{name}.log"
    process = stack.enter_context(
        started(command(home, path, upstream), log, BENCHMARK_KEY="made-up")
    )
    _wait(name, path, process, log)
    chat = "/v1/chat/completions"
    return Gateway(name, path, process.pid, chat if name == "ours" else f"/cloud{chat}")


def _floor(_home: Path, path: str, upstream: str) -> list[str]:
    return module("tests.benchmarks.floor", path, upstream)


def _ours(home: Path, path: str, upstream: str) -> list[str]:
    config = home / "supervisor.toml"
    config.write_text(
        _CONFIG.format(
            socket=path, upstream=upstream, exo=EXO_MODEL, cloud=CLOUD_MODEL, level=LOG_LEVEL
        )
    )
    return module("exo_supervisor", "run", "--config", str(config))


def _nginx(home: Path, path: str, upstream: str) -> list[str]:
    config = home / "nginx.conf"
    address = upstream.removeprefix("http://")
    config.write_text(_NGINX.format(home=home, socket=path, address=address))
    return [shutil.which("nginx") or "nginx", "-c", str(config), "-p", str(home)]


def _wait(name: str, path: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a gateway accepts connections."""
    until = time.monotonic() + START
    while time.monotonic() < until and process.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                return
        time.sleep(0.05)
    raise BenchmarkError(f"{name} did not start: {tail(log)}")
