"""Where the API of a node is that was heard over IPv6, since Exo's API listens on IPv4 only."""

from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address

import anyio
import structlog

from exo_supervisor.core.names import Address, NodeId
from exo_supervisor.discovery.allowed_networks import AllowedNetworks
from exo_supervisor.discovery.arp_probe import ProbeLimit, probe_address, probe_link
from exo_supervisor.discovery.crawl import candidates
from exo_supervisor.discovery.neighbours import Link, Neighbour, read_neighbours, same_machine

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

MOST = 8
"""Addresses of one node that are worth a look."""

_LOOKS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds to wait before each look at the kernel's table; nudged neighbours answer in between."""


class AddressLookup:
    """Joins what clusters tell with who shares a hardware address on a link.

    `addresses` tells what is known of where a node is, as `ip:port` or bare `ip`, and has seen to
    whose word it is.
    """

    def __init__(
        self,
        api_ports: Sequence[int],
        addresses: Callable[[NodeId], Sequence[str]],
        allowed: AllowedNetworks,
        *,
        neighbours: Callable[[], Sequence[Neighbour]] = read_neighbours,
    ) -> None:
        self._api_ports, self._addresses = api_ports, addresses
        self._networks, self._neighbours = allowed, neighbours
        self._probe_limit = ProbeLimit()

    async def find(self, node_id: NodeId, source: IPv6Address, link: Link) -> list[Address]:
        """List the addresses of a node's API that may be asked, or none if nothing tells."""
        known = self._allowed(node_id, self._addresses(node_id), rooted=True)
        if known:
            return known
        if source in link.v6:
            shared = [each.ip for each in link.v4]
        else:
            shared = await self._ask_kernel(source, link)
        return self._allowed(node_id, [str(each) for each in shared], rooted=False)

    def _allowed(self, node_id: NodeId, told: Sequence[str], *, rooted: bool) -> list[Address]:
        allowed = partial(self._networks.allows, rooted=rooted)
        return list(candidates({node_id: told}, self._api_ports, allowed))[:MOST]

    async def _ask_kernel(self, source: IPv6Address, link: Link) -> list[IPv4Address]:
        """List the IPv4 addresses that share a hardware address, nudging whom it takes."""
        nudged = False
        for pause in _LOOKS:
            await anyio.sleep(pause)
            try:
                mac, shared = same_machine(source, link.index, self._neighbours())
            except OSError:
                return []
            if shared:
                return shared
            if mac is None:
                probe_address(link, source)
            elif not nudged:
                if not self._probe_limit.take(link, mac, anyio.current_time()):
                    return []
                nudged = True
                log.debug("link_nudged", link=link.name, datagrams=probe_link(link))
        return []
