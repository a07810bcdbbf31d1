"""Which users listen at a loopback port: any of them can be there before the one that is meant."""

import sys
from collections.abc import Container, Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from itertools import takewhile
from pathlib import Path

_IPV4, _IPV6 = Path("/proc/net/tcp"), Path("/proc/net/tcp6")
_LISTENS = "0A"
_STATE, _LOCAL, _USER = 3, 1, 7
"""Columns of a line, see proc_net_tcp.txt in the kernel's documentation."""

_ALL, _ALL_IPV6 = IPv4Address(0), IPv6Address(0)

Address = IPv4Address | IPv6Address


def owners(ip: Address, port: int) -> frozenset[int]:
    """Tell which users' sockets take connections to an address of this machine; raises OSError.

    Sockets that listen on all addresses count, so that nobody can hide beside the one asked for.
    """
    found, columns = set[int](), _columns(ip, port)
    for table in (_IPV4, _IPV6):
        if table == _IPV6 and not table.exists():
            continue  # a kernel without IPv6
        with table.open(encoding="ascii") as lines:
            next(lines, None)
            found.update(users(lines, columns))
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


def users(lines: Iterable[str], columns: Container[str]) -> Iterator[int]:
    """Read the lines of a table; the kernel tells of listening sockets first."""
    rows = (line.split(None, _USER + 1) for line in lines)
    whole = (row for row in rows if len(row) > _USER)
    for row in takewhile(lambda row: row[_STATE] == _LISTENS, whole):
        if row[_LOCAL] in columns:
            yield int(row[_USER])


def _columns(ip: Address, port: int) -> frozenset[str]:
    """Write the addresses that take connections to one: itself and those that stand for all."""
    plain = (ip.ipv4_mapped if isinstance(ip, IPv6Address) else None) or ip
    mapped = [IPv6Address(f"::ffff:{each}") for each in (plain, _ALL) if each.version == 4]  # noqa: PLR2004 - IPv4
    return frozenset(f"{_column(each)}:{port:04X}" for each in (plain, _ALL, _ALL_IPV6, *mapped))


def _column(ip: Address) -> str:
    """Write an address as the kernel prints it: words of four bytes, each in the host's order."""
    order = -1 if sys.byteorder == "little" else 1
    words = (ip.packed[at : at + 4] for at in range(0, len(ip.packed), 4))
    return "".join(word[::order].hex() for word in words).upper()
