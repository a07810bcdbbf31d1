"""Whether a client has left from whose connection nothing is read: no event tells of that."""

from asyncio import AbstractEventLoop, Transport
from collections.abc import Callable
from socket import AF_UNIX, socket

from exo_supervisor.http.peer import has_left

LEFT_FIRST, LEFT_EVERY = 0.01, 0.25
"""Seconds until it is looked whether a client that is not read from has left, and between looks."""


class LeaveWatch:
    """Cuts a connection once its client has left, as long as that is `needed`."""

    __slots__ = ("_looks", "_loop", "_needed", "_transport")

    def __init__(
        self, loop: AbstractEventLoop, transport: Transport, needed: Callable[[], bool]
    ) -> None:
        self._loop, self._transport, self._needed = loop, transport, needed
        self._looks = False

    def start(self, seconds: float) -> None:
        """Look after so many seconds, and again and again."""
        if not self._looks:
            self._looks = True
            self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self._looks = False
        if self._transport.is_closing() or not self._needed():
            return
        if has_left(socket_of(self._transport)):
            self._transport.abort()
        else:
            self.start(LEFT_EVERY)


def socket_of(transport: Transport) -> socket:
    """Return the socket, which tells more of its peer than a transport does."""
    return transport.get_extra_info("socket")


def only_half_closed(transport: Transport) -> bool:
    """Say that who sends no more still reads, as `nc -N` does.

    On a Unix socket that can be told from a leave; on TCP it cannot, and counts as one.
    """
    peer = socket_of(transport)
    return peer.family == AF_UNIX and not has_left(peer)
