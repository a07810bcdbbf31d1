"""Addresses come out of a state as Exo wrote them, the tried ones first, and nothing else does."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.names import NodeId
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.exo.addresses import read_addresses, read_state_addresses

RECORDINGS = Path(__file__).parents[2] / "recordings"
LAN = (RECORDINGS / "gen-c/lan3/state-n1.trimmed.json").read_bytes()
TOLD = {
    NodeId("a9ba47ffaa43bca4f14ab539becbbaff"): ("10.77.0.2:52415", "127.0.0.1", "10.77.0.2"),
    NodeId("89dad7651307910ac827b7769463953"): ("10.77.0.3:52415", "127.0.0.1", "10.77.0.3"),
    NodeId("11db27e82a0fc19c4d315938e84f934b"): ("10.77.0.1:52415", "127.0.0.1", "10.77.0.1"),
}


def part(name: str) -> bytes:
    return json.dumps(json.loads(LAN)[name]).encode()


def edge(address: object) -> bytes:
    return json.dumps({"connections": {"a": {"b": [{"sinkMultiaddr": address}]}}}).encode()


def test_a_recorded_lan_of_three_tells_where_each_node_is() -> None:
    assert read_state_addresses(LAN) == TOLD


def test_two_paths_tell_the_same_as_the_whole_state() -> None:
    assert read_addresses(part("nodeNetwork"), part("topology")) == TOLD


def test_the_shapes_of_the_first_versions_are_read() -> None:
    old = {
        "topology": {
            "nodes": [{"nodeId": "n"}],
            "connections": [
                {
                    "localNodeId": "m",
                    "sendBackNodeId": "n",
                    "sendBackMultiaddr": {"address": "/ip4/10.0.0.2/tcp/52415"},
                }
            ],
        },
        "nodeProfiles": {"n": {"networkInterfaces": [{"ipAddress": "10.0.0.2"}]}},
    }
    read = read_state_addresses(json.dumps(old).encode())
    assert read == {NodeId("n"): ("10.0.0.2:52415", "10.0.0.2")}


@pytest.mark.parametrize(
    "address",
    [
        None,
        {},
        {"address": "/ip6/::1/tcp/52415"},
        {"address": "/ip4/10.0.0.2/tcp/0"},
        {"address": "/ip4/10.0.0.2/tcp/65536"},
        {"address": "/ip4/10.0.0.2/tcp/52415/p2p/x"},
        {"address": "/ip4/010.0.0.2/tcp/52415"},
        {"address": "/ip4/0.0.0.0/tcp/52415"},
        {"address": "/ip4/224.0.0.1/tcp/52415"},
        {"address": "/ip4/255.255.255.255/tcp/52415"},
        {"address": "/ip4/\u0661\u0660.0.0.2/tcp/52415"},
    ],
)
def test_an_edge_that_leads_to_no_host_is_left_out(address: object) -> None:
    assert read_addresses(b"{}", edge(address)) == {}


def test_a_link_without_an_address_is_no_obstacle() -> None:
    """RDMA links stand beside the others, without an address of their own."""
    links = b'{"connections":{"a":{"b":[{"sourceRdmaIface":"x","sinkRdmaIface":"y"}]}}}'
    assert read_addresses(b"{}", links) == {}


def test_a_node_with_endless_interfaces_is_cut_short() -> None:
    faces = [{"ipAddress": f"10.0.{i // 256}.{i % 256}"} for i in range(2000)]
    network = json.dumps({"n": {"interfaces": faces}}).encode()
    assert len(read_addresses(network, b"{}")[NodeId("n")]) == 64


def test_a_state_of_endless_nodes_is_cut_short() -> None:
    network = {str(i): {"interfaces": [{"ipAddress": "10.0.0.1"}]} for i in range(3000)}
    assert len(read_addresses(json.dumps(network).encode(), b"{}")) == 1024


@pytest.mark.parametrize("body", [b"", b"[]", b'{"a":', b"[" * 100_000, b'"\xff"', b'{"a":1}'])
def test_another_shape_is_refused_without_repeating_it(body: bytes) -> None:
    with pytest.raises(WireError, match=r"^not a "):
        read_addresses(body, b"{}")
    with pytest.raises(WireError, match=r"^not a state of exo$"):
        read_state_addresses(body)


@given(st.binary(), st.binary())
def test_no_bytes_raise_anything_else(network: bytes, topology: bytes) -> None:
    for attempt in (
        lambda: read_addresses(network, topology),
        lambda: read_state_addresses(network),
    ):
        try:
            assert isinstance(attempt(), dict)
        except WireError:
            continue
