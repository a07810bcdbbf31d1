"""Where it is kept which instances we placed: a small file in the state directory.

A supervisor that forgot them at its restart would never take away the second instance that an order
of its last seconds makes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from exo_supervisor.app.kept_file import KeptFile, read_file, writes_to
from exo_supervisor.core.effects import OwnInstances
from exo_supervisor.core.names import InstanceId, ModelId
from exo_supervisor.core.placement.desired import MAX_OWN, MOST
from exo_supervisor.errors import NotOursError
from exo_supervisor.wire.exo.placement import LONGEST_ID
from exo_supervisor.wire.untrusted_json import UNREADABLE

FILE = "instances.json"

_Id = Annotated[InstanceId, Meta(min_length=1, max_length=LONGEST_ID)]


_Ids = Annotated[tuple[_Id, ...], Meta(max_length=MAX_OWN)]


class _Placed(Struct, frozen=True):
    model: Annotated[ModelId, Meta(max_length=256)]
    seen: _Ids
    ordered: _Ids


class _File(Struct):
    version: Literal[1]
    placed: Annotated[tuple[_Placed, ...], Meta(max_length=MOST)]


_decoder = msgspec.json.Decoder(_File)


def decode_own(content: bytes) -> tuple[OwnInstances, ...]:
    """Read what we wrote; raises NotOursError for anything else."""
    try:
        placed = _decoder.decode(content).placed
    except UNREADABLE:
        raise NotOursError("it is not a list of instances") from None
    return tuple(OwnInstances(each.model, each.seen, each.ordered) for each in placed)


def encode_own(own: Sequence[OwnInstances]) -> bytes:
    """Write which instances are our own as it is kept."""
    return msgspec.json.encode({"version": 1, "placed": own}) + b"\n"


async def read_own(state: Path | None) -> tuple[OwnInstances, ...]:
    """Read what earlier runs placed; a file that cannot be read is as none."""
    return await read_file(state and state / FILE, "instances", decode_own, ())


InstanceFile = KeptFile[Sequence[OwnInstances]]


def instance_file(state: Path | None) -> InstanceFile:
    """Make the service that keeps them; without a state directory they end with the process."""
    return InstanceFile("instances", writes_to(state and state / FILE), encode_own)
