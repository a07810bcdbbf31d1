"""The listener: who comes in, which requests are dispatched, and who answers the others."""

import asyncio
from collections.abc import Callable, Iterable
from socket import socket

import anyio

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.http.head import Head
from exo_supervisor.http.server import HEAD_WAIT, Server
from exo_supervisor.http.server_connection import ServerConnection
from exo_supervisor.http.service import Handler
from exo_supervisor.serve.clients import Clients
from exo_supervisor.serve.control.lazy_routes import OtherRoutes
from exo_supervisor.serve.dispatch_head import DispatchHead
from exo_supervisor.serve.door import Door
from exo_supervisor.serve.heads import error_head, told_at
from exo_supervisor.serve.target import is_dispatch, path_of
from exo_supervisor.serve.token import NO_HEAD, Guard, Judgement

Begin = Callable[[ServerConnection, DispatchHead, int | None], Handler]
"""Begins a dispatched request; the number are the bytes that its body has, where that is said."""


class Listener:
    """Accepts clients on sockets that are bound already, each with what answers its requests."""

    def __init__(
        self,
        begin: Begin,
        paths: Iterable[str],
        others: OtherRoutes,
        door: Door,
        *,
        clients: Clients,
        drain_timeout: float,
        head_wait: float = HEAD_WAIT,
    ) -> None:
        self._begin, self._paths, self._others = begin, frozenset(paths), others
        self._door, self._drain_timeout, self._head_wait = door, drain_timeout, head_wait
        self._clients = clients
        self._servers: list[Server] = []

    async def listen(self, sockets: Iterable[socket], guard: Guard | None = None) -> None:
        """Begin to accept on these sockets; a guard judges each request that comes over them.

        Without one they are Unix sockets, and the kernel says who asks.
        """
        front = _Front(self._begin, self._paths, self._others, self._door, self._clients, guard)
        server = Server(front, head_wait=self._head_wait)
        self._servers.append(server)
        await server.listen(sockets)

    async def drain(self) -> None:
        """Accept no more, let what runs end for as long as it may, then cut it."""
        async with anyio.create_task_group() as tasks:
            for each in (*self._servers, self._others):
                tasks.start_soon(each.drain, self._drain_timeout)


class _Front:
    """The service behind one server."""

    def __init__(
        self, begin: Begin, paths: frozenset[str], others: OtherRoutes, door: Door,
        clients: Clients, guard: Guard | None,
    ) -> None:  # fmt: skip
        self.begin, self.paths, self.others = begin, paths, others
        self.door, self.clients, self.guard = door, clients, guard
        self._last: DispatchHead | None = None

    def enter(self, connection: ServerConnection) -> "_Visitor | None":
        entered = self.door.enter(connection, stranger=connection.on_tcp)
        return _Visitor(self, connection) if entered else None

    def dispatch_of(self, judged: Judgement) -> DispatchHead | None:
        """Return what is to be dispatched, the last of it where the same is asked once more.

        Whose it is may be judged anew: what a head asks of us stays the same.
        """
        head, wrong, rule, last = judged.head, judged.wrong, judged.client, self._last
        if last is not None and last.head is head and last.wrong is wrong and last.rule is rule:
            return last
        if not is_dispatch(head, self.paths):
            return None
        self._last = last = DispatchHead(head, wrong, rule)
        return last


class _Visitor:
    """One client's connection, and what its last head asked for.

    The kernel's word for who asks holds as long as the connection; a guard judges each request.
    `_dispatch` is kept until another head comes, which holds because clients' rules and profiles
    are fixed once we run.
    """

    __slots__ = ("_begin", "_connection", "_dispatch", "_front", "_guard", "_head", "_judgement")

    def __init__(self, front: _Front, connection: ServerConnection) -> None:
        self._front, self._connection = front, connection
        self._begin, self._guard = front.begin, front.guard
        self._head = NO_HEAD
        self._judgement = Judgement(NO_HEAD)
        self._dispatch: DispatchHead | None = None

    def accept(self, head: Head, length: int | None) -> Handler | None:
        if head is not self._head or self._guard is not None:
            self._judge(head)
        dispatch = self._dispatch
        return None if dispatch is None else self._begin(self._connection, dispatch, length)

    def refuse(self, message: str) -> None:
        connection = self._connection
        framing, said = told_at(path_of(connection.target), Refusal(400, "bad_http", message))
        body = framing.error_body(said)
        connection.start(error_head(framing, said), length=len(body))
        connection.finish(body)

    def hand_over(self) -> asyncio.Protocol:
        return self._front.others.connection(self._judgement, self.leave)

    def leave(self) -> None:
        self._front.door.leave(self._connection)

    def _judge(self, head: Head) -> None:
        front = self._front
        if self._guard is None:
            judged = Judgement(head, client=front.clients.of_peer(self._connection))
        else:
            judged = self._guard.judge(head)
            if judged.has_token:
                front.door.show(self._connection)
        self._head, self._judgement = head, judged
        self._dispatch = front.dispatch_of(judged)
