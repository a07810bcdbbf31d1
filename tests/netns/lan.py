"""Hosts as network namespaces on one switch, for root on Linux."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

ROOT = Path(__file__).parent.parent.parent
SUBNET = "10.66.0"
API_PORT = 52415
ENDS_WITHIN = 180.0
"""Seconds for what is run on a host; a machine that is slow and shared takes its time."""


def why_not() -> str | None:
    """Say why this machine cannot have such hosts, or None."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "network namespaces are for root"
    if shutil.which("ip") is None:
        return "network namespaces are made with ip, of iproute2"
    probe = f"exo-probe-{os.getpid()}"
    try:
        run("ip", "netns", "add", probe)
    except subprocess.CalledProcessError:
        return "this machine allows no network namespaces"
    run("ip", "netns", "del", probe)
    return None


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)  # noqa: S603 - words of this file


class Lan:
    """A switch without a way out, and its hosts, numbered from 1: `10.66.0.1` and so on."""

    def __init__(self, *hosts: str, subnet: str = SUBNET) -> None:
        self._prefix = f"exo{os.getpid()}"
        self.hosts = {host: f"{subnet}.{n}" for n, host in enumerate(hosts, 1)}

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:  # what stands of it would be in the way of who gets our number next
            self.__exit__()
            raise
        return self

    def _build(self) -> None:
        self._add("switch")
        run("ip", "-n", self.namespace("switch"), "link", "add", "br0", "type", "bridge")
        # Without spanning tree a port forwards at once.
        run("ip", "-n", self.namespace("switch"), "link", "set", "br0", "up")
        for host, ip in self.hosts.items():
            self._add(host)
            self._plug(host, ip)

    def __exit__(self, *_: object) -> None:
        for host in (*self.hosts, "switch"):
            with suppress(subprocess.CalledProcessError):  # it was not reached
                run("ip", "netns", "del", self.namespace(host))

    def start(
        self,
        host: str,
        *words: str,
        env: Mapping[str, str] | None = None,
        err: IO[bytes] | None = None,
    ) -> subprocess.Popen[str]:
        """Start Python on a host; its first output says that it is up."""
        command = ["ip", "netns", "exec", self.namespace(host), sys.executable, "-m", *words]
        return subprocess.Popen(  # noqa: S603 - words of these tests
            command,
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
        )

    def ask(self, host: str, *words: str) -> Any:  # noqa: ANN401 - any JSON
        """Run Python on a host, and return the JSON that it prints last."""
        with ended(self.start(host, *words)) as process:
            out, _ = process.communicate(timeout=ENDS_WITHIN)
            assert process.returncode == 0
        return json.loads(out.splitlines()[-1])

    def become(self, host: str, mac: str) -> None:
        """Let another machine be at a host's address, and say so as one that is switched on does.

        Without that word the kernels around hold to the machine before, for 35 to 50 s [ran].
        """
        here = self.namespace(host)
        run("ip", "netns", "exec", here, "sysctl", "-qw", "net.ipv4.conf.eth0.arp_notify=1")
        run("ip", "-n", here, "link", "set", "eth0", "address", mac)

    def unplug(self, host: str) -> None:
        """Cut a host off without a word."""
        run("ip", "-n", self.namespace("switch"), "link", "set", f"to-{host}", "down")

    @contextmanager
    def node(self, host: str, generation: str) -> Generator[None]:
        """Have a demo node on a host, which announces itself."""
        options = ["--generation", generation, "--announce", "--host", "0.0.0.0"]
        demo = ("exo_supervisor.demo", *options, "--port", str(API_PORT))
        with ended(self.start(host, *demo)) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("http://")
            yield

    def namespace(self, host: str) -> str:
        return f"{self._prefix}-{host}"

    def _add(self, host: str) -> None:
        run("ip", "netns", "add", self.namespace(host))
        quick = ("net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")
        run("ip", "netns", "exec", self.namespace(host), "sysctl", "-qw", *quick)

    def _plug(self, host: str, ip: str) -> None:
        switch, here = self.namespace("switch"), self.namespace(host)
        peer = ("peer", "name", f"to-{host}", "netns", switch)
        run("ip", "-n", here, "link", "add", "eth0", "type", "veth", *peer)
        run("ip", "-n", switch, "link", "set", f"to-{host}", "master", "br0", "up")
        run("ip", "-n", here, "addr", "add", f"{ip}/24", "brd", "+", "dev", "eth0")
        for link in ("lo", "eth0"):
            run("ip", "-n", here, "link", "set", link, "up")
        run("ip", "-n", here, "route", "add", "default", "dev", "eth0")


@contextmanager
def ended(process: subprocess.Popen[str]) -> Generator[subprocess.Popen[str]]:
    """End a process that we started, however the test ends."""
    with process:
        try:
            yield process
        finally:
            process.kill()
