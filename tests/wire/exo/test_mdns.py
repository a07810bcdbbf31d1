"""One TXT record of generation B says who listens where; whatever else comes says nothing."""

from ipaddress import IPv4Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exo_supervisor.core.names import NodeId
from exo_supervisor.wire.exo.mdns import read_record

PEER = "12D3KooWLkzBnMkpUpMe4u4NVGNY6WDdRDoV4qjFZMoLd4BT6xQe"


def record(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def test_a_peer_and_its_address_are_read() -> None:
    text = f"dnsaddr=/ip4/192.168.1.7/tcp/41355/p2p/{PEER}"
    assert read_record(record(text)) == (NodeId(PEER), IPv4Address("192.168.1.7"))


@pytest.mark.parametrize(
    "text",
    [
        f"dnsaddr=/ip6/fe80::1/tcp/41355/p2p/{PEER}",
        f"dnsaddr=/ip4/192.168.1.7/udp/4001/quic-v1/p2p/{PEER}",
        f"dnsaddr=/ip4/192.168.1.7/tcp/4001/ws/p2p/{PEER}",
        f"dnsaddr=/dns4/example.com/tcp/4001/p2p/{PEER}",
        f"dnsaddr=/ip4/192.168.1.777/tcp/4001/p2p/{PEER}",
        f"dnsaddr=/ip4/192.168.001.7/tcp/4001/p2p/{PEER}",
        f"dnsaddr=/ip4/192.168.1.7/tcp/0/p2p/{PEER}",
        "dnsaddr=/ip4/192.168.1.7/tcp/4001",
        "dnsaddr=/ip4/192.168.1.7/tcp/4001/p2p/0OIl",
        f"dnsaddr=/ip4/192.168.1.7/tcp/4001/p2p/{PEER}\n",
        "path=/",
        "",
    ],
)
def test_what_exo_would_not_announce_says_nothing(text: str) -> None:
    assert read_record(record(text)) is None


def test_a_length_that_promises_more_than_there_is_reads_what_there_is() -> None:
    text = f"dnsaddr=/ip4/10.0.0.1/tcp/1/p2p/{PEER}".encode()
    assert read_record(b"\xff" + text) == (NodeId(PEER), IPv4Address("10.0.0.1"))
    assert read_record(b"\x10" + text) is None


@given(st.ip_addresses(v=4), st.integers(1, 65535), st.text("ABCxyz123", min_size=40, max_size=64))
def test_every_address_that_is_written_is_read(ip: IPv4Address, port: int, peer: str) -> None:
    assert read_record(record(f"dnsaddr=/ip4/{ip}/tcp/{port}/p2p/{peer}")) == (NodeId(peer), ip)


@given(st.binary(max_size=300) | st.binary(max_size=90).map(lambda tail: b"\x60dnsaddr=" + tail))
@example(b"")
@example(b"\xff")
@example(b"\x60dnsaddr=/ip4/1.2.3/tcp/1/p2p/" + b"1" * 40)
def test_no_record_does_more_than_say_nothing(text: bytes) -> None:
    read = read_record(text)
    assert read is None or (read[0].isalnum() and isinstance(read[1], IPv4Address))
