"""Which IPv4 addresses this machine has now; interfaces come and go."""

import socket
import struct
from collections.abc import Iterator, Sequence
from fcntl import ioctl
from ipaddress import IPv4Address, IPv4Interface

from exo_supervisor.discovery.interfaces import HAS_NETLINK, read_interfaces

_GET_ADDRESS, _GET_FLAGS = 0x8915, 0x8913  # SIOCGIFADDR and SIOCGIFFLAGS, netdevice(7)
_UP, _LOOPBACK, _RUNNING, _MULTICAST = 0x1, 0x8, 0x40, 0x1000  # IFF_*, the same


def own_addresses(names: Sequence[str] = (), *, loopback: bool = False) -> tuple[IPv4Address, ...]:
    """List the first address of each interface that is up and can multicast, in order.

    No `names` stand for every interface; this machine's own only on `loopback`.
    """
    if not HAS_NETLINK:
        return tuple(sorted(set(_listed(names, loopback=loopback))))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        return tuple(sorted(set(_addresses(probe, names, loopback=loopback))))


def _listed(names: Sequence[str], *, loopback: bool) -> Iterator[IPv4Address]:
    """List what a system without Linux's ioctls tells: an interface that is up can multicast."""
    seen: set[str] = set()
    for each in read_interfaces():
        if not isinstance(each.address, IPv4Interface) or each.name in seen:
            continue
        wanted = each.flags & _UP and (loopback or not each.flags & _LOOPBACK)
        if wanted and (not names or each.name in names):
            seen.add(each.name)
            yield each.address.ip


def _addresses(
    probe: socket.socket, names: Sequence[str], *, loopback: bool
) -> Iterator[IPv4Address]:
    for _, name in socket.if_nameindex():
        if names and name not in names:
            continue
        request = struct.pack("16s24x", name.encode())
        try:
            flags: int = struct.unpack_from("=16xH", ioctl(probe, _GET_FLAGS, request))[0]
            address = ioctl(probe, _GET_ADDRESS, request)[20:24]
        except OSError:  # it has no IPv4 address, or left meanwhile
            continue
        wanted = loopback if flags & _LOOPBACK else flags & _MULTICAST
        if wanted and flags & _UP and flags & _RUNNING:
            yield IPv4Address(address)
