"""A stranger's word leads to our own links as they are now, to the ranges, and nowhere else."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from exo_supervisor.discovery.allowed_networks import LOOK, AllowedNetworks, in_the_house
from exo_supervisor.discovery.neighbours import read_networks
from tests.discovery.house import HOUSE, on_links


def passing(allowed: AllowedNetworks, *ips: str, rooted: bool = False) -> list[str]:
    return [ip for ip in ips if allowed.allows(IPv4Address(ip), rooted=rooted)]


def test_only_the_private_networks_of_our_own_links_are_near() -> None:
    allowed = on_links("192.168.1.0/24", "203.0.113.0/24")
    told = ("192.168.1.7", "192.168.2.7", "10.0.0.1", "203.0.113.9", "8.8.8.8", "127.0.0.1")
    assert passing(allowed, *told) == ["192.168.1.7"]


def test_ranges_are_allowed_to_anybody_whatever_they_hold() -> None:
    allowed = on_links("192.168.1.0/24", ranges=["10.8.0.0/16", "203.0.113.0/24"])
    assert passing(allowed, "10.8.3.4", "10.9.0.1", "203.0.113.9") == ["10.8.3.4", "203.0.113.9"]


def test_a_persons_word_leads_to_any_private_address() -> None:
    allowed = on_links("192.168.1.0/24")
    told = ("192.168.2.7", "10.0.0.1", "100.64.0.1", "169.254.1.1", "8.8.8.8", "127.0.0.1")
    assert passing(allowed, *told, rooted=True) == list(told[:4])


class Links:
    """Interfaces that come and go, and a clock."""

    def __init__(self, *networks: str) -> None:
        self.networks = [IPv4Network(each) for each in networks]
        self.names: Sequence[str] | None = None
        self.now, self.reads, self.closed = 0.0, 0, False

    def __call__(self, names: Sequence[str]) -> list[IPv4Network]:
        self.reads, self.names = self.reads + 1, names
        if self.closed:
            raise PermissionError(1, "Operation not permitted")
        return self.networks

    def clock(self) -> float:
        return self.now


def test_a_link_that_comes_or_goes_counts_within_a_second() -> None:
    links = Links("10.0.0.0/24")
    allowed = AllowedNetworks(interfaces=["eth0"], networks=links, clock=links.clock)
    assert passing(allowed, "10.0.0.1", "192.168.1.1") == ["10.0.0.1"]
    links.networks = [IPv4Network("192.168.1.0/24")]
    links.now = LOOK
    assert passing(allowed, "10.0.0.1", "192.168.1.1") == ["192.168.1.1"]
    assert links.names == ["eth0"]


def test_a_flood_makes_us_ask_the_kernel_once_a_second() -> None:
    links = Links("10.0.0.0/24")
    allowed = AllowedNetworks(networks=links, clock=links.clock)
    for n in range(5000):
        links.now = n / 1000
        assert allowed.allows(IPv4Address("10.0.0.1"))
    assert links.reads == 5


def test_a_kernel_that_does_not_tell_is_said_once_and_what_was_known_is_kept() -> None:
    links = Links("10.0.0.0/24")
    allowed = AllowedNetworks(networks=links, clock=links.clock)
    assert allowed.allows(IPv4Address("10.0.0.1"))
    links.closed = True
    with capture_logs() as logs:
        for second in range(1, 10):
            links.now = second
            assert allowed.allows(IPv4Address("10.0.0.1"))
            assert not allowed.allows(IPv4Address("192.168.1.1"))
    assert [line["event"] for line in logs] == ["own_links_unknown"]


@given(st.ip_addresses(v=4), st.booleans())
def test_nothing_public_is_ever_allowed_without_a_range(ip: IPv4Address, rooted: bool) -> None:  # noqa: FBT001
    assert HOUSE.allows(ip, rooted=rooted) == in_the_house(ip)
    assert not (in_the_house(ip) and ip.is_global)


@pytest.mark.real_time
def test_this_machines_networks_are_those_of_its_interfaces() -> None:
    assert not any(network.is_loopback for network in read_networks())
    assert read_networks(["no-such-link"]) == []
    assert read_networks(["lo"]) == []
