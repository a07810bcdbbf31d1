"""The listener: who comes in, which requests are dispatched, and who answers the others."""

import asyncio
from collections.abc import Callable, Iterable
from socket import socket

import anyio

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.core.policy import ClientRule
from exo_supervisor.http.head import Head
from exo_supervisor.http.server import HEAD_WAIT, Server
from exo_supervisor.http.server_connection import ServerConnection
from exo_supervisor.http.service import Handler
from exo_supervisor.serve.clients import Clients
from exo_supervisor.serve.control.late import Others
from exo_supervisor.serve.door import Door
from exo_supervisor.serve.heads import error_head, told_at
from exo_supervisor.serve.target import is_dispatch, path_of
from exo_supervisor.serve.token import NO_HEAD, Guard, Judgement

Begin = Callable[[ServerConnection, Head, Refusal | None, ClientRule], Handler]
"""Begins a dispatched request; what is known to be wrong about it refuses it."""


class Listener:
    """Accepts clients on sockets that are bound already, each with what answers its requests."""

    def __init__(
        self,
        begin: Begin,
        paths: Iterable[str],
        others: Others,
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
        front = _Front(
            self._begin, self._paths, self._others, self._door, guard or self._clients.of_peer
        )
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
        self,
        begin: Begin,
        paths: frozenset[str],
        others: Others,
        door: Door,
        asks: Guard | Callable[[ServerConnection], ClientRule],
    ) -> None:
        self._begin, self._paths, self._others = begin, paths, others
        self._door, self._asks = door, asks
        self._judgement = Judgement(NO_HEAD)  # of the request that is handed over next

    def enter(self, connection: ServerConnection) -> bool:
        return self._door.enter(connection, stranger=connection.on_tcp)

    def leave(self, connection: ServerConnection) -> None:
        self._door.leave(connection)

    def accept(self, head: Head, connection: ServerConnection) -> Handler | None:
        wrong: Refusal | None = None
        if isinstance(self._asks, Guard):
            judged = self._asks.judge(head)
            head, wrong, client = judged.head, judged.wrong, judged.client
            if judged.has_token:
                self._door.show(connection)
        else:
            client = self._asks(connection)
        if is_dispatch(head, self._paths):
            return self._begin(connection, head, wrong, client)
        self._judgement = Judgement(head, wrong, client)
        return None

    def refuse(self, connection: ServerConnection, message: str) -> None:
        framing, said = told_at(path_of(connection.target), Refusal(400, "bad_http", message))
        body = framing.error_body(said)
        connection.start(error_head(framing, said), length=len(body))
        connection.finish(body)

    def hand_over(self, connection: ServerConnection) -> asyncio.Protocol:
        return self._others.connection(self._judgement, lambda: self._door.leave(connection))
