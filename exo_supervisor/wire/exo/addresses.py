"""Where Exo's nodes say that they, and the others, may be reached."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from itertools import chain, islice

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.core.names import NodeId
from exo_supervisor.wire.bounds import bounded_part, bounded_state
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.untrusted_json import UNREADABLE

_MOST_NODES = 1024
_MOST_ADDRESSES = 64
_MOST_EDGES = 4096
_REACHED = re.compile(r"/ip4/([0-9.]{7,15})/tcp/([1-9][0-9]{0,4})")
_LAST_PORT = 65535
_NONE = Raw(b"{}")


class _Multiaddr(Struct):
    address: str | None = None


class _Edge(Struct, rename="camel"):
    """An RDMA link has no `sinkMultiaddr`."""

    sink_multiaddr: _Multiaddr | None = None


class _OldEdge(Struct, rename="camel"):
    send_back_node_id: str
    send_back_multiaddr: _Multiaddr | None = None


class _Topology(Struct):
    """`connections` is a list in 1.0.60 to 1.0.63."""

    connections: dict[str, dict[str, list[_Edge]]] | list[_OldEdge] = {}


class _Interface(Struct, rename="camel"):
    ip_address: str | None = None


class _Network(Struct):
    interfaces: list[_Interface] = []


class _Profile(Struct, rename={"interfaces": "networkInterfaces"}):
    interfaces: list[_Interface] = []


class _Whole(Struct, rename="camel"):
    """`GET /state`, its parts as they came.

    `node_profiles` stood for `node_network` in 1.0.60 to 1.0.63.
    """

    topology: Raw
    node_network: Raw = _NONE
    node_profiles: Raw = _NONE


_whole = msgspec.json.Decoder(_Whole)
_profiles = msgspec.json.Decoder(dict[str, _Profile])
_topology = msgspec.json.Decoder(_Topology)
_network = msgspec.json.Decoder(dict[str, _Network])


def read_addresses(network: bytes, topology: bytes) -> dict[NodeId, tuple[str, ...]]:
    """Read the bodies of `/state/nodeNetwork` and `/state/topology`, which 1.0.70 and later have.

    Per node, `ip:port` where another node reached its API, then the bare `ip` of each interface;
    IPv4 only. Raises WireError if either has another shape.
    """
    try:
        read = _topology.decode(bounded_part(topology))
        return _addresses(read, _network.decode(bounded_part(network)))
    except UNREADABLE:
        raise WireError("not a topology and a network of exo") from None


def read_state_addresses(state: bytes) -> dict[NodeId, tuple[str, ...]]:
    """Read the same from `GET /state` of any B or C, and look at nothing else in it."""
    try:
        whole = _whole.decode(bounded_state(state))
        return _addresses(
            _topology.decode(bounded_part(bytes(whole.topology))),
            _network.decode(bounded_part(bytes(whole.node_network))),
            _profiles.decode(bounded_part(bytes(whole.node_profiles))),
        )
    except UNREADABLE:
        raise WireError("not a state of exo") from None


def _addresses(
    topology: _Topology, *networks: Mapping[str, _Network | _Profile]
) -> dict[NodeId, tuple[str, ...]]:
    found: dict[NodeId, dict[str, None]] = {}
    for node, multiaddr in islice(_edges(topology), _MOST_EDGES):
        address = _reached(multiaddr)
        if address is not None:
            found.setdefault(node, {})[address] = None
    told = chain.from_iterable(each.items() for each in networks)
    for node, network in islice(told, _MOST_NODES):
        for interface in islice(network.interfaces, _MOST_ADDRESSES):
            if _is_host(ip := interface.ip_address or ""):
                found.setdefault(NodeId(node), {})[ip] = None
    return {
        node: tuple(islice(known, _MOST_ADDRESSES))
        for node, known in islice(found.items(), _MOST_NODES)
    }


def _edges(topology: _Topology) -> Iterator[tuple[NodeId, str]]:
    connections = topology.connections
    if isinstance(connections, list):
        for edge in connections:
            yield NodeId(edge.send_back_node_id), _written(edge.send_back_multiaddr)
        return
    for sinks in connections.values():
        for sink, edges in sinks.items():
            for edge in edges:
                yield NodeId(sink), _written(edge.sink_multiaddr)


def _written(multiaddr: _Multiaddr | None) -> str:
    return (multiaddr and multiaddr.address) or ""


def _reached(multiaddr: str) -> str | None:
    """Return the `ip:port` of `/ip4/IP/tcp/PORT`, which is an HTTP address in Exo's topology."""
    match = _REACHED.fullmatch(multiaddr)
    if match is None or not _is_host(match[1]) or int(match[2]) > _LAST_PORT:
        return None
    return f"{match[1]}:{match[2]}"


def _is_host(ip: str) -> bool:
    try:
        address = IPv4Address(ip)
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified or address.is_reserved)
