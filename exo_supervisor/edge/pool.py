"""Connections that are kept for the next request, none of which may bring an older one's words."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from errno import EACCES
from functools import partial
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address
from select import POLLIN, poll
from socket import socket
from typing import Self, cast

from aiohttp import StreamReader, TCPConnector
from aiohttp.abc import ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, RawResponseMessage
from aiohttp.tracing import Trace

from exo_supervisor.core.events import Why
from exo_supervisor.edge.resolver import Resolver

PIECE = 4096
"""Bytes that are parsed in one go as long as an answer's head has not come."""
MOST_INTERIM = 32
"""Interim heads before an answer's own; a hint or two is usual."""


WhyNot = Callable[[IPv4Address | IPv6Address, int], Awaitable[Why | None]]
"""Says of an address and a port why no connection may be made there."""


def _ip(found: ResolveResult) -> IPv4Address | IPv6Address:
    return ip_address(found["host"].partition("%")[0])


class BarredError(OSError):
    """No address of a host may be connected to; `why` says why."""

    def __init__(self, why: Why) -> None:
        super().__init__(EACCES, why)
        self.why: Why = why


class Pool(TCPConnector):
    """aiohttp's connector, which (3.13, 3.14) hands out any connection that is still open.

    What an upstream says while nobody has asked, say a 408 or an answer written twice, would be
    read as the answer to the next request: a connection on which anything came is closed instead.
    """

    _why_not: WhyNot | None = None

    @classmethod
    def open(cls, idle: float, why_not: WhyNot | None = None) -> Self:
        """Keep a connection for so many seconds; `why_not` says where none may be made."""
        pool = cls(limit=0, keepalive_timeout=idle, resolver=Resolver())
        pool._why_not = why_not
        pool._factory = partial(_Wire, asyncio.get_running_loop())
        return pool

    async def _resolve_host(
        self, host: str, port: int, traces: Sequence[Trace] | None = None
    ) -> list[ResolveResult]:
        """Leave out the addresses that lead where none may be made. Raises BarredError."""
        found = await super()._resolve_host(host, port, traces)
        if self._why_not is None:
            return found
        barred = [await self._why_not(_ip(each), port) for each in found]
        allowed = [each for each, why in zip(found, barred, strict=True) if why is None]
        if not allowed:
            telling = [why for why in barred if why is not None and why != "refused"]
            raise BarredError(next(iter(telling), "refused"))
        return allowed

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (connection := await super()._get(key, traces)) is not None:
            wire = cast("_Wire", connection.protocol)
            if not wire.has_more():
                wire.use()
                return connection
            connection.close()
        return None

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        cast("_Wire", protocol).idle = True
        super()._release(key, protocol, should_close=should_close)


class _Wire(ResponseHandler):
    """aiohttp's connection, except that it ends where something comes that nobody asked for.

    It ends, too, where interim heads (RFC 9110, section 15.2) come without end: aiohttp reads them
    all in one go, and nobody's timers run meanwhile.
    """

    idle = False
    _headed = False
    _interim = 0

    def use(self) -> None:
        """Begin to wait for the answer to a request."""
        self.idle = self._headed = False
        self._interim = 0

    def data_received(self, data: bytes) -> None:
        """Read what came for a request; close on what came for none."""
        if self.idle and data:  # aiohttp wakes its own parser with nothing
            self.close()
            return
        while len(data) > PIECE and not self._headed and self.transport is not None:
            super().data_received(data[:PIECE])
            data = data[PIECE:]
        if self.transport is not None:
            super().data_received(data)

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Take a head in; of the interim ones, so many and no more."""
        interim = HTTPStatus.CONTINUE <= data[0].code < HTTPStatus.OK
        self._headed = self._headed or not interim
        self._interim += interim
        if self._interim <= MOST_INTERIM:
            super().feed_data(data, size)
        elif self.transport is not None:
            self.close()  # forgets why a connection ends, so it comes first
            self.set_exception(HttpProcessingError(message="interim heads without end"))

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
