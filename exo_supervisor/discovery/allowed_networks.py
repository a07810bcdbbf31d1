"""Which addresses a stranger's word may lead to: those of our own links, and what a person adds."""

import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network

import structlog

from exo_supervisor.core.house import in_the_house
from exo_supervisor.discovery.neighbours import read_networks

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

LOOK = 1.0
"""Seconds for which the list of our own networks is good; interfaces come and go."""

_DOCKER = IPv4Network("172.17.0.0/16")


class AllowedNetworks:
    """Says which hosts may be asked if they are Exo nodes, by whose word it is.

    `ranges` are networks that a person adds; `interfaces` are the only links that count as our own,
    none stand for all; `networks` reads the networks of the links named. This machine's loopback
    is no link: who may lead there decides for itself.
    """

    def __init__(
        self,
        ranges: Sequence[IPv4Network] = (),
        interfaces: Sequence[str] = (),
        *,
        networks: Callable[[Sequence[str]], Sequence[IPv4Network]] = read_networks,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ranges, self._interfaces = ranges, interfaces
        self._networks, self._clock = networks, clock
        self._own: Sequence[IPv4Network] = ()
        self._read_at: float | None = None
        self._deaf = False

    def allows(self, ip: IPv4Address, *, rooted: bool = False) -> bool:
        """Say whether a host may be asked.

        Anybody may lead to the private networks of our own links as they are now, and to `ranges`.
        A word that is `rooted`, in a node that a person named, may lead to any private address.
        """
        if any(ip in network for network in self._ranges):
            return True
        if not in_the_house(ip):
            return False
        return rooted or any(ip in network for network in self._own_now())

    def _own_now(self) -> Sequence[IPv4Network]:
        now = self._clock()
        if self._read_at is None or now - self._read_at >= LOOK:
            self._read_at = now
            try:
                self._own, self._deaf = self._networks(self._interfaces), False
            except OSError as fault:  # what was known is kept
                if not self._deaf:
                    log.warning("own_links_unknown", why=fault.strerror, advice=_ADVICE)
                self._deaf = True
        return self._own


_ADVICE = "let the service use AF_NETLINK, or name the networks in discovery.ranges"


def on_docker_bridge(ip: IPv4Address) -> bool:
    """Say whether an address is of Docker's default bridge, which exists on many hosts at once."""
    return ip in _DOCKER
