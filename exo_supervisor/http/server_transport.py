"""The life of a client's connection: how long its first head is waited for, and how it ends.

at once: what was not sent yet is lost
when all is sent: whoever does not take it in time is cut
gently: closed for writing only, while what is still on its way is passed over
"""

import asyncio
from abc import abstractmethod
from enum import Enum
from socket import AF_UNIX
from typing import TYPE_CHECKING, Final, cast

from exo_supervisor.http.leaving import LEFT_FIRST, LeaveWatch, socket_of
from exo_supervisor.http.peer import bytes_wait, groups_of, user_of

if TYPE_CHECKING:
    from exo_supervisor.http.server import Server

LAST_READ: Final = 2.0
"""Seconds for which is passed over what a client sends behind the last answer that it gets."""
LAST_TAKE: Final = 75.0
"""Seconds in which a client may take the last bytes that it was sent."""


class State(Enum):
    """What a connection is doing."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    WHOLE = "whole"
    REST = "rest"
    HANDED_OVER = "handed over"
    CLOSING = "closing"
    CLOSED = "closed"


_ENDING, _BETWEEN = (State.CLOSING, State.CLOSED), (State.IDLE, State.HEAD)


class ServerTransport(asyncio.Protocol):
    """What a connection is beside its requests."""

    __slots__ = (
        "_groups", "_loop", "_saw_eof", "_server", "_timer", "_transport", "_watch", "full",
        "idle_since", "on_tcp", "requests", "state", "uid",
    )  # fmt: skip

    _transport: asyncio.Transport
    _watch: LeaveWatch | None

    def __init__(self, server: "Server") -> None:
        self.state = State.IDLE
        self.requests = 0
        self.idle_since: float  # set, as the next two are, once the connection is made
        self.uid: int | None
        """The user at the other end of a Unix socket."""
        self.on_tcp: bool
        self._groups: frozenset[int] | None = None
        self.full = False
        """Whether the client has yet to take much of what it was sent."""
        self._server, self._loop = server, server.loop
        self._saw_eof = False
        self._timer: asyncio.TimerHandle | None = None
        self._watch = None

    def __repr__(self) -> str:
        return f"<ServerConnection {self.state.name}, {self.requests} requests>"

    @property
    def groups(self) -> frozenset[int]:
        """The groups of that user, read once."""
        if self._groups is None:
            self._groups = groups_of(socket_of(self._transport))
        return self._groups

    @property
    def has_head(self) -> bool:
        """Whether the head of a request has ever come."""
        return self.requests > 0

    @property
    def is_idle(self) -> bool:
        """Whether it waits for the head of a request."""
        return self.state in _BETWEEN

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who is at the other end."""
        self._transport = cast("asyncio.Transport", transport)
        peer = socket_of(self._transport)
        self.on_tcp = peer.family != AF_UNIX
        self.uid = user_of(peer)
        self.idle_since = self._loop.time()

    def drop(self) -> None:
        """Cut the connection; whoever handles its request is told."""
        if self.state is not State.CLOSED:
            self.state = State.CLOSING
            self._transport.abort()

    def _close(self, seconds: float = LAST_TAKE) -> None:
        """Close when all is sent; who does not take it in so many seconds is cut."""
        if self.state not in _ENDING:
            self._end_within(seconds)
            self._transport.close()

    def _close_gently(self) -> None:
        """Close for writing, and pass over what is still on its way.

        A socket that is closed with bytes unread resets its connection, and the client may lose
        the answer over it.
        """
        if self._saw_eof or self._transport.is_closing():
            self._close()
        else:
            self._end_within(LAST_READ)
            self._transport.write_eof()

    def _end_within(self, seconds: float) -> None:
        self.state = State.CLOSING
        self._stop_timer()
        self._timer = self._loop.call_later(seconds, self.drop)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch_for_leave(self, seconds: float) -> None:
        """Look, after so many seconds, whether the client has left, and go on with it."""
        if self._watch is None:
            self._watch = LeaveWatch(self._loop, self._transport, self._is_unread)
        self._watch.start(seconds)

    @abstractmethod
    def _is_unread(self) -> bool:
        """Say whether the loop would not tell that the client left."""

    def _look_for_head(self, again: bool) -> None:  # noqa: FBT001 -- called by a timer
        """Cut who has sent no head; a process that was stopped finds heads and timers together."""
        if self.requests or self.state is State.CLOSED:
            return
        if again and bytes_wait(socket_of(self._transport)):
            self._loop.call_later(LEFT_FIRST, self._look_for_head, False)  # noqa: FBT003
        else:
            self.drop()
