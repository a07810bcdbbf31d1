"""What the kernel knows of our links: their own addresses, and who is there (rtnetlink(7))."""

import errno
import socket
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_interface,
)

from msgspec import Struct

from exo_supervisor.discovery.interfaces import HAS_NETLINK, read_interfaces

NO_NETLINK = "this system does not tell who is on a link"
_NEW_ADDRESS, _GET_ADDRESS = 20, 22
_NEW_NEIGHBOUR, _GET_NEIGHBOUR = 28, 30
_ERROR, _DONE = 2, 3
_REQUEST, _DUMP = 0x001, 0x300

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_ADDRESS = struct.Struct("=BBBBI")  # family, prefix, flags, scope, link
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # family, link, state, flags, type
_ADDRESS_OF, _LOCAL, _MAC = 1, 2, 2  # attributes: IFA_ADDRESS and NDA_DST, IFA_LOCAL, NDA_LLADDR
_MAC_LENGTH = 6
_FAILED, _NO_ARP = 0x20, 0x40
_KIND = 0x3FFF

_AT_ONCE = 65_536
_MOST = 2**22
"""Bytes of one answer that are read, some 40,000 neighbours."""


class Link(Struct, frozen=True):
    """An interface that speaks IPv6, with the addresses of this machine on it."""

    index: int
    name: str
    v4: tuple[IPv4Interface, ...]
    v6: tuple[IPv6Address, ...]


class Neighbour(Struct, frozen=True):
    """Somebody on a link whose hardware address is known."""

    link: int
    ip: IPv4Address | IPv6Address
    mac: bytes


def read_links() -> list[Link]:
    """List the interfaces that have an IPv6 address other than loopback's; raises OSError."""
    return list(links_of(_own()))


def read_networks(names: Sequence[str] = ()) -> list[IPv4Network]:
    """List the IPv4 networks that this machine's interfaces are in; raises OSError.

    No `names` stand for all interfaces; what is only on loopback is left out.
    """
    found: list[IPv4Network] = []
    for index, address in _own():
        if isinstance(address, IPv4Interface) and not address.ip.is_loopback:
            with suppress(OSError):  # it went away meanwhile
                if not names or socket.if_indextoname(index) in names:
                    found.append(address.network)
    return found


def read_neighbours() -> list[Neighbour]:
    """List who the kernel knows on any link, of both families; raises OSError.

    Where there is no netlink nothing tells.
    """
    return list(parse_neighbours(_dump(_GET_NEIGHBOUR)))


def _own() -> Iterator[tuple[int, IPv4Interface | IPv6Interface]]:
    """List the machine's addresses with the numbers of their interfaces; raises OSError."""
    if HAS_NETLINK:
        yield from parse_addresses(_dump(_GET_ADDRESS))
        return
    for each in read_interfaces():
        with suppress(OSError):  # it went away meanwhile
            yield socket.if_nametoindex(each.name), each.address


def links_of(addresses: Iterable[tuple[int, IPv4Interface | IPv6Interface]]) -> Iterator[Link]:
    """Group the machine's addresses by interface; one that went away meanwhile is left out."""
    v4: defaultdict[int, list[IPv4Interface]] = defaultdict(list)
    v6: defaultdict[int, list[IPv6Address]] = defaultdict(list)
    for index, address in addresses:
        if address.ip.is_loopback:
            continue
        if isinstance(address, IPv4Interface):
            v4[index].append(address)
        else:
            v6[index].append(address.ip)
    for index, ips in v6.items():
        with suppress(OSError):
            yield Link(index, socket.if_indextoname(index), tuple(v4[index]), tuple(ips))


def same_machine(
    ip: IPv6Address, link: int, neighbours: Iterable[Neighbour]
) -> tuple[bytes | None, list[IPv4Address]]:
    """Tell an IPv6 address's hardware address, and the IPv4 addresses that share it on the link."""
    there = [each for each in neighbours if each.link == link]
    mac = next((each.mac for each in there if each.ip == ip), None)
    if mac is None:
        return None, []
    shared = [each.ip for each in there if each.mac == mac]
    return mac, [each for each in shared if isinstance(each, IPv4Address)]


def parse_addresses(dump: bytes) -> Iterator[tuple[int, IPv4Interface | IPv6Interface]]:
    """Read RTM_NEWADDR messages as (link, address); what is cut or unknown is left out."""
    for kind, body in _messages(dump):
        if kind != _NEW_ADDRESS or len(body) < _ADDRESS.size:
            continue
        _family, prefix, _flags, _scope, link = _ADDRESS.unpack_from(body)
        attributes = _attributes(body[_ADDRESS.size :])
        # On a point-to-point link IFA_ADDRESS is the other end's.
        raw = attributes.get(_LOCAL) or attributes.get(_ADDRESS_OF, b"")
        with suppress(ValueError):
            yield link, ip_interface((raw, prefix))


def parse_neighbours(dump: bytes) -> Iterator[Neighbour]:
    """Read RTM_NEWNEIGH messages; an entry that failed or has no Ethernet address is left out."""
    for kind, body in _messages(dump):
        if kind != _NEW_NEIGHBOUR or len(body) < _NEIGHBOUR.size:
            continue
        _family, link, state, _flags, _type = _NEIGHBOUR.unpack_from(body)
        attributes = _attributes(body[_NEIGHBOUR.size :])
        mac = attributes.get(_MAC, b"")
        if state & (_FAILED | _NO_ARP) or len(mac) != _MAC_LENGTH:
            continue
        with suppress(ValueError):
            yield Neighbour(link, ip_address(attributes.get(_ADDRESS_OF, b"")), mac)


def _messages(dump: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(dump):
        length, kind, *_ = _HEADER.unpack_from(dump, at)
        if length < _HEADER.size or at + length > len(dump):
            return
        yield kind, dump[at + _HEADER.size : at + length]
        at += _aligned(length)


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size or at + length > len(data):
            break
        found[kind & _KIND] = data[at + _ATTRIBUTE.size : at + length]
        at += _aligned(length)
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def _dump(kind: int) -> bytes:
    """Ask the kernel for a whole table; it answers while it is read, so nothing here waits."""
    if not HAS_NETLINK:
        raise OSError(errno.EAFNOSUPPORT, NO_NETLINK)
    # As long as a struct ndmsg: of bytes beyond that the kernel complains in its log.
    question = struct.pack("=B11x", socket.AF_UNSPEC)
    head = _HEADER.pack(_HEADER.size + len(question), kind, _REQUEST | _DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(0)
        kernel.bind((0, 0))
        kernel.send(head + question)
        table = b""
        while len(table) < _MOST:
            part = kernel.recv(_AT_ONCE)
            table += part
            if any(each in {_DONE, _ERROR} for each, _ in _messages(part)):
                break
        return table
