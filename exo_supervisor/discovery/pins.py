"""Keeps the nodes that a person trusts across restarts, and looks whether they are still the same.

An address is borrowed: a machine that takes it while its owner is off would be handed what was
meant for the owner. So the link-layer address that first answered there is kept, too, and told of
whenever the kernel sees another one. That stops mistakes and mishaps; a forger of link-layer
addresses on your own link is not stopped by it.
"""

from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, ip_address
from typing import Annotated, Literal

import anyio
import msgspec
import structlog
from anyio.streams.memory import MemoryObjectSendStream
from msgspec import Meta, Struct

from exo_supervisor.core.events import Event, LinkSeen, NodeSighted
from exo_supervisor.core.fleet.trust import MAX_PINS, host_of
from exo_supervisor.core.names import Address
from exo_supervisor.discovery.neighbours import Neighbour, read_neighbours
from exo_supervisor.errors import NotOursError, SupervisorError, why_failed

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

EVERY = 2.0
"""Seconds between two looks at who the kernel sees at the pinned addresses.

A write that failed is tried again as often.
"""
KEPT_WITHIN = 2.0
"""Seconds for which one who asks whether the pins are kept waits for the disk."""

Pins = tuple[tuple[Address, str | None], ...]


class _Pin(Struct, frozen=True):
    address: Annotated[Address, Meta(max_length=256)]
    link: Annotated[str, Meta(max_length=17)] | None


class _File(Struct):
    version: Literal[1]
    pins: Annotated[list[_Pin], Meta(max_length=MAX_PINS)]


_decoder = msgspec.json.Decoder(_File)


def decode_pins(content: bytes) -> Pins:
    """Read what we wrote; raises NotOursError for anything else."""
    try:
        return tuple((pin.address, pin.link) for pin in _decoder.decode(content).pins)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise NotOursError("it is not a list of pins") from None


def encode_pins(pins: Pins) -> bytes:
    """Write pins as they are kept."""
    file = _File(version=1, pins=[_Pin(address, link) for address, link in pins])
    return msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n"


class PinWatch:
    """Tells of pinned nodes and their link-layer addresses, and writes the pins when they change.

    `write` replaces the file; that it raises OSError or SupervisorError costs a line in the log.
    """

    name = "pins"

    def __init__(
        self,
        inbox: MemoryObjectSendStream[Event],
        pins: Pins,
        write: Callable[[bytes], Awaitable[None]],
        *,
        neighbours: Callable[[], Sequence[Neighbour]] = read_neighbours,
    ) -> None:
        self._inbox, self._write, self._neighbours = inbox, write, neighbours
        self._pins, self._untold, self._unkept = pins, True, False
        self._seen: dict[Address, str] = {}
        self._changed, self._tried = anyio.Event(), anyio.Event()
        self._why: str | None = None
        self._logged: str | None = None

    def keep(self, pins: Pins) -> None:
        """Have other pins kept and watched from now on; never waits."""
        self._pins, self._unkept, self._why = pins, True, None
        pinned = dict(pins)
        self._seen = {node: link for node, link in self._seen.items() if pinned.get(node) == link}
        self._changed.set()

    async def kept(self) -> str | None:
        """Wait until the pins are in the file; return why they are not. What failed is retried."""
        self._why = None
        self._changed.set()
        with anyio.move_on_after(KEPT_WITHIN):
            while self._unkept and self._why is None:
                await self._tried.wait()
            return self._why
        return f"it took longer than {KEPT_WITHIN:g} s"

    async def run(self) -> None:
        """Watch until cancelled; what has changed then is kept, too."""
        if self._untold:
            self._untold = False
            for node, _ in self._pins:
                seen = NodeSighted(node=node, url=f"http://{node}", source=self.name)
                await self._inbox.send(seen)
        try:
            while True:
                self._changed = anyio.Event()
                await self._save()
                await self._look()
                with anyio.move_on_after(EVERY if self._pins or self._unkept else None):
                    await self._changed.wait()
        finally:
            with anyio.CancelScope(shield=True):
                await self._save()

    async def _look(self) -> None:
        """Tell of each pinned node's link-layer address that was not told of before."""
        if not self._pins:
            return
        try:
            known = {each.ip: each.mac.hex(":") for each in self._neighbours()}
        except OSError:
            return
        for node, _ in self._pins:
            ip = _ip(node)
            link = None if ip is None else known.get(ip)
            if link is not None and self._seen.get(node) != link:
                self._seen[node] = link
                await self._inbox.send(LinkSeen(node=node, link=link))

    async def _save(self) -> None:
        if not self._unkept:
            return
        pins, why = self._pins, None
        try:
            await self._write(encode_pins(pins))
        except (OSError, SupervisorError) as fault:
            why = why_failed(fault)
            if why != self._logged:
                advice = "let the service write to its state directory; until then pins end with it"
                log.warning("pins_unwritable", why=why, advice=advice)
        self._logged = why
        if self._pins is pins:  # and it was not cut off, nor have they changed meanwhile
            self._unkept, self._why = why is not None, why
        self._tried.set()
        self._tried = anyio.Event()


def _ip(node: Address) -> IPv4Address | None:
    try:
        found = ip_address(host_of(node))
    except ValueError:
        return None
    return found if isinstance(found, IPv4Address) else None
