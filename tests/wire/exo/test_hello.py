"""Generation C's datagrams are read byte for byte, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.names import NodeId
from exo_supervisor.wire.exo.blake3 import LONGEST, blake3
from exo_supervisor.wire.exo.hello import (
    KNOWN_NAMESPACES,
    Hello,
    WhatsUp,
    encode_hello,
    namespace_digest,
    read_hello,
    read_whats_up,
)

HELLO = bytes.fromhex("45584f00 0102030405060708 6e2bf1dad2aa1268")
WHATS_UP = bytes.fromhex("45584f01 0102030405060708 0f00000000000000000000000000ab00 becc")
NONCE = bytes(range(1, 9))


@pytest.mark.parametrize(
    ("length", "digest"),
    [
        (0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
        (1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"),
        (63, "e9bc37a594daad83be9470df7f7b3798297c3d834ce80ba85d6e207627b7db7b"),
        (64, "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98"),
        (65, "de1e5fa0be70df6d2be8fffd0e99ceaa8eb6e8c93a63f2d8d1c30ecb6b263dee"),
        (1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11"),
        (1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"),
    ],
)
def test_the_hash_agrees_with_blake3s_official_vectors(length: int, digest: str) -> None:
    assert blake3(bytes(n % 251 for n in range(length))).hex() == digest


def test_the_hash_of_a_word() -> None:
    digest = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
    assert blake3(b"abc").hex() == digest


def test_more_than_one_chunk_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 1024 bytes"):
        blake3(bytes(LONGEST + 1))


def test_exos_default_namespaces_are_its_package_versions() -> None:
    versions = ("0.3.70", "0.3.69", "0.3.71", "0.3.72")
    assert tuple(map(namespace_digest, versions)) == KNOWN_NAMESPACES


def test_a_hello_is_written_and_read() -> None:
    hello = Hello(NONCE, namespace_digest("0.3.70"))
    assert encode_hello(hello) == HELLO
    assert read_hello(HELLO) == hello


def test_a_whats_up_tells_the_id_without_leading_zeros_and_the_port() -> None:
    node_id = NodeId("ab000000000000000000000000000f")
    assert read_whats_up(WHATS_UP) == WhatsUp(NONCE, node_id, 52414)


def test_an_id_of_zero_is_nobodys() -> None:
    assert read_whats_up(WHATS_UP[:12] + bytes(16) + WHATS_UP[28:]) is None


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8))
def test_what_is_written_is_read_as_it_was(nonce: bytes, namespace: bytes) -> None:
    assert read_hello(encode_hello(Hello(nonce, namespace))) == Hello(nonce, namespace)


@given(st.binary(max_size=64) | st.binary(max_size=30).map(lambda tail: b"EXO" + tail))
def test_no_datagram_raises_and_only_whole_ones_are_taken(datagram: bytes) -> None:
    assert read_hello(datagram) is None or datagram[:4] == b"EXO\0"
    assert read_whats_up(datagram) is None or datagram[:4] == b"EXO\1"
    assert read_hello(datagram) is None or len(datagram) == 20
    assert read_whats_up(datagram) is None or len(datagram) == 30


@pytest.mark.parametrize("whole", [HELLO, WHATS_UP])
def test_a_cut_or_a_longer_datagram_is_none(whole: bytes) -> None:
    for datagram in (*(whole[:cut] for cut in range(len(whole))), whole + b"\0"):
        assert read_hello(datagram) is None
        assert read_whats_up(datagram) is None
