"""Which users listen at a loopback port: any of them can be there before the one that is meant."""

import errno
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address
from itertools import takewhile
from pathlib import Path

import anyio
from anyio import to_thread

_IPV4, _IPV6 = Path("/proc/net/tcp"), Path("/proc/net/tcp6")
_LISTENS = "0A"
_STATE, _LOCAL, _USER = 3, 1, 7
"""Columns of a line, see proc_net_tcp.txt in the kernel's documentation."""

_ALL, _ALL_IPV6 = IPv4Address(0).packed, IPv6Address(0).packed
_MAPPED = bytes(10) + b"\xff\xff"
"""What stands before an IPv4 address in the IPv6 one that means the same."""

_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})
"""No refusal: there is none for the tables, either, and there will be."""

Address = IPv4Address | IPv6Address
Listeners = defaultdict[str, set[int]]
"""Users by the address, as the kernel writes it, at which their sockets listen."""
Ask = Callable[[int], Iterable[tuple[bytes, int]]]
"""Tells the addresses at which sockets listen on a port, and their users; raises OSError."""


class Owners:
    """Tells which users' sockets take connections to an address of this machine; raises OSError.

    Sockets that listen on all addresses count, so that nobody can hide beside the one asked for.
    The kernel is asked for the port, unless it once refused: then its tables are read, which say
    the same. What one reading of them tells is for all who asked before it began: to write them
    takes the kernel some milliseconds, and a thousand nodes may be met at once.
    """

    def __init__(self, read: Callable[[], Listeners], ask: Ask | None = None) -> None:
        self._read, self._ask, self._reading = read, ask, anyio.Lock()
        self._listeners: Listeners | None = None
        self._begun = 0

    async def __call__(self, ip: Address, port: int) -> frozenset[int]:
        if self._ask is None:
            return await self._look_up(ip, port)
        try:
            listening, takers = self._ask(port), _takers(ip)
        except OSError as refused:
            if refused.errno in _NO_DESCRIPTOR:
                raise
            self._ask = None
            return await self._look_up(ip, port)
        return frozenset(user for at, user in listening if at in takers)

    async def _look_up(self, ip: Address, port: int) -> frozenset[int]:
        turn = self._begun + 1
        async with self._reading:
            if self._listeners is None or self._begun < turn:
                self._begun, self._listeners = self._begun + 1, None
                self._listeners = await to_thread.run_sync(self._read)
            listeners = self._listeners
            return frozenset(user for at in _columns(ip, port) for user in listeners.get(at, ()))


def read_listeners() -> Listeners:
    """Read who listens where; raises OSError."""
    found = Listeners(set)
    for table in (_IPV4, _IPV6):
        if table == _IPV6 and not table.exists():
            continue  # a kernel without IPv6
        with table.open(encoding="ascii") as lines:
            next(lines, None)
            for row in takewhile(_listens, map(str.split, lines)):
                found[row[_LOCAL]].add(int(row[_USER]))
    return found


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


def _listens(row: list[str]) -> bool:
    """Say whether a line is of a socket that listens: the kernel tells of those first."""
    return len(row) > _USER and row[_STATE] == _LISTENS


def _takers(ip: Address) -> set[bytes]:
    """Tell the addresses that take connections to one: itself and those that stand for all."""
    plain = ((ip.ipv4_mapped if isinstance(ip, IPv6Address) else None) or ip).packed
    takers = {plain, _ALL, _ALL_IPV6, _MAPPED + _ALL}
    if len(plain) == len(_ALL):
        takers.add(_MAPPED + plain)
    return takers


def _columns(ip: Address, port: int) -> frozenset[str]:
    """Write the addresses that take connections to one."""
    return frozenset(f"{_column(each)}:{port:04X}" for each in _takers(ip))


def _column(packed: bytes) -> str:
    """Write an address as the kernel prints it: words of four bytes, each in the host's order."""
    order = -1 if sys.byteorder == "little" else 1
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    return "".join(word[::order].hex() for word in words).upper()
