"""Makes the kernel learn who has which IPv4 address on a link, by sending each one nothing.

An empty UDP datagram to port 9 (RFC 863) of an address makes the kernel ask for its hardware
address; the datagram itself is thrown away. Kept rare, since it is noise on somebody's network.
"""

import socket
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address

from exo_supervisor.core.house import in_the_house
from exo_supervisor.discovery.neighbours import Link
from exo_supervisor.discovery.throttle import Throttle

AGAIN = 600.0
"""Seconds before the same hardware address is reason enough for another round."""
MOST_ROUNDS = 32
"""Rounds per link in `AGAIN` seconds, however many hardware addresses turn up."""

_DISCARD = 9
_WIDEST = 24


class ProbeLimit:
    """Remembers for whom, and how often, each link was nudged."""

    def __init__(self) -> None:
        self._seen = Throttle(AGAIN)
        self._rounds = [Throttle(AGAIN) for _ in range(MOST_ROUNDS)]

    def take(self, link: Link, mac: bytes, now: float) -> bool:
        """Say whether a link is to be nudged for a hardware address now; remember that it is."""
        if not self._seen.take(f"{link.name}/{mac.hex()}", now):
            return False
        return any(each.take(link.name, now) for each in self._rounds)


def probe_link(link: Link) -> int:
    """Send every possible neighbour of a link nothing; return how many datagrams left."""
    sent = 0
    for own in link.v4:
        if not in_the_house(own.ip):
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0)
            _keep_to(link, sender)
            for each in hosts(own):
                with suppress(OSError):
                    sent += sender.sendto(b"", (str(each), _DISCARD)) == 0
    return sent


def _keep_to(link: Link, sender: socket.socket) -> None:
    """Send by this link alone, where the system has it; older kernels let only root choose."""
    option: int | None = getattr(socket, "SO_BINDTODEVICE", None)
    if option is not None:
        with suppress(OSError):
            sender.setsockopt(socket.SOL_SOCKET, option, link.name.encode())


def probe_address(link: Link, ip: IPv6Address) -> bool:
    """Send one neighbour nothing, so that its own hardware address is known; tell if it left.

    Only to a link-local address, since a forged source could be anywhere.
    """
    if not ip.is_link_local:
        return False
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender, suppress(OSError):
        sender.settimeout(0)
        return sender.sendto(b"", (str(ip), _DISCARD, 0, link.index)) == 0
    return False


def hosts(own: IPv4Interface) -> Iterator[IPv4Address]:
    """List the other hosts of an address's own subnet, or of the /24 around it if that is wider."""
    prefix = max(own.network.prefixlen, _WIDEST)
    around = IPv4Network((own.ip, prefix), strict=False)
    yield from (each for each in around.hosts() if each != own.ip)
