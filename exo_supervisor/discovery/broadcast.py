"""Hears generation A's nodes announce themselves by UDP broadcast; never sends anything.

Exo v0.0.15 announces every 2.5 s on every interface; the datagram has no API port, and the address
is where it came from. Exo itself binds the port without sharing it: whoever comes second fails, and
a second Exo then silently finds nobody. So this is for machines on which no generation A runs.
"""

import errno
import socket
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address

import anyio
import structlog
from anyio.abc import TaskStatus
from anyio.streams.memory import MemoryObjectSendStream

from exo_supervisor.core.events import Event, NodeSighted
from exo_supervisor.core.names import Address
from exo_supervisor.discovery.recent import Recent
from exo_supervisor.discovery.vicinity import in_the_house
from exo_supervisor.wire.exo import read_discovery_datagram

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

PORT = 5678
"""Exo's default for `--listen-port` and `--broadcast-port`."""
REPEAT = 30.0
"""Seconds before an address is told of again."""
COMPLAIN = 60.0
"""Seconds between two log lines about datagrams that are no announcement."""

_LONGEST = 65_536
_BURST = 64
_BREATH = 0.1
"""At most 640 datagrams a second are looked at; the kernel drops the rest of a flood."""


class Broadcast:
    """Sends a sighting for each source of an announcement; `retry` in seconds."""

    name = "broadcast"

    def __init__(
        self,
        inbox: MemoryObjectSendStream[Event],
        api_ports: Sequence[int],
        *,
        port: int = PORT,
        retry: float = 60.0,
    ) -> None:
        self._inbox, self._api_ports = inbox, api_ports
        self._port, self._retry = port, retry
        self._recent = Recent(REPEAT)
        self._bad = 0
        self._complained = -COMPLAIN

    async def run(self, *, task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled; `started` tells the port that was bound."""
        with await self._bind() as bound:
            task_status.started(bound.getsockname()[1])
            while True:
                await anyio.wait_readable(bound)
                for event in self._drain(bound):
                    await self._inbox.send(event)
                await anyio.sleep(_BREATH)

    def hear(self, datagram: bytes, source: str, now: float) -> list[NodeSighted]:
        """Turn one datagram into sightings; anything but an announcement is only counted."""
        if read_discovery_datagram(datagram) is None:
            self._count_bad(now)
            return []
        # The kernel lets no datagram from 127/8 in but over loopback.
        if not in_the_house(IPv4Address(source), loopback=True):
            self._count_bad(now)
            return []
        addresses = [Address(f"{source}:{port}") for port in self._api_ports]
        return [
            NodeSighted(node=address, url=f"http://{address}", source=self.name)
            for address in addresses
            if self._recent.take(address, now)
        ]

    def _count_bad(self, now: float) -> None:
        self._bad += 1
        if now - self._complained >= COMPLAIN:
            log.info("broadcast_not_understood", datagrams=self._bad)
            self._bad, self._complained = 0, now

    def _drain(self, bound: socket.socket) -> Iterator[NodeSighted]:
        for _ in range(_BURST):
            try:
                datagram, (source, _port) = bound.recvfrom(_LONGEST)
            except (BlockingIOError, InterruptedError):
                return
            yield from self.hear(datagram, source, anyio.current_time())

    async def _bind(self) -> socket.socket:
        told = False
        while True:
            try:
                return _bound(self._port)
            except OSError as fault:
                if not told:
                    _tell_unavailable(self._port, fault)
                told = True
            await anyio.sleep(self._retry)


def _bound(port: int) -> socket.socket:
    """Bind without any REUSE flag: sharing the port would take datagrams away from an Exo."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        listener.settimeout(0)
        listener.bind(("0.0.0.0", port))  # noqa: S104 - broadcasts reach no other address
    except OSError:
        listener.close()
        raise
    return listener


def _tell_unavailable(port: int, fault: OSError) -> None:
    taken = fault.errno == errno.EADDRINUSE
    log.warning(
        "broadcast_unavailable",
        port=port,
        why="port_taken" if taken else errno.errorcode.get(fault.errno or 0, "unknown").lower(),
        advice=(
            "another program listens there, perhaps an exo of generation A on this machine: "
            'name its nodes in discovery.static and set discovery.broadcast = "off"'
            if taken
            else 'set discovery.broadcast = "off", or let this service bind the port'
        ),
    )
