"""Asks who speaks libp2p on the LAN: generation B's nodes answer, and so do other programs.

The answer says who listens on which addresses, not where the API is: what answers on an API port
must call itself by the announced id. Nothing here ever answers for the service name, since Exo
dials whatever it hears of. Nodes leave without a word: only a probe finds out.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from ipaddress import IPv4Address

import anyio
import structlog
from anyio import to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from exo_supervisor.core.events import Event, NodeSighted
from exo_supervisor.core.names import Address, NodeId
from exo_supervisor.discovery.allowed_networks import AllowedNetworks, on_docker_bridge
from exo_supervisor.discovery.ipv4 import own_addresses
from exo_supervisor.discovery.throttle import Throttle

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

REPEAT = 30.0
"""Seconds before it is told again that a node is at an address."""
SLOWEST = 120.0
"""Seconds between two questions at last: each makes all nodes send all they have."""

LOOK = 5.0
"""Seconds between two looks at which interfaces there are."""

_WAITING = 128
_BREATH = 0.01
"""At most 100 answers a second are looked at, and of each the first addresses."""

Claim = tuple[NodeId, IPv4Address]
Ask = Callable[[], None]
Open = Callable[
    [Sequence[IPv4Address], MemoryObjectSendStream[list[Claim]]], AbstractAsyncContextManager[Ask]
]

_ADVICE = "name the nodes in discovery.static, or set discovery.mdns = false"


class Mdns:
    """Sends a sighting for each address that a node announces.

    `interfaces` are names, none stand for all; each `look` seconds it is seen which there are. The
    loopback interface, and the address 127.0.0.1 that every node announces, are for `loopback`.
    `why_quiet` says why nothing can be heard, None while something can.
    """

    name = "mdns"

    def __init__(
        self,
        inbox: MemoryObjectSendStream[Event],
        api_ports: Sequence[int],
        allowed: AllowedNetworks,
        *,
        interfaces: Sequence[str] = (),
        loopback: bool = False,
        look: float = LOOK,
    ) -> None:
        self._inbox, self._api_ports, self._allowed = inbox, api_ports, allowed
        self._interfaces, self._loopback, self._look = interfaces, loopback, look
        self._throttle = Throttle(REPEAT)
        self.why_quiet: str | None = None

    async def run(self) -> None:
        """Ask and listen until cancelled; begin anew whenever the own addresses change."""
        while True:
            here = self._here()
            try:
                if here:
                    await self._listen(here)
                    continue
                why = "no interface that can multicast has an IPv4 address"
            except OSError as fault:
                why = f"UDP port 5353 cannot be listened on: {type(fault).__name__}"
            if self.why_quiet != why:
                log.warning("mdns_unavailable", why=why, advice=_ADVICE)
            self.why_quiet = why
            await anyio.sleep(self._look)

    def hear(self, claims: Iterable[Claim], now: float) -> Iterator[NodeSighted]:
        """Turn what one answer claims into sightings, the likelier ones first."""
        for node_id, ip in sorted(set(claims), key=lambda claim: on_docker_bridge(claim[1])):
            if not (self._loopback and ip.is_loopback) and not self._allowed.allows(ip):
                continue
            for port in self._api_ports:
                address = Address(f"{ip}:{port}")
                if self._throttle.take(f"{node_id} {address}", now):
                    yield NodeSighted(
                        node=address, url=f"http://{address}", source=self.name, claimed=node_id
                    )

    def _here(self) -> tuple[IPv4Address, ...]:
        return own_addresses(self._interfaces, loopback=self._loopback)

    async def _listen(self, here: tuple[IPv4Address, ...]) -> None:
        """Ask and listen until the own addresses are others."""
        open_group = await to_thread.run_sync(_import_group)
        send, heard = anyio.create_memory_object_stream[list[Claim]](_WAITING)
        async with send, heard, open_group(here, send) as ask:
            self.why_quiet = None
            log.info("mdns_listening", interfaces=len(here))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_repeat, ask)
                tasks.start_soon(self._tell, heard)
                await self._until_moved(here)
                tasks.cancel_scope.cancel()

    async def _until_moved(self, here: tuple[IPv4Address, ...]) -> None:
        while True:
            await anyio.sleep(self._look)
            if self._here() != here:
                return

    async def _tell(self, heard: MemoryObjectReceiveStream[list[Claim]]) -> None:
        async for claims in heard:
            for event in self.hear(claims, anyio.current_time()):
                await self._inbox.send(event)
            await anyio.sleep(_BREATH)


def questions() -> Iterator[float]:
    """Say how many seconds to wait before each question: 0, 1, 2, 4 and on to 120, for ever."""
    yield 0.0
    pause = 1.0
    while True:
        yield pause
        pause = min(2 * pause, SLOWEST)


async def _repeat(ask: Ask) -> None:
    for pause in questions():
        await anyio.sleep(pause)
        ask()


def _import_group() -> Open:
    """Import zeroconf, in a thread and once we serve: it takes as long as half of a start."""
    from exo_supervisor.discovery.mdns_group import open_group  # noqa: PLC0415 - see above

    return open_group
