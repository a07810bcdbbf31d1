"""Where connections to nodes may go: into this house, and on this machine to whom we know there."""

import os
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address

from exo_supervisor.app.who import user_id
from exo_supervisor.config.schema import Config
from exo_supervisor.core.house import in_the_house
from exo_supervisor.core.network import Why
from exo_supervisor.host import sock_diag
from exo_supervisor.host.owners import Owners, read_listeners, told_here

Ip = IPv4Address | IPv6Address
ROOT = 0


class Border:
    """Says of each address at which a connection to a node would end why it may not.

    A name is asked for anew at each connection, and may mean another host by then. `users` are
    those whose listeners on loopback may be an Exo; `owners` tells who listens there.
    """

    def __init__(
        self,
        ranges: Iterable[IPv4Network],
        users: Iterable[int],
        owners: Callable[[Ip, int], Awaitable[frozenset[int]]] | None,
    ) -> None:
        self._ranges, self._users, self._owners = tuple(ranges), frozenset(users), owners

    @property
    def owned(self) -> bool:
        """Say whether the owner of a loopback listener is looked up."""
        return self._owners is not None

    async def not_local(self, ip: Ip, _port: int) -> str | None:
        """Say why no connection to a provider of the house may be made; None if one may.

        Whose program listens on this machine is not asked: a person has named it.
        """
        here = _plain(ip)
        return None if here.is_loopback or self._inside(here) else "not_local"

    async def why_not(self, ip: Ip, port: int) -> Why | None:
        """Say why no connection may be made there; None if one may."""
        plain = _plain(ip)
        if plain.is_loopback or plain.is_unspecified:
            return await self._why_not_here(plain, port)
        return None if self._inside(plain) else "outside"

    def _inside(self, ip: Ip) -> bool:
        return in_the_house(ip) or any(ip in each for each in self._ranges)

    async def _why_not_here(self, ip: Ip, port: int) -> Why | None:
        """Look who listens on this machine; nobody now may be anybody by the time we connect."""
        if self._owners is None:
            return None
        try:
            listening = await self._owners(ip, port)
        except OSError:
            return "other_user"
        if not listening:
            return "refused"
        return "other_user" if listening - self._users else None


def _plain(ip: Ip) -> Ip:
    """Take an IPv4 address out of the IPv6 one that it may be wrapped in."""
    return (ip.ipv4_mapped if isinstance(ip, IPv6Address) else None) or ip


def border_of(config: Config) -> Border:
    """Make the border that a configuration asks for. Raises StartError."""
    discovery = config.discovery
    ranges = [IPv4Network(each) for each in discovery.ranges]
    users = user_ids(discovery.loopback_users)
    ask = sock_diag.read_listeners_at if sock_diag.HAS_NETLINK else None
    return Border(ranges, users, Owners(read_listeners, ask) if told_here() else None)


def user_ids(names: Iterable[str]) -> frozenset[int]:
    """Find the ids of root, of ourselves and of these users. Raises StartError."""
    named = (user_id(name, "discovery.loopback_users") for name in names)
    return frozenset({ROOT, os.geteuid(), *named})
