"""Generation A's way to find its peers (v0.0.15-alpha): a datagram to everyone, every 2.5 s."""

import json
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

import anyio

from exo_supervisor.demo.cards import LEGACY_DEVICE
from exo_supervisor.demo.cluster import Member
from exo_supervisor.demo.links import links

PORT = 5678
EVERY = 2.5
GRPC_PORT = 60001

_KINDS = {
    ("docker", "br-", "veth", "cni", "flannel"): (7, "Container Virtual"),
    ("lo",): (6, "Loopback"),
    ("eth", "en"): (4, "Ethernet"),
    ("wl",): (3, "WiFi"),
    ("tun", "tap", "utun"): (1, "External Virtual"),
}
_OTHER = (2, "Other")


class AnnouncerA:
    """Announces one node and listens for others.

    `peers` maps the id of each that was heard to its address. `deaf` is true once the port was
    taken: the real program then loses its listener, goes on announcing and never tries again.
    """

    def __init__(
        self,
        node: Member,
        *,
        interfaces: Sequence[str] = (),
        port: int = PORT,
        every: float = EVERY,
    ) -> None:
        self.node, self.interfaces, self.port, self.every = node, interfaces, port, every
        self.peers: dict[str, str] = {}
        self.deaf = False

    async def run(self) -> None:
        """Announce and listen until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen)
            while True:
                for name, address in links(self.interfaces).items():
                    self._announce(name, address)
                await anyio.sleep(self.every)

    def datagram(self, interface: str) -> bytes:
        """Write what is sent on one interface."""
        kinds = (kind for starts, kind in _KINDS.items() if interface.startswith(starts))
        priority, kind = next(kinds, _OTHER)
        announcement = {
            "type": "discovery",
            "node_id": self.node.node_id,
            "grpc_port": GRPC_PORT,
            "device_capabilities": LEGACY_DEVICE,
            "priority": priority,
            "interface_name": interface,
            "interface_type": kind,
        }
        return json.dumps(announcement).encode()

    def _announce(self, interface: str, address: str) -> None:
        """Send from a fresh socket to the /24's broadcast address, whatever the real mask."""
        datagram = self.datagram(interface)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sender.settimeout(0)
            with suppress(OSError):  # the interface left meanwhile, or is down
                sender.bind((address, 0))
                for to in (f"{address.rpartition('.')[0]}.255", "255.255.255.255"):
                    sender.sendto(datagram, (to, self.port))

    async def _listen(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
            listener.settimeout(0)
            try:
                listener.bind(("0.0.0.0", self.port))  # noqa: S104 - as the real one does
            except OSError:
                self.deaf = True
                return
            while True:
                await anyio.wait_readable(listener)
                datagram, (source, _port) = listener.recvfrom(65_536)
                self._hear(datagram, source)

    def _hear(self, datagram: bytes, source: str) -> None:
        try:
            heard = json.loads(datagram)
        except (ValueError, RecursionError):
            return
        if not isinstance(heard, dict):
            return
        said = cast("dict[str, object]", heard)
        who = said.get("node_id")
        if said.get("type") == "discovery" and isinstance(who, str) and who != self.node.node_id:
            self.peers[who] = source
            self.node.stir()
