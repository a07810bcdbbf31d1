"""Hears generation A's nodes announce themselves by UDP broadcast; never sends anything.

Exo v0.0.15 announces every 2.5 s on every interface; the datagram has no API port, and the address
is where it came from. Exo itself binds the port without sharing it: the second program fails, and
if that is Exo, it silently finds nobody. So "raw" hears without binding, and needs CAP_NET_RAW;
"bind" is for machines on which no generation A runs.
"""

import errno
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import IPv4Address
from typing import Literal

import anyio
import structlog
from anyio.abc import TaskStatus
from anyio.streams.memory import MemoryObjectSendStream

from exo_supervisor.core.events import Event, NodeSighted
from exo_supervisor.core.names import Address
from exo_supervisor.discovery.allowed_networks import AllowedNetworks
from exo_supervisor.discovery.interfaces import HAS_NETLINK
from exo_supervisor.discovery.raw import open_raw, payload
from exo_supervisor.discovery.throttle import MOST, Throttle
from exo_supervisor.wire.exo.legacy import read_discovery_datagram

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

PORT = 5678
"""Exo's default for `--listen-port` and `--broadcast-port`."""
REPEAT = 30.0
"""Seconds before an address is told of again."""
COMPLAIN = 60.0
"""Seconds between two log lines about datagrams that are no announcement."""

_LONGEST = 65_536
_PACKET_INFO = 8 if sys.platform == "linux" else 26  # IP_PKTINFO, ip(7), and ip(4) of macOS
_EXTRA = socket.CMSG_SPACE(12)
_BURST = 64
_BREATH = 0.1
"""At most 640 datagrams a second are looked at; the kernel drops the rest of a flood."""


Mode = Literal["raw", "bind"]


class Broadcast:
    """Sends a sighting for each source of an announcement; `retry` in seconds.

    `interfaces` are the only ones to listen on, none stand for all; of `remembered` addresses it is
    known when they were told of. `why_quiet` says why nothing
    can be heard, None while something can.
    """

    name = "broadcast"

    def __init__(
        self,
        inbox: MemoryObjectSendStream[Event],
        api_ports: Sequence[int],
        allowed: AllowedNetworks,
        *,
        mode: Mode = "bind",
        interfaces: Sequence[str] = (),
        port: int = PORT,
        retry: float = 60.0,
        remembered: int = MOST,
    ) -> None:
        self._inbox, self._api_ports, self._allowed = inbox, api_ports, allowed
        self._mode: Mode = mode
        self._port, self._retry = port, retry
        self._interfaces = interfaces
        self.why_quiet: str | None = "it has not started yet"
        self._throttle = Throttle(REPEAT, remembered)
        self._bad = 0
        self._complained = -COMPLAIN

    async def run(self, *, task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled; `started` tells the port that is heard.

        Returns at once, quiet for good, where "raw" may not.
        """
        if self._mode == "raw" and not HAS_NETLINK:
            self._give_up(_NOT_HERE, "not_linux", _BIND)
            task_status.started(self._port)
            return
        try:
            listener = await self._open()
        except PermissionError:
            self._give_up(_NO_CAPABILITY, "eperm", _CAPABILITY)
            task_status.started(self._port)
            return
        with listener:
            self.why_quiet = None
            task_status.started(listener.getsockname()[1] if self._mode == "bind" else self._port)
            while True:
                await anyio.wait_readable(listener)
                for event in self._drain(listener):
                    await self._inbox.send(event)
                await anyio.sleep(_BREATH)

    def _give_up(self, quiet: str, why: str, advice: str) -> None:
        self.why_quiet = quiet
        log.warning("broadcast_unavailable", port=self._port, why=why, advice=advice)

    def hear(self, datagram: bytes, source: str, now: float) -> list[NodeSighted]:
        """Turn one datagram into sightings; anything but an announcement is only counted."""
        if read_discovery_datagram(datagram) is None:
            self._count_bad(now)
            return []
        ip = IPv4Address(source)
        # The kernel lets no datagram from 127/8 in but over loopback.
        if not (ip.is_loopback or self._allowed.allows(ip)):
            self._count_bad(now)
            return []
        addresses = [Address(f"{source}:{port}") for port in self._api_ports]
        new = [each for each in addresses if self._throttle.take(each, now)]
        return [NodeSighted(node=each, url=f"http://{each}", source=self.name) for each in new]

    def _count_bad(self, now: float) -> None:
        self._bad += 1
        if now - self._complained >= COMPLAIN:
            log.info("broadcast_not_understood", datagrams=self._bad)
            self._bad, self._complained = 0, now

    def _drain(self, listener: socket.socket) -> Iterator[NodeSighted]:
        for _ in range(_BURST):
            try:
                datagram, extra, _, (source, _port) = listener.recvmsg(_LONGEST, _EXTRA)
            except (BlockingIOError, InterruptedError):
                return
            if self._interfaces and _came_in_by(extra) not in self._interfaces:
                continue
            told = payload(datagram, self._port) if self._mode == "raw" else datagram
            if told is not None:
                yield from self.hear(told, source, anyio.current_time())

    async def _open(self) -> socket.socket:
        """Open the listener, however long it takes; raises PermissionError where "raw" may not."""
        while True:
            try:
                return _ear(self._mode, self._port)
            except OSError as fault:
                if self._mode == "raw" and isinstance(fault, PermissionError):
                    raise
                why, advice = _unavailable(fault)
                quiet = f"UDP port {self._port} cannot be listened on: {why}"
                if self.why_quiet != quiet:
                    log.warning("broadcast_unavailable", port=self._port, why=why, advice=advice)
                self.why_quiet = quiet
            await anyio.sleep(self._retry)


_NOT_HERE = 'only Linux hears without binding: "bind", or name the nodes in discovery.static'
_BIND = 'set discovery.broadcast = "bind" if no exo of generation A runs here, else "off"'
_NO_CAPABILITY = (
    "Exo 0.0.x (generation A) is not overheard without CAP_NET_RAW: name its nodes in "
    "discovery.static, or install systemd/broadcast.conf"
)
_CAPABILITY = (
    "give the service CAP_NET_RAW (AmbientCapabilities= in its unit), name the nodes in "
    'discovery.static, or set discovery.broadcast = "bind" if no exo of generation A runs here'
)


def _ear(mode: Mode, port: int) -> socket.socket:
    """Open what hears the port, and says of each datagram by which interface it came."""
    listener = open_raw(port) if mode == "raw" else _bound(port)
    listener.setsockopt(socket.IPPROTO_IP, _PACKET_INFO, 1)
    return listener


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


def _came_in_by(extra: list[tuple[int, int, bytes]]) -> str | None:
    """Name the interface that a datagram came in by, as struct in_pktinfo tells it."""
    for level, kind, data in extra:
        if (level, kind) == (socket.IPPROTO_IP, _PACKET_INFO):
            with suppress(OSError):  # it went away meanwhile
                return socket.if_indextoname(int.from_bytes(data[:4], sys.byteorder))
    return None


def _unavailable(fault: OSError) -> tuple[str, str]:
    """Name why there is no listener, and say what to do."""
    if fault.errno == errno.EADDRINUSE:
        return "port_taken", (
            "another program listens there, perhaps an exo of generation A on this machine: "
            'name its nodes in discovery.static and set discovery.broadcast = "off"'
        )
    why = errno.errorcode.get(fault.errno or 0, "unknown").lower()
    return why, 'set discovery.broadcast = "off", or let this service listen'
