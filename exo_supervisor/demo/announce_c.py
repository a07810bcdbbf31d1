"""Generation C's own discovery, as Exo's zenoh line (commit 09f9ea313) does it on the wire.

Every byte is made here by hand, so that a mistake in how such datagrams are read elsewhere cannot
hide behind the same mistake.
"""

import secrets
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import anyio

from exo_supervisor.demo.cluster import Member

GROUP = "ff12::e0a1:de89"
PORT = 52413
ZENOH_PORT = 52414
NAMESPACE = bytes.fromhex("6e2bf1dad2aa1268")
"""The digest of the default, which is what Exo says unless `--namespace` is given."""

_LOOPBACK = "lo"


class AnnouncerC:
    """Says Hello, answers Hellos and counts who answered its own, until cancelled.

    `peers` maps the id of each node that was discovered to the address it answered from;
    `interfaces` are those to use, and all with an IPv6 address if none is named.
    """

    def __init__(self, node: Member, *, interfaces: Sequence[str] = ()) -> None:
        self._node, self._interfaces = node, interfaces
        self._nonce = b""
        self.peers: dict[str, str] = {}

    async def run(self) -> None:
        """Announce the node and discover its peers."""
        with _bound() as bound:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._attend, bound)
                joined: set[int] = set()
                while True:
                    self._nonce = secrets.token_bytes(8)
                    for index in await anyio.to_thread.run_sync(self._links):
                        if index not in joined:
                            joined.add(index)
                            _join(bound, index)
                        with suppress(OSError):
                            hello = b"EXO\x00" + self._nonce + NAMESPACE
                            bound.sendto(hello, (GROUP, PORT, 0, index))
                    await anyio.sleep(1.0)

    async def _attend(self, bound: socket.socket) -> None:
        while True:
            await anyio.wait_readable(bound)
            with suppress(OSError):
                datagram, source = bound.recvfrom(2048)
                self._take(bound, datagram, source)

    def _take(
        self, bound: socket.socket, datagram: bytes, source: tuple[str, int, int, int]
    ) -> None:
        zid = int(self._node.node_id, 16).to_bytes(16, "little")
        kind, nonce, rest = datagram[:4], datagram[4:12], datagram[12:]
        if kind == b"EXO\x00" and rest == NAMESPACE and nonce != self._nonce:
            bound.sendto(b"EXO\x01" + nonce + zid + struct.pack("<H", ZENOH_PORT), source)
        elif kind == b"EXO\x01" and nonce == self._nonce and rest[:16] != zid:
            peer = format(int.from_bytes(rest[:16], "little"), "x")
            self.peers[peer] = source[0]

    def _links(self) -> list[int]:
        """List the indices of the interfaces with an IPv6 address other than loopback's."""
        links: set[int] = set()
        with suppress(OSError):  # a kernel without IPv6 has no such file
            for line in Path("/proc/net/if_inet6").read_text().splitlines():
                _address, index, *_, name = line.split()
                if name != _LOOPBACK and (not self._interfaces or name in self._interfaces):
                    links.add(int(index, 16))
        return sorted(links)


def _bound() -> socket.socket:
    bound = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        bound.settimeout(0)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(("::", PORT))
    except OSError:
        bound.close()
        raise
    return bound


def _join(bound: socket.socket, index: int) -> None:
    member = struct.pack("=16sI", socket.inet_pton(socket.AF_INET6, GROUP), index)
    with suppress(OSError):
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
