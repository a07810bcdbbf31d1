"""This machine's interfaces where there is no netlink, as getifaddrs(3) lists them: macOS, BSD."""

import ctypes
import socket
import sys
from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface

from msgspec import Struct

HAS_NETLINK = hasattr(socket, "AF_NETLINK")
"""Linux tells its links, and who is there, by netlink; elsewhere there is this module alone."""
_SIZES: dict[int, tuple[int, int]] = {socket.AF_INET: (4, 4), socket.AF_INET6: (8, 16)}
"""Where in a sockaddr the address stands, and its length."""
_LONGEST = 28
"""Bytes of a struct sockaddr_in6, the longest that is read."""
_MOST = 4096


class Interface(Struct, frozen=True):
    """One address of an interface; `flags` are IFF_* of the system."""

    name: str
    flags: int
    address: IPv4Interface | IPv6Interface


class _Entry(ctypes.Structure):
    """Head of struct ifaddrs, which Linux, macOS and the BSDs have alike."""

    _fields_ = (
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("flags", ctypes.c_uint),
        ("address", ctypes.c_void_p),
        ("netmask", ctypes.c_void_p),
    )


def read_interfaces() -> list[Interface]:
    """List the IPv4 and IPv6 addresses of this machine; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    first = ctypes.POINTER(_Entry)()
    if libc.getifaddrs(ctypes.byref(first)) != 0:
        raise OSError(ctypes.get_errno(), "the system does not list its interfaces")
    try:
        return list(_read(ctypes.addressof(first.contents) if first else None))
    finally:
        libc.freeifaddrs(first)


def _read(entry: int | None) -> Iterator[Interface]:
    for _ in range(_MOST):
        if not entry:
            return
        now = _Entry.from_address(entry)
        if now.address:
            found = read_address(_sockaddr(now.address), _sockaddr(now.netmask), bsd=_BSD)
            if found is not None:
                yield Interface(now.name.decode("utf-8", "replace"), now.flags, found)
        entry = now.next


_BSD = sys.platform != "linux"


def _sockaddr(pointer: int | None) -> bytes:
    """Copy a sockaddr, of BSD no more than its own length says."""
    if not pointer:
        return b""
    if _BSD:
        return ctypes.string_at(pointer, min(ctypes.string_at(pointer, 1)[0], _LONGEST))
    family = int.from_bytes(ctypes.string_at(pointer, 2), sys.byteorder)
    if family not in _SIZES:
        return b""
    offset, size = _SIZES[family]
    return ctypes.string_at(pointer, offset + size)


def read_address(
    address: bytes, netmask: bytes, *, bsd: bool
) -> IPv4Interface | IPv6Interface | None:
    """Read a sockaddr and its mask; None for any other family.

    BSD puts a length before the family and cuts a mask's zeros off; macOS keeps the number of the
    link inside of a link-local address.
    """
    family = address[1] if bsd and len(address) > 1 else int.from_bytes(address[:2], sys.byteorder)
    place = _SIZES.get(family)
    if place is None:
        return None
    offset, size = place
    raw = address[offset : offset + size]
    if len(raw) < size:
        return None
    mask = netmask[offset : offset + size].ljust(size, b"\0")
    prefix = sum(byte.bit_count() for byte in mask)
    ip = ip_address(raw)
    if bsd and isinstance(ip, IPv6Address) and ip.is_link_local:
        raw = raw[:2] + b"\0\0" + raw[4:]
    return ip_interface((raw, prefix))
