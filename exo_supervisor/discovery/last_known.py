"""Remembers across restarts which nodes were up, and looks at them again.

What was kept is a sighting and no truth: it counts for nothing until the node answers, and leads to
the private networks of our own links and to `ranges` only, as a stranger's word does.
Nodes that a person named are not kept, for the configuration has them; nor is this machine's own.
"""

import re
import time
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import AddressValueError, IPv4Address
from typing import Annotated, Literal

import anyio
import msgspec
import structlog
from anyio.streams.memory import MemoryObjectSendStream
from msgspec import Meta, Struct

from exo_supervisor.core.events import Event, NodeSighted, SourceHeard
from exo_supervisor.core.names import Address, Generation, NodeId
from exo_supervisor.discovery.allowed_networks import AllowedNetworks
from exo_supervisor.errors import NotOursError, SupervisorError, why_failed

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

EVERY = 30.0
"""Seconds between two looks at what has changed."""
STALE = 3600.0
"""Seconds after which it is worth a write that nothing but the time has changed."""
FORGET = 7 * 86_400.0
"""Seconds without an answer after which a node is not looked for any more."""
MOST = 256
"""Nodes that are kept; those that were up last."""

_LAST_PORT = 65_535
_NO_JSON = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class Known(Struct, frozen=True):
    """A node that was up; `up_at` is in seconds since 1970, UTC."""

    address: Address
    generation: Generation
    node_id: Annotated[NodeId, Meta(max_length=256)] | None
    up_at: float


class _File(Struct):
    version: Literal[1]
    nodes: list[Known]


_decoder = msgspec.json.Decoder(_File)


class LastKnown:
    """Tells once of each node that was kept, and keeps those of `nodes`, which are up now.

    `read` gives the file's content or None, `write` replaces it; both may raise OSError and
    SupervisorError, which cost a line in the log.
    """

    name = "last_known"

    def __init__(
        self,
        inbox: MemoryObjectSendStream[Event],
        allowed: AllowedNetworks,
        nodes: Callable[[], Iterable[Known]],
        *,
        read: Callable[[], Awaitable[bytes | None]],
        write: Callable[[bytes], Awaitable[None]],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._inbox, self._allowed, self._nodes = inbox, allowed, nodes
        self._read, self._write, self._wall = read, write, wall
        self._known: dict[Address, Known] = {}
        self._written: dict[Address, Known] = {}
        self._untold: dict[Address, None] = {}
        self._unwritable = False

    async def run(self) -> None:
        """Tell and keep until cancelled; what is new then is kept, too."""
        self._known = await self._load()
        self._written = dict(self._known)
        self._untold = dict.fromkeys(self._known)
        try:
            await self._tell()
            await self._inbox.send(SourceHeard(source=self.name))
            while True:
                await anyio.sleep(EVERY)
                await self._tell()
                self._learn()
                if self._changed(STALE):
                    await self._save()
        finally:
            self._learn()
            if self._changed(0.0):
                with anyio.CancelScope(shield=True):
                    await self._save()

    def forget(self) -> None:
        """Keep no node that is not up now; the file follows at its next writing."""
        up = {each.address for each in self._nodes()}
        self._known = {address: known for address, known in self._known.items() if address in up}
        self._untold.clear()

    async def _tell(self) -> None:
        """Tell of those on our links now; the others have their turn when such a link comes."""
        near = [each for each in self._untold if self._allows(each)]
        for address in near:
            del self._untold[address]
            url = f"http://{address}"
            await self._inbox.send(NodeSighted(node=address, url=url, source=self.name))

    def _learn(self) -> None:
        """Take in who is up, and drop who has not been for long."""
        now = self._wall()
        for each in self._nodes():
            if self._allows(each.address):
                self._known[each.address] = msgspec.structs.replace(each, up_at=now)
        self._known = _freshest(self._known.values(), now)

    def _allows(self, address: Address) -> bool:
        ip = _ip(address)
        return ip is not None and self._allowed.allows(ip)

    def _changed(self, stale: float) -> bool:
        if self._known.keys() != self._written.keys():
            return True
        pairs = ((now, self._written[address]) for address, now in self._known.items())
        return any(
            (now.generation, now.node_id) != (was.generation, was.node_id)
            or now.up_at - was.up_at > stale
            for now, was in pairs
        )

    async def _load(self) -> dict[Address, Known]:
        try:
            content = await self._read()
            return {} if content is None else _decode(content, self._wall())
        except (OSError, SupervisorError) as fault:
            log.warning("last_known_unreadable", why=why_failed(fault), advice="it is written anew")
            return {}

    async def _save(self) -> None:
        kept = dict(self._known)
        try:
            await self._write(_encode(kept.values()))
        except (OSError, SupervisorError) as fault:
            if not self._unwritable:
                log.warning("last_known_unwritable", why=why_failed(fault), advice=_ADVICE)
            self._unwritable = True
            return
        self._written, self._unwritable = kept, False


_ADVICE = "let the service write to its state directory; until then nodes are found anew"


def _encode(nodes: Iterable[Known]) -> bytes:
    file = _File(version=1, nodes=list(nodes))
    return msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n"


def _decode(content: bytes, now: float) -> dict[Address, Known]:
    """Read what we wrote; raises SupervisorError for anything else."""
    try:
        nodes = _decoder.decode(content).nodes
    except _NO_JSON:
        raise NotOursError("it is not a list of nodes") from None
    if any(_ip(each.address) is None for each in nodes):
        raise NotOursError("it names what is no node's address")
    past = (msgspec.structs.replace(each, up_at=min(each.up_at, now)) for each in nodes)
    return _freshest(past, now)


def _freshest(nodes: Iterable[Known], now: float) -> dict[Address, Known]:
    fresh = [each for each in nodes if now - each.up_at < FORGET]
    fresh.sort(key=lambda each: each.up_at, reverse=True)
    return {each.address: each for each in fresh[:MOST]}


def _ip(address: Address) -> IPv4Address | None:
    """Take the IPv4 address out of `ip:port`; None if it is anything else."""
    host, _, port = address.partition(":")
    if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) <= _LAST_PORT:
        return None
    try:
        return IPv4Address(host)
    except AddressValueError:
        return None
