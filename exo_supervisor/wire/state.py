"""Exo's replicated state, read for what is placed, what is ready, and who is where."""

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.core.names import ModelId, NodeId
from exo_supervisor.wire.faults import WireError, safe_text
from exo_supervisor.wire.shapes import UNREADABLE

_MOST_ADDRESSES = 64
_DOCKER = "172.17."

_PHASES = {
    "RunnerIdle": "idle",
    "RunnerConnecting": "connecting",
    "RunnerConnected": "connected",
    "RunnerLoading": "loading",
    "RunnerLoaded": "loaded",
    "RunnerWarmingUp": "warming_up",
    "RunnerReady": "ready",
    "RunnerRunning": "ready",
    "RunnerShuttingDown": "shutting_down",
    "RunnerShutdown": "shutting_down",
    "RunnerFailed": "runner_failed",
}
_RANK = (
    "runner_failed",
    "no_runners",
    "shutting_down",
    "unknown",
    "idle",
    "connecting",
    "connected",
    "loading",
    "loaded",
    "warming_up",
    "ready",
)
"""From worst to best: an instance is as good as its worst runner, a model as its best instance."""


class Readiness(Struct, frozen=True):
    """Whether a cluster can serve a model now; `why` is one word of a closed set."""

    ready: bool
    why: str
    progress: str | None
    instances: tuple[str, ...]
    nodes: tuple[NodeId, ...]


class Placement(Struct, frozen=True):
    """What a cluster holds; `index` counts the events applied and falls with a new session."""

    index: int | None
    nodes: tuple[NodeId, ...]
    models: dict[ModelId, Readiness]


class FullState(Struct, frozen=True):
    """A placement, and where its nodes may be reached.

    An address is `ip:port` where another node reached that API, and a bare `ip` otherwise;
    the likelier ones come first, and none is loopback.
    """

    placement: Placement
    addresses: dict[NodeId, tuple[str, ...]]
    names: dict[NodeId, str]


class _Shards(Struct, rename="camel"):
    model_id: str
    runner_to_shard: dict[str, object] = {}
    node_to_runner: dict[str, str] = {}


class _Instance(Struct, rename="camel"):
    shard_assignments: _Shards


class _Loading(Struct, rename="camel"):
    layers_loaded: int | None = None
    total_layers: int | None = None


class _OldNode(Struct, rename="camel"):
    node_id: str


class _Multiaddr(Struct):
    address: str | None = None


class _Edge(Struct, rename="camel"):
    sink_multiaddr: _Multiaddr | None = None


class _OldEdge(Struct, rename="camel"):
    send_back_node_id: str
    send_back_multiaddr: _Multiaddr | None = None


class _Topology(Struct):
    """`nodes` and `connections` are lists of objects in 1.0.60 to 1.0.63."""

    nodes: list[str | _OldNode]
    connections: dict[str, dict[str, list[_Edge]]] | list[_OldEdge] = {}


class _Interface(Struct, rename="camel"):
    ip_address: str | None = None


class _Network(Struct):
    interfaces: list[_Interface] = []


class _Profile(Struct, rename="camel"):
    friendly_name: str | None = None
    network_interfaces: list[_Interface] = []


class _Identity(Struct, rename="camel"):
    friendly_name: str | None = None


_Instances = dict[str, dict[str, _Instance]]
_Runners = dict[str, Raw]


class _State(Struct, rename="camel"):
    instances: _Instances
    runners: _Runners
    topology: _Topology
    last_event_applied_idx: int | None = None
    node_network: dict[str, _Network] = {}
    node_identities: dict[str, _Identity] = {}
    node_profiles: dict[str, _Profile] = {}


_state = msgspec.json.Decoder(_State)
_instances = msgspec.json.Decoder(_Instances)
_runners = msgspec.json.Decoder(_Runners)
_topology = msgspec.json.Decoder(_Topology)
_index = msgspec.json.Decoder(int | None)
_runner = msgspec.json.Decoder(dict[str, Raw])
_loading = msgspec.json.Decoder(_Loading)


def read_state(instances: bytes, runners: bytes, topology: bytes, index: bytes) -> Placement:
    """Read the bodies of `/state/instances`, `/runners`, `/topology`, `/lastEventAppliedIdx`.

    Exo has these from 1.0.70 on. Raises WireError if one has another shape.
    """
    try:
        return _placement(
            _instances.decode(instances),
            _runners.decode(runners),
            _topology.decode(topology),
            _index.decode(index),
        )
    except UNREADABLE:
        raise WireError("not a state of exo") from None


def read_full_state(body: bytes) -> FullState:
    """Read `GET /state` of any B or C; raises WireError if it has another shape.

    Everything else in it, the prompts of running tasks above all, is not even looked at.
    """
    try:
        state = _state.decode(body)
        placement = _placement(
            state.instances, state.runners, state.topology, state.last_event_applied_idx
        )
    except UNREADABLE:
        raise WireError("not a state of exo") from None
    return FullState(placement, _addresses(state), _names(state, placement.nodes))


def _placement(
    instances: _Instances, runners: _Runners, topology: _Topology, index: int | None
) -> Placement:
    found: dict[ModelId, list[Readiness]] = {}
    for name, tagged in instances.items():
        for instance in tagged.values():
            shards = instance.shard_assignments
            readiness = _readiness(name, shards, runners)
            found.setdefault(ModelId(shards.model_id), []).append(readiness)
    nodes = (n if isinstance(n, str) else n.node_id for n in topology.nodes)
    return Placement(
        index=index,
        nodes=tuple(dict.fromkeys(NodeId(node) for node in nodes)),
        models={model: _best(each) for model, each in found.items()},
    )


def _readiness(instance: str, shards: _Shards, runners: _Runners) -> Readiness:
    """Judge an instance by its own runners only: entries of deleted ones linger (Exo 2059)."""
    whys: list[str] = []
    loaded = total = 0
    for runner in shards.runner_to_shard:
        if runner not in runners:
            whys.append("no_runners")
            continue
        for status, detail in _runner.decode(runners[runner]).items():
            whys.append(_PHASES.get(status, "unknown"))
            if status == "RunnerLoading":
                layers = _loading.decode(detail)
                loaded += layers.layers_loaded or 0
                total += layers.total_layers or 0
    why = min(whys, key=_RANK.index, default="no_runners")
    return Readiness(
        ready=why == "ready",
        why=why,
        progress=f"{loaded} of {total} layers loaded" if total and why == "loading" else None,
        instances=(instance,),
        nodes=tuple(NodeId(node) for node in shards.node_to_runner),
    )


def _best(each: list[Readiness]) -> Readiness:
    best = max(each, key=lambda readiness: _RANK.index(readiness.why))
    return Readiness(
        ready=best.ready,
        why=best.why,
        progress=best.progress,
        instances=tuple(name for one in each for name in one.instances),
        nodes=tuple(dict.fromkeys(node for one in each for node in one.nodes)),
    )


def _addresses(state: _State) -> dict[NodeId, tuple[str, ...]]:
    """Per node, what others reached it at, then its own interfaces."""
    found: dict[NodeId, dict[str, None]] = {}
    for node, multiaddr in _edges(state.topology):
        address = _reached(multiaddr.address or "") if multiaddr else None
        if address:
            found.setdefault(node, {})[address] = None
    for name, interfaces in _interfaces(state):
        known = found.setdefault(NodeId(name), {})
        bare = [face.ip_address for face in interfaces if _usable(face.ip_address or "")]
        for ip in sorted((ip for ip in bare if ip), key=_unlikely):
            known[ip] = None
    return {node: tuple(known)[:_MOST_ADDRESSES] for node, known in found.items() if known}


def _edges(topology: _Topology) -> Iterator[tuple[NodeId, _Multiaddr | None]]:
    connections = topology.connections
    if isinstance(connections, list):
        for edge in connections:
            yield NodeId(edge.send_back_node_id), edge.send_back_multiaddr
        return
    for sinks in connections.values():
        for sink, edges in sinks.items():
            for edge in edges:
                yield NodeId(sink), edge.sink_multiaddr


def _interfaces(state: _State) -> Iterable[tuple[str, list[_Interface]]]:
    yield from ((node, network.interfaces) for node, network in state.node_network.items())
    yield from ((node, p.network_interfaces) for node, p in state.node_profiles.items())


def _reached(multiaddr: str) -> str | None:
    """Return the `ip:port` of `/ip4/IP/tcp/PORT`, which is an HTTP address in Exo's topology."""
    match = re.fullmatch(r"/ip4/([0-9.]{7,15})/tcp/([1-9][0-9]{0,4})", multiaddr)
    if not match or not _usable(match[1]) or int(match[2]) > 65535:  # noqa: PLR2004
        return None
    return f"{match[1]}:{match[2]}"


def _usable(ip: str) -> bool:
    try:
        address = IPv4Address(ip)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_multicast or address.is_unspecified)


def _unlikely(ip: str) -> bool:
    return IPv4Address(ip).is_link_local or ip.startswith(_DOCKER)


def _names(state: _State, nodes: tuple[NodeId, ...]) -> dict[NodeId, str]:
    """Return the names of the nodes there are: those of the dead are never pruned (Exo 2194)."""
    names = {node: profile.friendly_name for node, profile in state.node_profiles.items()}
    names |= {node: identity.friendly_name for node, identity in state.node_identities.items()}
    return {node: safe_text(names[node]) for node in nodes if names.get(node)}
