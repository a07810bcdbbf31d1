"""Connections that are kept for the next request, none of which may bring an older one's words."""

import asyncio
from functools import partial
from select import POLLIN, poll
from socket import socket
from typing import Self, cast

from aiohttp import TCPConnector
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from exo_supervisor.edge.resolver import Resolver


class Pool(TCPConnector):
    """aiohttp's connector, which (3.13, 3.14) hands out any connection that is still open.

    What an upstream says while nobody has asked, say a 408 or an answer written twice, would be
    read as the answer to the next request: a connection on which anything came is closed instead.
    """

    @classmethod
    def open(cls, idle: float) -> Self:
        """Keep a connection for so many seconds."""
        pool = cls(limit=0, keepalive_timeout=idle, resolver=Resolver())
        pool._factory = partial(_Wire, asyncio.get_running_loop())
        return pool

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (connection := await super()._get(key, traces)) is not None:
            wire = cast("_Wire", connection.protocol)
            if not wire.has_more():
                wire.idle = False
                return connection
            connection.close()
        return None

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        cast("_Wire", protocol).idle = True
        super()._release(key, protocol, should_close=should_close)


class _Wire(ResponseHandler):
    """aiohttp's connection, except that it ends where something comes that nobody asked for."""

    idle = False

    def data_received(self, data: bytes) -> None:
        """Read what came for a request; close on what came for none."""
        if self.idle and data:  # aiohttp wakes its own parser with nothing
            self.close()
            return
        super().data_received(data)

    def has_more(self) -> bool:
        """Say whether anything is left that came after the last answer, its end included.

        It may wait in the socket, or have come in one piece with that answer's end.
        """
        if self.transport is None or self.should_close:
            return True
        under = cast("socket", self.transport.get_extra_info("socket"))
        look = poll()
        look.register(under.fileno(), POLLIN)
        return bool(look.poll(0))
