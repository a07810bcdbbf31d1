"""UDP datagrams are cut out of raw IPv4 packets; fragments, scraps and lies are none."""

import socket
import struct

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.discovery.raw import open_raw, payload

PORT = 5678


def packet(
    data: bytes,
    *,
    port: int = PORT,
    options: bytes = b"",
    fragment: int = 0x4000,
    length: int | None = None,
    protocol: int = socket.IPPROTO_UDP,
    version: int = 4,
) -> bytes:
    """Write an IPv4 packet, by default with "do not fragment" set and no checksums."""
    words = 5 + len(options) // 4
    udp = struct.pack("!4H", 40000, port, 8 + len(data) if length is None else length, 0xBAD)
    total = words * 4 + 8 + len(data)
    head = struct.pack("!BBHHHBBH", version << 4 | words, 0, total, 1, fragment, 64, protocol, 0)
    return head + bytes([10, 0, 0, 1, 10, 0, 0, 255]) + options + udp + data


@given(st.binary(max_size=200), st.integers(0, 10), st.binary(max_size=20))
def test_the_data_comes_out_whatever_the_options_and_the_padding(
    data: bytes, words: int, padding: bytes
) -> None:
    """Ethernet pads short packets, and IP options move the UDP header."""
    assert payload(packet(data, options=bytes(4 * words)) + padding, PORT) == data


@pytest.mark.parametrize(
    "bent",
    [
        packet(b"x", port=5353),
        packet(b"x", fragment=0x2000),
        packet(b"x", fragment=0x0001),
        packet(b"x", length=7),
        packet(b"x", length=10),
        packet(b"x", protocol=socket.IPPROTO_TCP),
        packet(b"x", version=6),
        b"\x44" + packet(b"x")[1:],
        packet(b"")[:27],
        b"",
    ],
)
def test_what_is_no_whole_datagram_for_the_port_is_none(bent: bytes) -> None:
    assert payload(bent, PORT) is None


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda tail: b"\x4f" + tail))
def test_no_packet_does_more_than_be_dropped(scrap: bytes) -> None:
    data = payload(scrap, PORT)
    assert data is None or data in scrap


def may_open_raw() -> bool:
    try:
        open_raw(PORT).close()
    except PermissionError:
        return False
    return True


@pytest.mark.real_time
@pytest.mark.skipif(not may_open_raw(), reason="a raw socket needs CAP_NET_RAW")
async def test_the_kernel_lets_only_the_port_through() -> None:
    """On a machine with much UDP traffic, everything else would push announcements out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other, open_raw(PORT) as listener:
        other.bind(("127.0.0.1", 0))
        for to in (other.getsockname()[1], PORT):
            other.sendto(b"for " + str(to).encode(), ("127.0.0.1", to))
        with anyio.fail_after(60):
            await anyio.wait_readable(listener)
        assert payload(listener.recv(65_536), PORT) == b"for 5678"
        with pytest.raises(BlockingIOError):
            listener.recv(65_536)
