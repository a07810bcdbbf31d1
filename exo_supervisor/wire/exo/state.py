"""Exo's replicated state, read for what is placed, what is ready, and who has fallen silent."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice

import msgspec
from msgspec import Raw, Struct, structs

from exo_supervisor.core.fleet.placed import Instance, Placed
from exo_supervisor.core.names import InstanceId, ModelId, NodeId
from exo_supervisor.wire.bounds import (
    MAX_MEMBERS,
    MAX_MODELS,
    MAX_RUNNERS,
    at_most,
    bounded_part,
    bounded_state,
)
from exo_supervisor.wire.chat.judge import safe_text
from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.exo.downloads import WAITS, explain, on_disk, read_downloads
from exo_supervisor.wire.untrusted_json import UNREADABLE

SILENT = timedelta(seconds=15)
"""A host that the master heard of this much later than of another may have left: the master
stamps each about once a second, and drops one only after 30 to 40 s."""
MAX_ORPHANS = 1024
"""Orphans that are told of, the newest; a state may hold any number."""

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
    "host_silent",
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


class Placement(Struct, frozen=True):
    """What a cluster holds; `index` counts the events applied and falls with a new session.

    A model's `why` is one word, empty when it is ready; its instances stand best first. `runners`
    are how many the instances have, `orphans` those of no instance that are shutting down.
    `downloaded` are the models on some disk, None where that was not read.
    """

    index: int | None
    nodes: tuple[NodeId, ...]
    models: tuple[Placed, ...]
    runners: int = 0
    orphans: tuple[str, ...] = ()
    downloaded: tuple[ModelId, ...] | None = None

    def waits(self) -> bool:
        """Say whether an instance may wait for a download."""
        return any(one.why in WAITS for placed in self.models for one in placed.instances)


class _Shards(Struct, rename="camel"):
    model_id: str
    runner_to_shard: dict[str, object] = {}
    node_to_runner: Raw = NULL


class _Instance(Struct, rename="camel"):
    shard_assignments: _Shards


class _Loading(Struct, rename="camel"):
    layers_loaded: int | None = None
    total_layers: int | None = None


class _Failed(Struct, rename="camel"):
    error_message: str = ""


class _OldNode(Struct, rename="camel"):
    node_id: str


class _Topology(Struct):
    nodes: Raw


_Nodes = list[str | _OldNode]
"""Objects in 1.0.60 to 1.0.63."""
_Instances = dict[str, dict[str, _Instance]]
_Runners = dict[str, Raw]


class _State(Struct, rename="camel"):
    instances: _Instances
    runners: _Runners
    nodes: _Nodes
    last_event_applied_idx: int | None = None
    last_seen: Raw = NULL


class _Whole(Struct, rename="camel"):
    """`GET /state`, its parts as they came; whatever else is in it is passed over."""

    instances: Raw
    runners: Raw
    topology: Raw
    last_event_applied_idx: Raw = NULL
    last_seen: Raw = NULL
    downloads: Raw = NULL


_whole = msgspec.json.Decoder(_Whole)
_instances = msgspec.json.Decoder(_Instances)
_runners = msgspec.json.Decoder(_Runners)
_topology = msgspec.json.Decoder(_Topology)
_nodes = msgspec.json.Decoder(_Nodes)
_index = msgspec.json.Decoder(int | None)
_loading = msgspec.json.Decoder(_Loading)
_failed = msgspec.json.Decoder(_Failed)
_map = msgspec.json.Decoder(dict[str, Raw] | None)
_stamp = msgspec.json.Decoder(str)


def read_state(
    instances: bytes, runners: bytes, topology: bytes, index: bytes, last_seen: bytes = b"null"
) -> Placement:
    """Read `/state/instances`, `runners`, `topology`, `lastEventAppliedIdx`, `lastSeen`.

    Exo has these from 1.0.70 on. Raises WireError if one has another shape; only who was seen
    when may be missing or odd, and then nobody is silent.
    """
    try:
        return _placement(
            _State(
                _instances.decode(bounded_part(instances)),
                _runners.decode(bounded_part(runners)),
                _nodes.decode(_topology.decode(bounded_part(topology)).nodes),
                _index.decode(bounded_part(index)),
                Raw(bounded_part(last_seen)),
            )
        )
    except UNREADABLE:
        raise WireError("not a state of exo") from None


def read_full_state(body: bytes) -> Placement:
    """Read `GET /state` of any B or C; raises WireError if it has another shape.

    Everything else in it, the prompts of running tasks above all, is not even looked at.
    """
    try:
        whole = _whole.decode(bounded_state(body))
    except UNREADABLE:
        raise WireError("not a state of exo") from None
    placement = read_state(
        bytes(whole.instances),
        bytes(whole.runners),
        bytes(whole.topology),
        bytes(whole.last_event_applied_idx),
        bytes(whole.last_seen),
    )
    return with_downloads(placement, bytes(whole.downloads))


def with_downloads(placement: Placement, downloads: bytes) -> Placement:
    """Add what `/state/downloads` tells; what cannot be read says nothing."""
    known = read_downloads(downloads)
    if known is None:
        return placement
    models = explain(placement.models, known)
    return structs.replace(placement, models=models, downloaded=on_disk(known))


def _placement(state: _State) -> Placement:
    told = [(key, one) for key, tagged in state.instances.items() for one in tagged.values()]
    at_most(MAX_MODELS, state.instances)
    at_most(MAX_MODELS, (one.shard_assignments.model_id for _, one in told))
    own = {runner for _, one in told for runner in one.shard_assignments.runner_to_shard}
    at_most(MAX_RUNNERS, own)
    listed = (n if isinstance(n, str) else n.node_id for n in state.nodes)
    nodes = tuple(NodeId(node) for node in dict.fromkeys(at_most(MAX_MEMBERS, listed)))
    statuses = {r: _mapped(state.runners[r]) for r in own if r in state.runners}
    silent = _silent(state.last_seen, frozenset(nodes))
    found: dict[ModelId, list[Instance]] = {}
    for key, instance in told:
        shards = instance.shard_assignments
        read = _instance(InstanceId(key), shards, statuses, silent)
        found.setdefault(ModelId(shards.model_id), []).append(read)
    return Placement(
        index=state.last_event_applied_idx,
        nodes=nodes,
        models=tuple(_model(model, each) for model, each in found.items()),
        runners=len(own),
        orphans=_orphans(state.runners, own),
    )


def _orphans(runners: _Runners, own: set[str]) -> tuple[str, ...]:
    """Name the newest runners that shut down for nobody; Exo lets entries linger (Exo 2059)."""
    strays = [runner for runner in islice(reversed(runners), MAX_RUNNERS) if runner not in own]
    down = (one for one in reversed(strays) if _phase(_mapped(runners[one])) == "shutting_down")
    return at_most(MAX_RUNNERS, down)[-MAX_ORPHANS:]


def _phase(status: Mapping[str, object]) -> str:
    """Name a runner's phase; one whose status has several tags is as bad as the worst."""
    return min((_PHASES.get(tag, "unknown") for tag in status), key=_RANK.index, default="")


def _instance(
    key: InstanceId, shards: _Shards, statuses: Mapping[str, dict[str, Raw]], silent: set[str]
) -> Instance:
    """Judge an instance by its own runners only: entries of deleted ones linger (Exo 2059)."""
    mine = [statuses.get(runner, {}) for runner in shards.runner_to_shard]
    hosts = tuple(NodeId(host) for host in _mapped(shards.node_to_runner))
    why = min((_phase(one) or "no_runners" for one in mine), key=_RANK.index, default="no_runners")
    if not silent.isdisjoint(hosts):
        why = "host_silent"
    layers = [_loading.decode(one["RunnerLoading"]) for one in mine if "RunnerLoading" in one]
    loaded = sum(one.layers_loaded or 0 for one in layers)
    total = sum(one.total_layers or 0 for one in layers)
    progress = f"{loaded} of {total} layers loaded" if total and why == "loading" else None
    ready = why == "ready"
    running = any("RunnerRunning" in one for one in mine)
    why = "" if ready else why
    words = [_words(one["RunnerFailed"]) for one in mine if "RunnerFailed" in one]
    detail = next(filter(None, words), "") if why == "runner_failed" else ""
    return Instance(key, ready, why, progress, hosts, running, detail)


def _words(failed: Raw) -> str:
    """Read why a runner failed, in Exo's words."""
    try:
        return safe_text(_failed.decode(failed).error_message)
    except UNREADABLE:
        return ""


def _model(model: ModelId, instances: list[Instance]) -> Placed:
    best_first = tuple(sorted(instances, key=_rank, reverse=True))
    best = best_first[0]
    return Placed(model, best.ready, best.why, best.progress, best_first, best.detail)


def _rank(instance: Instance) -> int:
    return _RANK.index(instance.why or "ready")


def _silent(last_seen: Raw, living: frozenset[NodeId]) -> set[str]:
    """Name the nodes that the master has not heard of for long, measured by its own clock.

    That is read from those that the topology names: Exo never forgets the others, and one that
    was stamped by another master may stand in the future.
    """
    seen: dict[str, datetime] = {}
    told = _mapped(last_seen)
    for node, stamp in islice(told.items(), len(told) if len(told) <= MAX_RUNNERS else 0):
        with suppress(ValueError):  # msgspec's own errors are among them
            at = datetime.fromisoformat(_stamp.decode(stamp))
            seen[node] = at if at.tzinfo else at.replace(tzinfo=UTC)
    latest = max((at for node, at in seen.items() if node in living), default=None)
    return {node for node, at in seen.items() if latest is not None and latest - at > SILENT}


def _mapped(value: Raw) -> dict[str, Raw]:
    """Read a map that a state may lack or spell otherwise; then it says nothing."""
    try:
        return _map.decode(value) or {}
    except UNREADABLE:
        return {}
