"""Interfaces are listed where there is no netlink, too: by getifaddrs, as Linux and BSD have it."""

import socket
import struct
import sys
from ipaddress import IPv4Interface, IPv6Interface

import pytest

from exo_supervisor.discovery.interfaces import read_address, read_interfaces
from exo_supervisor.discovery.neighbours import links_of, read_links, read_networks

V4, V6 = int(socket.AF_INET), int(socket.AF_INET6)


def bsd(family: int, body: bytes, length: int | None = None) -> bytes:
    """Make a sockaddr as BSD has it, cut to `length` if that is given."""
    whole = bytes([2 + len(body), family]) + body
    return whole if length is None else bytes([length]) + whole[1:length]


def linux(family: int, body: bytes) -> bytes:
    return family.to_bytes(2, sys.byteorder) + body


def v4(text: str) -> bytes:
    return b"\0\0" + socket.inet_aton(text)


def v6(text: str) -> bytes:
    return struct.pack("2x4x16s", socket.inet_pton(socket.AF_INET6, text))


HOME = IPv4Interface("192.168.1.5/24")
LINK = IPv6Interface("fe80::1/64")
EMBEDDED = "fe80:4::1"
"""macOS writes the link's number into the address."""


@pytest.mark.parametrize(
    ("address", "mask", "of_bsd", "found"),
    [
        pytest.param(linux(V4, v4("192.168.1.5")), linux(V4, v4("255.255.255.0")), False, HOME,
                     id="Linux"),
        pytest.param(bsd(V4, v4("192.168.1.5")), bsd(V4, v4("255.255.255.0")), True, HOME,
                     id="BSD"),
        pytest.param(bsd(V4, v4("192.168.1.5")), bsd(0, v4("255.255.255.0"), 7), True, HOME,
                     id="BSD, a mask whose zeros are cut off"),
        pytest.param(bsd(V6, v6(EMBEDDED)), bsd(V6, v6("ffff:ffff:ffff:ffff::")), True, LINK,
                     id="BSD, link-local"),
        pytest.param(linux(V6, v6("fe80::1")), linux(V6, v6("ffff:ffff:ffff:ffff::")), False, LINK,
                     id="Linux, link-local"),
        pytest.param(bsd(18, b"\1\2\3\4\5\6"), b"", True, None, id="a hardware address"),
        pytest.param(bsd(V4, b"\0\0\1"), b"", True, None, id="cut"),
        pytest.param(b"", b"", True, None, id="nothing"),
        pytest.param(b"", b"", False, None, id="nothing, Linux"),
    ],
)  # fmt: skip
def test_an_address_is_read(
    address: bytes, mask: bytes, *, of_bsd: bool, found: IPv4Interface | IPv6Interface | None
) -> None:
    assert read_address(address, mask, bsd=of_bsd) == found


def test_it_lists_what_netlink_lists() -> None:
    """The same machine, asked in both ways."""
    found = [(socket.if_nametoindex(each.name), each.address) for each in read_interfaces()]
    assert list(links_of(found)) == read_links()
    own = {each.network for _, each in found if isinstance(each, IPv4Interface)}
    assert {network for network in own if not network.is_loopback} == set(read_networks())
