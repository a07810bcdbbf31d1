"""Placing a model on Exo (B and C): what could be placed where, and what stands already."""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.core.names import InstanceId, ModelId
from exo_supervisor.wire.faults import WireError
from exo_supervisor.wire.shapes import UNREADABLE

_LONGEST_WHY: Final = 200


class Preview(Struct, frozen=True):
    """One way to place a model, as Exo itself worked it out; `instance` is to be sent back."""

    instance: Raw
    nodes: int
    plain: bool


class _Preview(Struct):
    """An entry of `GET /instance/previews`, as Exo 1.0.60 and later write it."""

    sharding: str = ""
    instance_meta: str = ""
    instance: Raw = Raw(b"null")
    memory_delta_by_node: dict[str, int] | None = None
    error: str | None = None

    def plain(self) -> bool:
        """Say whether this is what `POST /place_instance` does unless told otherwise."""
        return (self.sharding, self.instance_meta) == ("Pipeline", "MlxRing")


class _Previews(Struct):
    previews: list[_Preview]


class _Shards(Struct, rename="camel"):
    model_id: str


class _Instance(Struct, rename="camel"):
    shard_assignments: _Shards


class _State(Struct):
    instances: dict[str, dict[str, _Instance]]


_previews = msgspec.json.Decoder(_Previews)
_instances = msgspec.json.Decoder(dict[str, dict[str, _Instance]])
_state = msgspec.json.Decoder(_State)


def read_previews(body: bytes) -> tuple[list[Preview], str]:
    """Read the ways in which a model can be placed, and why not in another, Exo's own way first.

    Raises WireError.
    """
    try:
        entries = _previews.decode(body).previews
    except UNREADABLE:
        raise WireError("not exo's previews of an instance") from None
    fit = [
        Preview(
            entry.instance,
            len(entry.memory_delta_by_node or ()),
            entry.plain(),
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


def standing(body: bytes, *, whole: bool) -> dict[ModelId, list[InstanceId]]:
    """Read which instances stand, from `/state/instances` or from the `whole` of `/state`.

    Raises WireError.
    """
    try:
        instances = _state.decode(body).instances if whole else _instances.decode(body)
    except UNREADABLE:
        raise WireError("not a state of exo") from None
    found: dict[ModelId, list[InstanceId]] = {}
    for name, tagged in instances.items():
        for instance in tagged.values():
            model = ModelId(instance.shard_assignments.model_id)
            found.setdefault(model, []).append(InstanceId(name))
    return found


def _harmless(text: str) -> str:
    """Keep what may stand in a log line and on a terminal."""
    return "".join(c if " " <= c <= "~" else "?" for c in text[:_LONGEST_WHY])
