"""Which users listen at a loopback port: any of them can be there before the one that is meant."""

import sys
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import takewhile
from pathlib import Path

_IPV4, _IPV6 = Path("/proc/net/tcp"), Path("/proc/net/tcp6")
_LISTENS = "0A"
_STATE, _LOCAL, _USER = 3, 1, 7
"""Columns of a line, see proc_net_tcp.txt in the kernel's documentation."""

Address = IPv4Address | IPv6Address


def owners(ip: Address, port: int) -> frozenset[int]:
    """Tell which users' sockets take connections to an address of this machine; raises OSError.

    Sockets that listen on all addresses count, so that nobody can hide beside the one asked for.
    """
    found: set[int] = set()
    for table in (_IPV4, _IPV6):
        if table == _IPV6 and not table.exists():
            continue  # a kernel without IPv6
        with table.open(encoding="ascii") as lines:
            next(lines, None)
            found.update(users(lines, ip, port))
    return frozenset(found)


def told_here() -> bool:
    """Say whether this system tells who listens: Linux does, where its /proc is mounted."""
    return _TOLD


def _is_there() -> bool:
    try:
        return _IPV4.exists()
    except PermissionError:  # it is there, and what cannot be read vouches for nobody
        return True


_TOLD = _is_there()
"""Looked at when this is imported: the loop must not wait for a file system."""


def users(lines: Iterable[str], ip: Address, port: int) -> Iterator[int]:
    """Read the lines of a table; the kernel tells of listening sockets first."""
    rows = (line.split() for line in lines)
    whole = (row for row in rows if len(row) > _USER)
    for row in takewhile(lambda row: row[_STATE] == _LISTENS, whole):
        host, _, number = row[_LOCAL].partition(":")
        if int(number, 16) == port and _takes(_address(host), ip):
            yield int(row[_USER])


def _takes(listening: Address, ip: Address) -> bool:
    listening, ip = _plain(listening), _plain(ip)
    return listening.is_unspecified or listening == ip


def _plain(ip: Address) -> Address:
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return ip if mapped is None else mapped


def _address(text: str) -> Address:
    """Read an address as the kernel prints it: words of four bytes, each in the host's order."""
    raw = bytes.fromhex(text)
    words = [raw[at : at + 4] for at in range(0, len(raw), 4)]
    order = -1 if sys.byteorder == "little" else 1
    return ip_address(b"".join(word[::order] for word in words))
