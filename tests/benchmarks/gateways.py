"""What is compared: this service, the commit before, and the peers that are there."""

import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct

from tests.benchmarks import peers
from tests.benchmarks.answers import CLOUD_MODEL
from tests.benchmarks.processes import BenchmarkError, accepts, module, started, tail
from tests.benchmarks.trees import Setting, Tree

START = 90.0
"""Seconds that a gateway may take until it accepts connections: LiteLLM does take 20."""
CHAT = "/v1/chat/completions"
OURS = ("ours", "before")
FEW = 10
"""Streams at once where 300 would be days."""

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
  upstream fake {{ server {address}; keepalive 512; keepalive_requests 1000000; }}
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
_ENVOY = """
static_resources:
  listeners:
  - name: front
    address: {{pipe: {{path: {socket}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.\
HttpConnectionManager
          stat_prefix: front
          stream_idle_timeout: 0s
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{prefix: "/"}}
                route:
                  cluster: fake
                  timeout: 0s
                  retry_policy:
                    retry_on: connect-failure,refused-stream,reset-before-request,5xx
                    num_retries: 1
  clusters:
  - name: fake
    type: STATIC
    connect_timeout: 2s
    lb_policy: LEAST_REQUEST
    outlier_detection: {{consecutive_5xx: 5, interval: 10s, base_ejection_time: 30s}}
    health_checks:
    - {{timeout: 2s, interval: 5s, unhealthy_threshold: 2, healthy_threshold: 1,
       http_health_check: {{path: /v1/models}}}}
    load_assignment:
      cluster_name: fake
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: {host}, port_value: {port}}}}}}}
"""
_LITELLM = """
model_list:
- model_name: {model}
  litellm_params: {{model: openai/{model}, api_base: "{upstream}/cloud/v1", api_key: made-up}}
"""


class Gateway(Struct, frozen=True):
    """One of those compared, running."""

    name: str
    at: str
    """The path of its socket, or `127.0.0.1:port`."""
    pid: int
    path: str = CHAT
    few: bool = False
    """It is given few streams at once."""

    def is_ours(self) -> bool:
        """Say whether it puts answers together, and takes our models' names."""
        return self.name in OURS


class Place(Struct, frozen=True):
    """Where a gateway runs and what it leads to."""

    home: Path
    at: str
    upstream: str


def start_all(
    stack: ExitStack, home: Path, upstream: str, trees: list[Tree]
) -> tuple[list[Gateway], list[str]]:
    """Start every gateway there is, Envoy first, to which the others are compared.

    Returns them, and why each peer is missing that is.
    """
    missing = peers.missing()
    absent = {why.partition(":")[0] for why in missing}
    found: list[Gateway] = []
    for name, make in _PEERS.items():
        if name in absent:
            continue
        try:
            found.append(_start(stack, home, upstream, name, make))
        except BenchmarkError as fault:
            missing.append(f"{name}: {fault}")
    return [*found, *(serve(stack, home, upstream, tree) for tree in trees)], missing


def _start(
    stack: ExitStack, home: Path, upstream: str, name: str, make: Callable[[Place], list[str]]
) -> Gateway:
    at = _port() if name == "litellm" else str(home / f"{name}.sock")
    log = home / f"{name}.log"
    command = make(Place(home, at, upstream))
    process = stack.enter_context(started(command, log, environ=_ENVIRON.get(name, {})))
    wait(name, at, process, log)
    path = CHAT if name == "litellm" else f"/cloud{CHAT}"
    return Gateway(name, at, process.pid, path, few=name == "litellm")


def serve(stack: ExitStack, home: Path, upstream: str, tree: Tree) -> Gateway:
    """Start the service of a tree."""
    config, at, log = (
        home / f"{tree.name}.toml",
        home / f"{tree.name}.sock",
        home / f"{tree.name}.log",
    )
    Setting(upstream, (upstream,)).write(config, at)
    command = tree.command("run", "--config", str(config))
    process = stack.enter_context(started(command, log, environ=tree.environ(home)))
    wait(tree.name, str(at), process, log)
    return Gateway(tree.name, str(at), process.pid)


def _floor(place: Place) -> list[str]:
    return module("tests.benchmarks.floor", place.at, place.upstream)


def _nginx(place: Place) -> list[str]:
    config = place.home / "nginx.conf"
    address = place.upstream.removeprefix("http://")
    config.write_text(_NGINX.format(home=place.home, socket=place.at, address=address))
    return [peers.nginx() or "nginx", "-c", str(config), "-p", str(place.home)]


def _envoy(place: Place) -> list[str]:
    config = place.home / "envoy.yaml"
    host, _, port = place.upstream.removeprefix("http://").partition(":")
    config.write_text(_ENVOY.format(socket=place.at, host=host, port=port))
    quiet = ["-l", "error", "--concurrency", "1", "--disable-hot-restart"]
    return [peers.envoy() or "envoy", "-c", str(config), *quiet]


def _litellm(place: Place) -> list[str]:
    config = place.home / "litellm.yaml"
    config.write_text(_LITELLM.format(model=CLOUD_MODEL, upstream=place.upstream))
    host, _, port = place.at.partition(":")
    where = ["--host", host, "--port", port, "--telemetry", "False", "--num_workers", "1"]
    return [*(peers.litellm() or ["litellm"]), "--config", str(config), *where]


_PEERS = {"envoy": _envoy, "nginx": _nginx, "aiohttp": _floor, "litellm": _litellm}
_ENVIRON = {
    "litellm": {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
}


def _port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


def wait(name: str, at: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a gateway accepts connections."""
    until = time.monotonic() + START
    while time.monotonic() < until and process.poll() is None:
        if accepts(at):
            return
        time.sleep(0.02)
    raise BenchmarkError(f"{name} did not start: {tail(log)}")
