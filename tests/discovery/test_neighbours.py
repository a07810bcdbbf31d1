"""What the kernel tells of links and neighbours is read as recorded, and no bytes raise."""

import os
import socket
import struct
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.discovery.neighbours import (
    Link,
    Neighbour,
    links_of,
    parse_addresses,
    parse_neighbours,
    read_links,
    read_neighbours,
    same_machine,
)

# Linux 6.18, a host with one Ethernet interface that knows one neighbour by both families, waits
# for a second to answer, and is a member of multicast groups.
ADDRESSES = bytes.fromhex(
    "4c0000001400020001000000ba340000020880fe01000000080001007f000001080002007f00000107000300"
    "6c6f0000080008008000000014000600ffffffffffffffff9c4408009c440800500000001400020001000000"
    "ba3400000218800002000000080001000a420001080002000a42000109000300657468300000000008000800"
    "8000000014000600ffffffffffffffff9c4408009c440800500000001400020001000000ba3400000a8080fe"
    "01000000140001000000000000000000000000000000000114000600ffffffffffffffff9c4408009c440800"
    "080008008000000005000b0001000000500000001400020001000000ba3400000a4080fd0200000014000100"
    "fe80000000000000000000fffe00000114000600ffffffffffffffff9e4408009e4408000800080080000000"
    "05000b0003000000140000000300020001000000ba34000000000000"
)
NEIGHBOURS = bytes.fromhex(
    "400000001c00020001000000ba340000020000000200000001000001080001000a42004d0800040004000000"
    "140003008c1700001c0000001c000000010000004c0000001c00020001000000ba3400000200000002000000"
    "02000001080001000a4200020a00020002000000000200000800040004000000140003001c0000001c000000"
    "1c00000001000000580000001c00020001000000ba3400000a000000020000004000000514000100ff020000"
    "0000000000000000000000160a00020033330000001600000800040000000000140003008718000017010000"
    "1701000000000000580000001c00020001000000ba3400000a000000020000000200000114000100fe800000"
    "00000000000000fffe0000020a00020002000000000200000800040004000000140003001a0000001a000000"
    "1a00000001000000580000001c00020001000000ba3400000a000000020000004000000514000100ff020000"
    "0000000000000001ff0000010a0002003333ff000001000008000400000000001400030060180000f0000000"
    "f000000000000000580000001c00020001000000ba3400000a000000020000004000000514000100ff020000"
    "0000000000000000000000020a0002003333000000020000080004000000000014000300f917000089000000"
    "8900000000000000580000001c00020001000000ba3400000a000000020000004000000514000100ff020000"
    "0000000000000001ff0000020a0002003333ff00000200000800040000000000140003008a1700001a000000"
    "1a00000000000000140000000300020001000000ba34000000000000"
)

ETH0 = 2
PEER = bytes.fromhex("020000000002")
FE80 = IPv6Address("fe80::ff:fe00:2")


def test_the_addresses_of_a_host_are_read() -> None:
    assert list(parse_addresses(ADDRESSES)) == [
        (1, IPv4Interface("127.0.0.1/8")),
        (ETH0, IPv4Interface("10.66.0.1/24")),
        (1, IPv6Interface("::1/128")),
        (ETH0, IPv6Interface("fe80::ff:fe00:1/64")),
    ]


def test_neighbours_are_those_that_answered_and_no_multicast_group() -> None:
    assert list(parse_neighbours(NEIGHBOURS)) == [
        Neighbour(ETH0, IPv4Address("10.66.0.2"), PEER),
        Neighbour(ETH0, FE80, PEER),
    ]


def test_of_a_tunnel_the_own_end_is_taken() -> None:
    """IFA_ADDRESS is the other end's there, and IFA_LOCAL the own."""
    ends = struct.pack("=HH4sHH4s", 8, 1, bytes([10, 9, 0, 2]), 8, 2, bytes([10, 9, 0, 1]))
    body = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, 7) + ends
    message = struct.pack("=IHHII", 16 + len(body), 20, 0, 0, 0) + body
    assert list(parse_addresses(message)) == [(7, IPv4Interface("10.9.0.1/32"))]


def test_a_link_is_an_interface_with_an_ipv6_address_other_than_loopbacks() -> None:
    index, name = next(iter(socket.if_nameindex()))
    v4, v6 = IPv4Interface("10.66.0.1/24"), IPv6Interface("fe80::1/64")
    only_v4, gone = 999_998, 999_999
    told = [(index, v4), (index, v6), (only_v4, v4), (gone, v6), (index, IPv6Interface("::1/128"))]
    assert list(links_of(told)) == [Link(index, name, (v4,), (v6.ip,))]


@pytest.mark.parametrize(
    ("ip", "link", "mac", "shared"),
    [
        (FE80, ETH0, PEER, [IPv4Address("10.66.0.2")]),
        (FE80, 3, None, []),
        (IPv6Address("fe80::3"), ETH0, None, []),
    ],
)
def test_one_machine_is_known_by_its_hardware_address_on_one_link(
    ip: IPv6Address, link: int, mac: bytes | None, shared: list[IPv4Address]
) -> None:
    assert same_machine(ip, link, parse_neighbours(NEIGHBOURS)) == (mac, shared)


@given(st.binary(max_size=200), st.sampled_from([ADDRESSES, NEIGHBOURS]), st.integers(0, 600))
def test_no_bytes_raise(noise: bytes, whole: bytes, at: int) -> None:
    for dump in (noise, whole[:at] + noise + whole[at + len(noise) :], whole[:at]):
        list(parse_addresses(dump))
        list(parse_neighbours(dump))


@pytest.mark.real_time
async def test_the_kernel_answers_without_a_wait_and_leaves_nothing_open() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not looked into
    links = {link.index for link in read_links()}
    assert links <= {index for index, _ in socket.if_nameindex()}
    read_neighbours()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
