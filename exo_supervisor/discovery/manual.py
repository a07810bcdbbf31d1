"""Reads the file in which generation A's manual discovery is told of its peers.

The file is a person's word, so what it names may be any private address, any in `ranges`, or this
machine's own. It is no list of seeds: nobody waits for its nodes at the start, and one that is
silent for long is forgotten until the file changes or names it again five minutes later. Exo
v0.0.15 takes names of hosts, too; those belong in `discovery.static`.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from ipaddress import AddressValueError, IPv4Address

import anyio
import structlog
from anyio import to_thread
from anyio.streams.memory import MemoryObjectSendStream

from exo_supervisor.core.events import Event, NodeSighted
from exo_supervisor.core.names import Address
from exo_supervisor.discovery.allowed_networks import AllowedNetworks
from exo_supervisor.discovery.throttle import Throttle
from exo_supervisor.errors import why_failed
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.exo.legacy import read_manual_peers

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

EVERY = 5.0
"""Seconds between two looks at the file, as Exo has it."""
REPEAT = 300.0
"""Seconds before an address is told of again."""
MOST = 256
"""Peers of one file that count."""

_LARGEST = 2**20
_SHOWN = 5

Stamp = tuple[int, int, int]


class Manual:
    """Sends a sighting for each peer of the file, at every API port; `every` in seconds.

    A file that is bad says so once, and what was read before still counts; `why_quiet` says what is
    wrong with it now, None if nothing is.
    """

    name = "manual_file"

    def __init__(
        self,
        inbox: MemoryObjectSendStream[Event],
        api_ports: Sequence[int],
        allowed: AllowedNetworks,
        path: str,
        *,
        every: float = EVERY,
    ) -> None:
        self._inbox, self._api_ports, self._allowed = inbox, api_ports, allowed
        self._path, self._every = path, every
        self._stamp: Stamp | None = None
        self._peers: list[IPv4Address] = []
        self._throttle = Throttle(REPEAT)
        self.why_quiet: str | None = None

    async def run(self) -> None:
        """Look at the file until cancelled."""
        while True:
            try:
                found = await to_thread.run_sync(read_if_changed, self._path, self._stamp)
            except (OSError, ValueError) as fault:
                self._stamp = None
                self._complain(f"it cannot be read: {why_failed(fault)}")
            else:
                if found is not None:
                    self._stamp, body = found
                    self._take(body)
            for event in self._news(anyio.current_time()):
                await self._inbox.send(event)
            await anyio.sleep(self._every)

    def _take(self, body: bytes) -> None:
        self.why_quiet = None
        try:
            told = read_manual_peers(body)
        except WireError as fault:
            self._complain(str(fault))
            return
        usable = [ip for text in told if (ip := self._usable(text)) is not None]
        self._peers = list(dict.fromkeys(usable))[:MOST]
        skipped = [text for text in told if self._usable(text) is None]
        if skipped:
            first = skipped[:_SHOWN]
            log.warning("manual_peers_skipped", count=len(skipped), first=first, advice=_ADVICE)

    def _usable(self, text: str) -> IPv4Address | None:
        try:
            ip = IPv4Address(text)
        except AddressValueError:
            return None
        return ip if ip.is_loopback or self._allowed.allows(ip, rooted=True) else None

    def _news(self, now: float) -> Iterator[NodeSighted]:
        for ip in self._peers:
            for port in self._api_ports:
                address = Address(f"{ip}:{port}")
                if self._throttle.take(address, now):
                    yield NodeSighted(node=address, url=f"http://{address}", source=self.name)

    def _complain(self, why: str) -> None:
        """Say what is wrong with the file, once for each time that it changes."""
        if why != self.why_quiet:
            log.warning("manual_file_bad", file=self._path, why=why)
        self.why_quiet = why


_ADVICE = (
    "a peer's address is a private IPv4 address or one in discovery.ranges; "
    "a host's name belongs in discovery.static"
)


def read_if_changed(path: str, known: Stamp | None) -> tuple[Stamp, bytes] | None:
    """Read a file that is another than the `known` one; None if it is the same.

    Raises OSError, and ValueError for what is no file of at most a megabyte.
    """
    # A pipe would keep us waiting for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no regular file")
        stamp = status.st_mtime_ns, status.st_size, status.st_ino
        if stamp == known:
            return None
        body = file.read(_LARGEST + 1)
    if len(body) > _LARGEST:
        raise ValueError("it is larger than a megabyte")
    return stamp, body
