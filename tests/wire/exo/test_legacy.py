"""Generation A's topology, model list, datagrams and manual file."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.names import NodeId
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.exo.legacy import (
    Announcement,
    Capabilities,
    read_discovery_datagram,
    read_manual_peers,
    read_models_a,
    read_topology_a,
)

RECORDINGS = Path(__file__).parents[2] / "recordings" / "gen-a"
DATAGRAM: dict[str, object] = {
    "type": "discovery",
    "node_id": "node-1",
    "grpc_port": 60001,
    "device_capabilities": {"model": "Linux Box", "chip": "x", "memory": 24105, "flops": {}},
}


def body_of(name: str) -> bytes:
    return (RECORDINGS / name).read_bytes().partition(b"\r\n\r\n")[2]


def test_a_recorded_topology_names_the_cluster() -> None:
    topology = body_of("cluster3/topology-after-chat-n1.response.http")
    assert set(read_topology_a(topology)) == {"node-1", "node-2", "node-3"}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"nodes":[]}', b'{"nodes":{"\xff":1}}', b"{}"])
def test_a_bad_topology_is_a_wire_error(body: bytes) -> None:
    with pytest.raises(WireError):
        read_topology_a(body)


def test_the_models_are_the_keys() -> None:
    assert read_models_a(b'{"a":{"name":"A","loading":true},"b":null}') == ("a", "b")
    with pytest.raises(WireError):
        read_models_a(b"[]")


def test_of_the_manual_file_only_the_addresses_are_taken() -> None:
    body = b'{"peers":{"a":{"address":"10.0.0.2","port":50051},"b":{"address":"x"}},"more":1}'
    assert read_manual_peers(body) == ("10.0.0.2", "x")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"peers":[]}', b'{"peers":{"a":{"port":1}}}', b"{}"]
)
def test_a_bad_manual_file_is_a_wire_error(body: bytes) -> None:
    with pytest.raises(WireError):
        read_manual_peers(body)


def test_recorded_datagrams_are_read() -> None:
    lines = (RECORDINGS / "cluster3" / "udp-received-by-supervisor.jsonl").read_text().splitlines()
    read = [read_discovery_datagram(json.loads(line)["bytes"].encode()) for line in lines]
    assert {one.node_id for one in read if one} == {"node-1", "node-2", "node-3"}


def test_a_datagram_tells_the_machine() -> None:
    assert read_discovery_datagram(json.dumps(DATAGRAM).encode()) == Announcement(
        node_id=NodeId("node-1"),
        grpc_port=60001,
        capabilities=Capabilities("Linux Box", "x", 24105),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"type": "hello"},
        {"node_id": ""},
        {"node_id": "x" * 300},
        {"node_id": "a\nb"},
        {"node_id": 5},
        {"grpc_port": 0},
        {"grpc_port": 65536},
        {"device_capabilities": None},
    ],
)
def test_an_odd_datagram_is_none_of_ours(change: dict[str, object]) -> None:
    assert read_discovery_datagram(json.dumps(DATAGRAM | change).encode()) is None


def test_an_oversized_datagram_is_none_of_ours() -> None:
    assert read_discovery_datagram(json.dumps(DATAGRAM | {"x": "x" * 70_000}).encode()) is None


@given(data=st.binary())
def test_no_bytes_raise(data: bytes) -> None:
    assert read_discovery_datagram(data) is None
