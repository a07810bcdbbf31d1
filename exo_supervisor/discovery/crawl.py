"""Asks the clusters that are known which nodes they know.

What a node tells is a stranger's word: it leads to few addresses at a time, and only to those of
our own links, at Exo's usual ports. What a crawl tells that began at a node which a person named, a
seed, is *rooted* in that person's word: it leads to any private address, however many nodes stand
in between, as long as each was named by the one before.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from ipaddress import IPv4Address
from urllib.parse import urlsplit

import anyio
import structlog
from anyio.streams.memory import MemoryObjectSendStream
from msgspec import Struct

from exo_supervisor.core.bounded import Bounded
from exo_supervisor.core.events import AddressesRead, Event, NodeSighted
from exo_supervisor.core.names import Address, NodeId
from exo_supervisor.discovery.allowed_networks import AllowedNetworks, on_docker_bridge
from exo_supervisor.discovery.throttle import Throttle
from exo_supervisor.runtime.fetch import Get, GetError
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.exo.addresses import read_addresses, read_state_addresses

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

EAGER = 1.0
"""Seconds between two looks for a cluster to ask, while none is known."""
REPEAT = 300.0
"""Seconds before an address is told of again, which keeps it from being forgotten."""
MOST_REMEMBERED = 2048
"""Nodes whose addresses are remembered; the one heard of longest ago makes room."""
MOST_AT_ONCE = 64
"""New sightings in one round; the rest has its turn in the next."""

_LONGEST = 32 * 2**20
_OK = 200


class _Told(Struct, frozen=True):
    """Where a node was said to be, and whether that goes back to a person's word."""

    addresses: tuple[str, ...]
    rooted: bool


class CrawlPoint(Struct, frozen=True):
    """One member of a B or C cluster; those that a person named are asked first.

    Only one that is `trusted` may lead to other ports than Exo's usual ones.
    """

    url: str
    state_paths: bool
    seeded: bool
    node: Address = Address("")
    trusted: bool = False


class Crawl:
    """Sends a sighting for each address that a cluster tells of; times in seconds."""

    name = "crawl"

    def __init__(
        self,
        get: Get,
        inbox: MemoryObjectSendStream[Event],
        members: Callable[[], Sequence[CrawlPoint]],
        api_ports: Sequence[int],
        allowed: AllowedNetworks,
        *,
        interval: float = 30.0,
        timeout: float = 5.0,
    ) -> None:
        self._get, self._inbox, self._members = get, inbox, members
        self._api_ports, self._interval, self._timeout = api_ports, interval, timeout
        self._allowed = allowed
        self._throttle = Throttle(REPEAT)
        self._told = Bounded[NodeId, _Told](MOST_REMEMBERED)
        self._rooted = Bounded[str, None](MOST_REMEMBERED)

    def addresses(self, node_id: NodeId) -> tuple[str, ...]:
        """Give what clusters told of a node: `ip:port` where it was reached, or a bare `ip`.

        Only what may be looked at by the word of who told it.
        """
        told = self._told.get(node_id)
        if told is None:
            return ()
        allowed = partial(self._allowed.allows, rooted=told.rooted)
        return tuple(text for text in told.addresses if allowed(_ip(text)))

    def rooted(self, url: str) -> bool:
        """Say whether a crawl that began at a seed led to the node of this URL."""
        return url in self._rooted

    async def run(self) -> None:
        """Crawl until cancelled."""
        await anyio.sleep(EAGER)
        while True:
            points = sorted(self._members(), key=lambda point: not point.seeded)
            left = MOST_AT_ONCE
            for point in points:
                left -= await self._crawl(point, left)
            await anyio.sleep(self._interval if points else EAGER)

    async def _crawl(self, point: CrawlPoint, most: int) -> int:
        """Ask one cluster and tell of at most so many addresses; return how many it were."""
        try:
            told = await self._ask(point)
        except GetError as fault:
            log.debug("crawl_failed", url=point.url, why=fault.why)
            return 0
        except WireError:
            log.debug("crawl_failed", url=point.url, why="bad_answer")
            return 0
        rooted = point.seeded or self.rooted(point.url)
        if point.trusted:
            await self._inbox.send(AddressesRead(node=point.node, addresses=told))
        else:
            told = {node_id: self._at_usual_ports(each) for node_id, each in told.items()}
        self._remember(told, rooted=rooted)
        new = 0
        loopback = _is_loopback(urlsplit(point.url).hostname or "")
        allowed = partial(self._allows, rooted=rooted, loopback=loopback)
        for address in candidates(told, self._api_ports, allowed):
            if new >= most:
                break
            url = f"http://{address}"
            if rooted:
                self._rooted.renew(url, None)
            if self._throttle.take(address, anyio.current_time()):
                new += 1
                await self._inbox.send(NodeSighted(node=address, url=url, source=self.name))
        return new

    def _at_usual_ports(self, told: Sequence[str]) -> tuple[str, ...]:
        """Leave out the ports that a stranger names: anything may listen there, and no Exo."""
        usual = {f":{port}" for port in self._api_ports}
        return tuple(text for text in told if text[text.find(":") :] in usual or ":" not in text)

    def _allows(self, ip: IPv4Address, *, rooted: bool, loopback: bool) -> bool:
        return (loopback and ip.is_loopback) or self._allowed.allows(ip, rooted=rooted)

    def _remember(self, told: Mapping[NodeId, tuple[str, ...]], *, rooted: bool) -> None:
        for node_id, addresses in told.items():
            before = self._told.get(node_id)
            keep = before is not None and before.rooted and not rooted
            self._told.renew(node_id, before if before and keep else _Told(addresses, rooted))

    async def _ask(self, point: CrawlPoint) -> dict[NodeId, tuple[str, ...]]:
        state = f"{point.url.rstrip('/')}/state"
        if not point.state_paths:
            return read_state_addresses(await self._body(state))
        network = await self._body(f"{state}/nodeNetwork")
        topology = await self._body(f"{state}/topology")
        return read_addresses(network, topology)

    async def _body(self, url: str) -> bytes:
        reply = await self._get(url, timeout=self._timeout, limit=_LONGEST)
        if reply.status != _OK:
            raise GetError("bad_answer", f"status {reply.status}")
        return reply.body


def candidates(
    told: Mapping[NodeId, Sequence[str]],
    api_ports: Sequence[int],
    allowed: Callable[[IPv4Address], bool],
) -> Iterator[Address]:
    """List the addresses worth a look, of those that are allowed, the likelier ones first.

    Of a node that another one reached, where it was reached; of the others, every interface at
    every usual port. Link-local addresses come last.
    """
    reached: dict[str, IPv4Address] = {}
    bare: dict[str, IPv4Address] = {}
    for each in told.values():
        usable = {text: ip for text in each if allowed(ip := _ip(text))}
        tried = {text: ip for text, ip in usable.items() if ":" in text}
        reached |= tried
        for host, ip in usable.items() if not tried else ():
            if not on_docker_bridge(ip) and not ip.is_loopback:
                bare |= {f"{host}:{port}": ip for port in api_ports}
    likely = [*reached.items(), *bare.items()]
    yield from dict.fromkeys(Address(text) for text, ip in likely if not ip.is_link_local)
    yield from dict.fromkeys(Address(text) for text, ip in likely if ip.is_link_local)


def _ip(told: str) -> IPv4Address:
    return IPv4Address(told.partition(":")[0])


def _is_loopback(host: str) -> bool:
    try:
        return IPv4Address(host).is_loopback
    except ValueError:
        return host in {"localhost", "::1"}
