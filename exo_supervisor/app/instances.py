"""Where it is kept which instances we placed: a small file in the state directory.

A supervisor that forgot them at its restart would never take away the second instance that an order
of its last seconds makes.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import anyio
import msgspec
import structlog
from anyio import to_thread
from msgspec import Meta, Struct

from exo_supervisor.core.effects import OwnInstances
from exo_supervisor.core.names import InstanceId, ModelId
from exo_supervisor.core.placement.desired import MAX_OWN, MOST
from exo_supervisor.errors import SupervisorError
from exo_supervisor.host.kept import read_kept, write_kept
from exo_supervisor.wire.exo.placement import LONGEST_ID
from exo_supervisor.wire.untrusted_json import UNREADABLE

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("instances")

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


class BadInstancesError(SupervisorError):
    """The file's content is not what we write."""


def decode_own(content: bytes) -> tuple[OwnInstances, ...]:
    """Read what we wrote; raises BadInstancesError for anything else."""
    try:
        placed = _decoder.decode(content).placed
    except UNREADABLE:
        raise BadInstancesError("it is not a list of instances") from None
    return tuple(OwnInstances(each.model, each.seen, each.ordered) for each in placed)


def encode_own(own: Sequence[OwnInstances]) -> bytes:
    """Write which instances are our own as it is kept."""
    file = _File(version=1, placed=tuple(_Placed(o.model, o.seen, o.ordered) for o in own))
    return msgspec.json.encode(file) + b"\n"


async def read_own(state: Path | None) -> tuple[OwnInstances, ...]:
    """Read what earlier runs placed; a file that cannot be read is as none."""
    if state is None:
        return ()
    try:
        content = await to_thread.run_sync(read_kept, state / FILE)
        return () if content is None else decode_own(content)
    except (OSError, SupervisorError) as fault:
        log.debug("instances_unreadable", why=_why(fault))
        return ()


class InstanceFile:
    """Writes which instances are our own whenever that changes.

    `write` replaces the file; that it raises OSError or SupervisorError costs a line in the log.
    """

    name = "instances"

    def __init__(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        self._write = write
        self._unkept: Sequence[OwnInstances] | None = None
        self._changed = anyio.Event()

    def keep(self, own: Sequence[OwnInstances]) -> None:
        """Have this kept; never waits."""
        self._unkept = own
        self._changed.set()

    async def run(self) -> None:
        """Write until cancelled; what has changed then is kept, too."""
        try:
            while True:
                self._changed = anyio.Event()
                await self._save()
                await self._changed.wait()
        finally:
            with anyio.CancelScope(shield=True):
                await self._save()

    async def _save(self) -> None:
        own = self._unkept
        if own is None:
            return
        try:
            await self._write(encode_own(own))
        except (OSError, SupervisorError) as fault:
            advice = "let the service write to its state directory"
            log.warning("instances_unwritable", why=_why(fault), advice=advice)
        if self._unkept is own:  # and it was not cut off, nor has it changed meanwhile
            self._unkept = None


def instance_file(state: Path | None) -> InstanceFile:
    """Make the service that keeps them; without a state directory they end with the process."""

    async def write(content: bytes) -> None:
        if state is not None:
            await to_thread.run_sync(write_kept, state / FILE, content)

    return InstanceFile(write)


def _why(fault: Exception) -> str:
    reason = fault.strerror if isinstance(fault, OSError) else None
    return (reason or str(fault)).lower()
