"""An id and an IPv6 address lead to an IPv4 address of the house, or to nothing."""

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv6Address

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.names import NodeId
from exo_supervisor.discovery.address_lookup import MOST, AddressLookup
from exo_supervisor.discovery.arp_probe import (
    MOST_ROUNDS,
    ProbeLimit,
    hosts,
    probe_address,
    probe_link,
)
from exo_supervisor.discovery.neighbours import Link, Neighbour
from tests.discovery.house import HOUSE

NODE = NodeId("abc")
FE80 = IPv6Address("fe80::2")
OWN = IPv6Address("fe80::1")
MAC = b"\2\0\0\0\0\2"
NOWHERE = 999_999
"""The index of an interface that no test machine has, so that nothing can be sent there."""
LINK = Link(NOWHERE, "eth9", (IPv4Interface("192.0.2.1/24"),), (OWN,))


class Kernel:
    """A neighbour table that has learnt one more neighbour at each look."""

    def __init__(self, *later: Neighbour | None) -> None:
        self._later, self.looks = list(later), 0

    def __call__(self) -> list[Neighbour]:
        self.looks += 1
        return [each for each in self._later[: self.looks] if each is not None]


def here(ip: IPv4Address | IPv6Address | str, mac: bytes = MAC, link: int = NOWHERE) -> Neighbour:
    return Neighbour(link, IPv4Address(ip) if isinstance(ip, str) else ip, mac)


async def found(kernel: Kernel, told: Sequence[str] = (), source: IPv6Address = FE80) -> list[str]:
    lookup = AddressLookup([52415], lambda _: told, HOUSE, neighbours=kernel)
    return [*await lookup.find(NODE, source, LINK)]


async def test_what_a_cluster_tells_of_its_node_is_taken_first() -> None:
    kernel = Kernel()
    assert await found(kernel, ["10.0.0.2:8000", "10.0.0.3"]) == ["10.0.0.2:8000"]
    assert kernel.looks == 0


async def test_who_shares_a_hardware_address_is_the_same_machine() -> None:
    class Full(Kernel):
        def __call__(self) -> list[Neighbour]:
            return [here(FE80), here("10.0.0.2"), here("10.0.0.3", b"\2\0\0\0\0\3")]

    assert await found(Full()) == ["10.0.0.2:52415"]


async def test_a_neighbour_on_another_link_is_another_machine() -> None:
    kernel = Kernel(here(FE80), here("10.0.0.2", link=7))
    assert await found(kernel) == []


async def test_the_kernel_is_looked_at_again_until_it_has_learnt_both_addresses() -> None:
    kernel = Kernel(None, None, here(FE80), here("10.0.0.2"))
    begun = anyio.current_time()
    assert await found(kernel) == ["10.0.0.2:52415"]
    assert kernel.looks == 4
    assert anyio.current_time() - begun == pytest.approx(0.35)


async def test_who_has_no_ipv4_address_here_leads_nowhere_and_is_not_waited_for_again() -> None:
    kernel = Kernel(here(FE80))
    lookup = AddressLookup([52415], lambda _: (), HOUSE, neighbours=kernel)
    assert await lookup.find(NODE, FE80, LINK) == []
    assert kernel.looks == 7
    assert await lookup.find(NODE, FE80, LINK) == []
    assert kernel.looks == 8


async def test_an_exo_on_this_machine_has_this_machines_addresses() -> None:
    kernel = Kernel()
    link = Link(NOWHERE, "eth9", (IPv4Interface("10.0.0.1/24"),), (OWN,))
    lookup = AddressLookup([52415], lambda _: (), HOUSE, neighbours=kernel)
    assert await lookup.find(NODE, OWN, link) == ["10.0.0.1:52415"]
    assert kernel.looks == 0


async def test_nothing_outside_the_house_is_told_of() -> None:
    class Odd(Kernel):
        def __call__(self) -> list[Neighbour]:
            return [here(FE80), here("8.8.8.8"), here("10.0.0.2")]

    assert await found(Odd()) == ["10.0.0.2:52415"]
    assert await found(Odd(), ["8.8.8.8", "8.8.8.8:52415"]) == ["10.0.0.2:52415"]


async def test_a_machine_with_every_address_leads_to_a_few() -> None:
    class Greedy(Kernel):
        def __call__(self) -> list[Neighbour]:
            return [here(FE80), *(here(f"10.0.0.{n}") for n in range(1, 255))]

    assert len(await found(Greedy())) == MOST


async def test_a_kernel_that_does_not_tell_leads_nowhere() -> None:
    class Closed(Kernel):
        def __call__(self) -> list[Neighbour]:
            raise PermissionError

    assert await found(Closed()) == []


def test_a_link_is_nudged_once_for_a_hardware_address_in_ten_minutes() -> None:
    limit = ProbeLimit()
    assert limit.take(LINK, MAC, 0.0)
    assert not limit.take(LINK, MAC, 599.0)
    assert limit.take(LINK, MAC, 600.0)


def test_however_many_hardware_addresses_there_are_a_link_is_nudged_rarely() -> None:
    limit = ProbeLimit()
    taken = [limit.take(LINK, n.to_bytes(6), n / 10) for n in range(5000)]
    assert sum(taken) == MOST_ROUNDS


@pytest.mark.parametrize(
    ("own", "many", "first"),
    [
        ("10.0.0.5/24", 253, "10.0.0.1"),
        ("10.0.7.5/16", 253, "10.0.7.1"),
        ("10.0.0.5/30", 1, "10.0.0.6"),
        ("10.0.0.5/31", 1, "10.0.0.4"),
    ],
)
def test_the_others_of_a_subnet_are_those_of_at_most_a_24(own: str, many: int, first: str) -> None:
    others = list(hosts(IPv4Interface(own)))
    assert (len(others), str(others[0])) == (many, first)


def test_alone_in_a_subnet_there_is_nobody() -> None:
    assert list(hosts(IPv4Interface("10.0.0.5/32"))) == []


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_a_nudge_stays_in_the_own_subnet_and_spares_the_own_address(
    ip: IPv4Address, prefix: int
) -> None:
    own = IPv4Interface((ip, prefix))
    others = list(hosts(own))
    assert len(others) < 255
    assert all(each in own.network and each != ip for each in others)


@pytest.mark.parametrize("ip", ["2001:db8::1", "fd00::1", "::1", "ff02::1"])
def test_of_ipv6_only_a_neighbour_on_the_link_is_nudged(ip: str) -> None:
    name = socket.if_indextoname(1)
    assert not probe_address(Link(1, name, (), (OWN,)), IPv6Address(ip))


def test_a_link_outside_the_house_is_not_nudged() -> None:
    name = socket.if_indextoname(1)
    public = Link(1, name, (IPv4Interface("8.8.8.8/24"), IPv4Interface("127.0.0.1/8")), (OWN,))
    assert probe_link(public) == 0
