"""Generation A's own formats: topology, model list, datagrams, and the file of its peers."""

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.core.names import ModelId, NodeId
from exo_supervisor.wire.bounds import (
    MAX_MEMBERS,
    MAX_MODELS,
    MAX_NAME_CHARS,
    at_most,
    read_part,
)
from exo_supervisor.wire.untrusted_json import UNREADABLE

_LONGEST_DATAGRAM = 65536
_LAST_PORT = 65_535


class _Topology(Struct):
    nodes: dict[str, Raw]


class Capabilities(Struct, frozen=True):
    """What a node of generation A says of its machine; `memory` in MB."""

    model: str
    chip: str
    memory: int


class _Datagram(Struct):
    type: str
    node_id: str
    grpc_port: int
    device_capabilities: Capabilities


class Announcement(Struct, frozen=True):
    """One node's discovery datagram; the port is that of its peers, not of its API."""

    node_id: NodeId
    grpc_port: int
    capabilities: Capabilities


class _Peer(Struct):
    address: str


class _ManualFile(Struct):
    peers: dict[str, _Peer]


_topology = msgspec.json.Decoder(_Topology)
_manual_file = msgspec.json.Decoder(_ManualFile)
_models = msgspec.json.Decoder(dict[str, Raw])
_datagram = msgspec.json.Decoder(_Datagram)


def read_topology_a(body: bytes) -> tuple[NodeId, ...]:
    """Read who is in the asked node's cluster (`GET /v1/topology`); raises WireError."""
    nodes = read_part(_topology, body, "a topology of generation A").nodes
    return tuple(NodeId(node) for node in at_most(MAX_MEMBERS, nodes))


def read_models_a(body: bytes) -> tuple[ModelId, ...]:
    """Read what the node's engine can run (`GET /initial_models`); raises WireError."""
    models = read_part(_models, body, "a model list of generation A")
    return tuple(ModelId(model) for model in at_most(MAX_MODELS, models))


def read_manual_peers(body: bytes) -> tuple[str, ...]:
    """Read the peers' addresses in the file that `--discovery-config-path` names; raises WireError.

    What else it says of a peer is not looked at: the port is gRPC's.
    """
    peers = read_part(_manual_file, body, "a manual discovery file of generation A").peers
    return tuple(peer.address for peer in peers.values())


def read_discovery_datagram(data: bytes) -> Announcement | None:
    """Read what v0.0.15 and older broadcast on UDP port 5678, or None for anything else."""
    if len(data) > _LONGEST_DATAGRAM:
        return None
    try:
        read = _datagram.decode(data)
    except UNREADABLE:
        return None
    sound = 0 < len(read.node_id) <= MAX_NAME_CHARS and read.node_id.isprintable()
    if read.type != "discovery" or not sound or not 0 < read.grpc_port <= _LAST_PORT:
        return None
    return Announcement(NodeId(read.node_id), read.grpc_port, read.device_capabilities)
