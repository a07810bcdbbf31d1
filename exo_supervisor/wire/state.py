"""Exo's replicated state, read for what is placed and what is ready."""

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.core.names import ModelId, NodeId
from exo_supervisor.wire.faults import WireError
from exo_supervisor.wire.shapes import UNREADABLE

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


class Placement(Struct, frozen=True):
    """What a cluster holds; `index` counts the events applied and falls with a new session."""

    index: int | None
    nodes: tuple[NodeId, ...]
    models: dict[ModelId, Readiness]


class _Shards(Struct, rename="camel"):
    model_id: str
    runner_to_shard: dict[str, object] = {}


class _Instance(Struct, rename="camel"):
    shard_assignments: _Shards


class _Loading(Struct, rename="camel"):
    layers_loaded: int | None = None
    total_layers: int | None = None


class _OldNode(Struct, rename="camel"):
    node_id: str


class _Topology(Struct):
    """`nodes` is a list of objects in 1.0.60 to 1.0.63."""

    nodes: list[str | _OldNode]


_Instances = dict[str, dict[str, _Instance]]
_Runners = dict[str, Raw]


class _State(Struct, rename="camel"):
    instances: _Instances
    runners: _Runners
    topology: _Topology
    last_event_applied_idx: int | None = None


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


def read_full_state(body: bytes) -> Placement:
    """Read `GET /state` of any B or C; raises WireError if it has another shape.

    Everything else in it, the prompts of running tasks above all, is not even looked at.
    """
    try:
        state = _state.decode(body)
        return _placement(
            state.instances, state.runners, state.topology, state.last_event_applied_idx
        )
    except UNREADABLE:
        raise WireError("not a state of exo") from None


def _placement(
    instances: _Instances, runners: _Runners, topology: _Topology, index: int | None
) -> Placement:
    found: dict[ModelId, list[Readiness]] = {}
    for tagged in instances.values():
        for instance in tagged.values():
            shards = instance.shard_assignments
            found.setdefault(ModelId(shards.model_id), []).append(_readiness(shards, runners))
    nodes = (n if isinstance(n, str) else n.node_id for n in topology.nodes)
    return Placement(
        index=index,
        nodes=tuple(dict.fromkeys(NodeId(node) for node in nodes)),
        models={model: max(each, key=_rank) for model, each in found.items()},
    )


def _readiness(shards: _Shards, runners: _Runners) -> Readiness:
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
    )


def _rank(readiness: Readiness) -> int:
    return _RANK.index(readiness.why)
