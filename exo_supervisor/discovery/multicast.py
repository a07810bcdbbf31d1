"""Finds generation C's nodes by Exo's own multicast protocol over IPv6.

It listens to the Hellos of Exo's nodes and asks for their ids, but only ever from a port of its
own, and answers nobody. An answer comes from an IPv6 address, whereas Exo's API listens on IPv4
only: where a node is is known from what its cluster tells, or from who shares its hardware
address on the link. Measured with Exo's commit 09f9ea313.
"""

import secrets
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import anyio
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from exo_supervisor.core.events import Event, NodeSighted
from exo_supervisor.core.names import NodeId
from exo_supervisor.discovery.address_lookup import AddressLookup
from exo_supervisor.discovery.allowed_networks import AllowedNetworks
from exo_supervisor.discovery.group import drain, open_listener, open_sender, send
from exo_supervisor.discovery.hello_protocol import Answer, HelloProtocol
from exo_supervisor.discovery.interfaces import HAS_NETLINK
from exo_supervisor.discovery.namespaces import Namespaces
from exo_supervisor.discovery.neighbours import Link, read_links
from exo_supervisor.discovery.throttle import Throttle
from exo_supervisor.wire.exo.hello import NONCE

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

EVERY = 10.0
"""Seconds between two questions on a link, if nobody new says Hello."""
LOOK = 5.0
"""Seconds between two looks at which interfaces there are."""
REPEAT = 30.0
"""Seconds before a node's address is told of again."""
MOST_LINKS = 64
"""Interfaces that are talked on; a machine with more has them for containers."""
NO_IPV6 = "no interface has an IPv6 address, and generation C announces itself over IPv6 only"
DEAF = (
    "this system does not tell the IPv4 addresses of who is heard over IPv6: name one of the "
    "nodes in discovery.static, it names the others"
)
NO_SUCH_LINK = "none of the interfaces that discovery.interfaces names has an IPv6 address"

_RETRY = 1.0
_BREATH = 0.05
_WAITING = 64


class Multicast:
    """Sends a sighting for each node that answers; `why_quiet` says why none can.

    `addresses` tells what is known of where a node is, as `ip:port` or bare `ip`; `namespaces`
    are Exo's `--namespace` beyond the usual ones, `interfaces` the only ones to use, if any.
    Raises ValueError for a namespace longer than 1024 bytes.
    """

    name = "multicast"

    def __init__(
        self,
        inbox: MemoryObjectSendStream[Event],
        api_ports: Sequence[int],
        allowed: AllowedNetworks,
        *,
        namespaces: Sequence[str] = (),
        interfaces: Sequence[str] = (),
        addresses: Callable[[NodeId], Sequence[str]] = lambda _: (),
        links: Callable[[], Sequence[Link]] = read_links,
    ) -> None:
        self._inbox, self._interfaces, self._links = inbox, interfaces, links
        self._namespaces = Namespaces(namespaces)
        self._told, self._placed = Throttle(REPEAT), Throttle(EVERY - _RETRY)
        self._lookup = AddressLookup(api_ports, addresses, allowed)
        self.why_quiet: str | None = "it has not started yet"

    async def run(self) -> None:
        """Talk on every link until cancelled."""
        attended: dict[Link, anyio.CancelScope] = {}
        async with anyio.create_task_group() as tasks:
            while True:
                links = self._look()
                for gone in attended.keys() - set(links):
                    attended.pop(gone).cancel()
                for link in links:
                    if link not in attended:
                        attended[link] = anyio.CancelScope()
                        tasks.start_soon(self._attend, link, attended[link])
                await anyio.sleep(LOOK)

    def _look(self) -> list[Link]:
        try:
            links = self._links()
        except OSError as fault:
            self._say_quiet(f"the kernel does not list the interfaces: {fault.strerror}")
            return []
        chosen = [each for each in links if not self._interfaces or each.name in self._interfaces]
        here = None if HAS_NETLINK else DEAF
        self._say_quiet(here if chosen else NO_SUCH_LINK if links else NO_IPV6)
        return chosen[:MOST_LINKS]

    def _say_quiet(self, why: str | None) -> None:
        if why is not None and why != self.why_quiet:
            log.info("multicast_quiet", why=why)
        self.why_quiet = why

    async def _attend(self, link: Link, scope: anyio.CancelScope) -> None:
        told = False
        with scope:
            while True:
                with ExitStack() as opened:
                    try:
                        listener = opened.enter_context(open_listener(link))
                        sender = opened.enter_context(open_sender(link))
                    except OSError as fault:
                        if not told:
                            log.info("multicast_unavailable", link=link.name, why=fault.strerror)
                        told = True
                    else:
                        await self._converse(link, listener, sender)
                await anyio.sleep(LOOK)

    async def _converse(self, link: Link, listener: socket.socket, sender: socket.socket) -> None:
        talk = HelloProtocol(self._namespaces)
        send, answers = anyio.create_memory_object_stream[Answer](_WAITING)
        async with send, answers, anyio.create_task_group() as tasks:
            tasks.start_soon(self._hear, talk, listener, sender)
            tasks.start_soon(self._collect, talk, link, sender, send)
            tasks.start_soon(self._place, link, answers)
            while True:
                asked = _ask(talk, sender)
                await anyio.sleep(EVERY if asked else _RETRY)

    async def _hear(
        self, talk: HelloProtocol, listener: socket.socket, sender: socket.socket
    ) -> None:
        while True:
            await anyio.wait_readable(listener)
            now = anyio.current_time()
            worth = [talk.hear(*heard, now) for heard in drain(listener)]
            if any(worth):
                _ask(talk, sender)
            await anyio.sleep(_BREATH)

    async def _collect(
        self,
        talk: HelloProtocol,
        link: Link,
        sender: socket.socket,
        send: MemoryObjectSendStream[Answer],
    ) -> None:
        while True:
            await anyio.wait_readable(sender)
            now = anyio.current_time()
            for datagram, source, _port in drain(sender):
                answer = talk.answer(datagram, source, now)
                if answer is None or not self._placed.take(_key(link, answer), now):
                    continue
                try:
                    send.send_nowait(answer)
                except anyio.WouldBlock:  # a flood; who is real answers again
                    break
            await anyio.sleep(_BREATH)

    async def _place(self, link: Link, answers: MemoryObjectReceiveStream[Answer]) -> None:
        async for answer in answers:
            for address in await self._lookup.find(answer.node_id, answer.source, link):
                # An id is new at every start, and worth a word of its own.
                key = f"{answer.node_id}@{address}"
                if self._told.take(key, anyio.current_time()):
                    url, claimed = f"http://{address}", answer.node_id
                    seen = NodeSighted(node=address, url=url, source=self.name, claimed=claimed)
                    await self._inbox.send(seen)


def _ask(talk: HelloProtocol, sender: socket.socket) -> bool:
    question = talk.question(secrets.token_bytes(NONCE), anyio.current_time())
    return send(sender, question)


def _key(link: Link, answer: Answer) -> str:
    return f"{answer.node_id}@{answer.source}%{link.index}"
