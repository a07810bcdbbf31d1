"""Placing a model on Exo (B and C): what could be placed where, and what stands already."""

from collections.abc import Iterable
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw, Struct

from exo_supervisor.core.names import InstanceId, ModelId
from exo_supervisor.wire.bounds import MAX_MODELS, at_most, bounded_part, bounded_state, read_part
from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.untrusted_json import UNREADABLE

LONGEST_ID: Final = 64
"""Characters of an instance's id that is remembered; Exo's have 36."""
_LONGEST_WHY: Final = 200


class Preview(Struct, frozen=True):
    """One way to place a model, as Exo itself worked it out; `instance` is to be sent back.

    It will stand under `id`, where Exo gave it one.
    """

    instance: Raw
    nodes: int
    plain: bool
    id: InstanceId | None = None


class PlacedInstances(Struct, frozen=True):
    """The instances of a state by their models; `index` counts the events it has applied."""

    instances: dict[ModelId, list[InstanceId]]
    index: int | None = None

    def stands(self, models: Iterable[str]) -> bool:
        """Say whether any of some models stands."""
        return any(model in self.instances for model in models)


class _Preview(Struct):
    """An entry of `GET /instance/previews`, as Exo 1.0.60 and later write it."""

    sharding: str = ""
    instance_meta: str = ""
    instance: Raw = NULL
    memory_delta_by_node: dict[str, int] | None = None
    error: str | None = None

    def plain(self) -> bool:
        """Say whether this is what `POST /place_instance` does unless told otherwise."""
        return (self.sharding, self.instance_meta) == ("Pipeline", "MlxRing")


class _Previews(Struct):
    previews: list[_Preview]


class _Named(Struct, rename="camel"):
    instance_id: Annotated[str, Meta(max_length=LONGEST_ID)]


class _Shards(Struct, rename="camel"):
    model_id: str
    runner_to_shard: dict[str, Raw] = {}


class _Instance(Struct, rename="camel"):
    shard_assignments: _Shards


_Instances = dict[str, dict[str, _Instance]]


class _State(Struct, rename="camel"):
    instances: Raw
    runners: Raw = Raw(b"{}")
    last_event_applied_idx: int | None = None


_previews = msgspec.json.Decoder(_Previews)
_instances = msgspec.json.Decoder(_Instances)
_index = msgspec.json.Decoder(int | None)
_raw_map = msgspec.json.Decoder(dict[str, Raw])
_named = msgspec.json.Decoder(dict[str, _Named])
_state = msgspec.json.Decoder(_State)


def read_previews(body: bytes) -> tuple[list[Preview], str]:
    """Read the ways in which a model can be placed, and why not in another, Exo's own way first.

    Raises WireError.
    """
    entries = read_part(_previews, body, "exo's previews of an instance").previews
    fit = [
        Preview(
            entry.instance,
            len(entry.memory_delta_by_node or ()),
            entry.plain(),
            _id_of(entry.instance),
        )
        for entry in entries
        if entry.error is None and bytes(entry.instance) != b"null"
    ]
    whys = [entry.error for entry in sorted(entries, key=lambda e: not e.plain()) if entry.error]
    return fit, _harmless(whys[0] if whys else "exo knows no way to place it")


def choose(previews: list[Preview]) -> Preview:
    """Choose the way with the fewest hosts, and among those the one that Exo itself prefers.

    Each further host is one more that takes the model with it when it leaves.
    """
    return min(previews, key=lambda preview: (preview.nodes, not preview.plain))


def encode_placement(preview: Preview) -> bytes:
    """Write the body of `POST /instance`."""
    return msgspec.json.encode({"instance": preview.instance})


def read_instances(body: bytes, index: bytes | None = None) -> PlacedInstances:
    """Read `/state/instances` and, as `index`, `/state/lastEventAppliedIdx`.

    Without an index, `body` is the whole of `/state`. Raises WireError.
    """
    try:
        if index is None:
            whole = _state.decode(bounded_state(body))
            instances = _decode_instances(bytes(whole.instances))
            events = whole.last_event_applied_idx
        else:
            instances, events = _decode_instances(body), _index.decode(bounded_part(index))
    except UNREADABLE:
        raise WireError("not a state of exo") from None
    found: dict[ModelId, list[InstanceId]] = {}
    for name, tagged in instances.items():
        for instance in tagged.values():
            model = ModelId(instance.shard_assignments.model_id)
            found.setdefault(model, []).append(InstanceId(name))
    return PlacedInstances(found, events)


def at_work(body: bytes, runners: bytes | None) -> set[InstanceId]:
    """Name the instances on which a request is at work.

    `body` is `/state/instances`, or the whole of `/state` where `runners` are not apart. Raises
    WireError.
    """
    try:
        if runners is None:
            state = _state.decode(bounded_state(body))
            instances = _decode_instances(bytes(state.instances))
            statuses = _raw_map.decode(bounded_part(bytes(state.runners)))
        else:
            instances = _decode_instances(body)
            statuses = _raw_map.decode(bounded_part(runners))
        return {
            InstanceId(name)
            for name, tagged in instances.items()
            for instance in tagged.values()
            for runner in instance.shard_assignments.runner_to_shard
            if runner in statuses and "RunnerRunning" in _raw_map.decode(statuses[runner])
        }
    except UNREADABLE:
        raise WireError("not a state of exo") from None


def _decode_instances(part: bytes) -> _Instances:
    found = _instances.decode(bounded_part(part))
    ids = (one.shard_assignments.model_id for tagged in found.values() for one in tagged.values())
    at_most(MAX_MODELS, found)
    at_most(MAX_MODELS, ids)
    return found


def _id_of(instance: Raw) -> InstanceId | None:
    """Find the id that a previewed instance brings along; Exo keeps it."""
    try:
        return next((InstanceId(one.instance_id) for one in _named.decode(instance).values()), None)
    except UNREADABLE:
        return None


def _harmless(text: str) -> str:
    """Keep what may stand in a log line and on a terminal."""
    return "".join(c if " " <= c <= "~" else "?" for c in text[:_LONGEST_WHY])
