"""How many clients may be connected, and which of them make room for the others.

A connection on TCP without a shown token may be any local user's, or a page's: there are few of
those, and the oldest makes room for the next, one that sends no head first. A quarter of the
descriptors is kept for targets, so that clients, however many, cannot keep answers from being
fetched.
"""

import sys
from collections.abc import Callable
from typing import Protocol

import structlog

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("door")

MAX_WITHOUT_TOKEN = 256
"""Connections on TCP that have not shown the token, at most."""
QUIET = 60.0
"""Seconds between two lines that tell of connections that were refused."""


class Connection(Protocol):
    """A client's connection, as far as the door is concerned."""

    @property
    def has_head(self) -> bool:
        """Whether the head of a request has come."""
        ...

    def drop(self) -> None:
        """Cut it."""


class Door:
    """Counts connections in and out, `most` at once; who finds no place costs nothing more."""

    def __init__(self, clock: Callable[[], float], most: int = sys.maxsize) -> None:
        self._clock, self._most = clock, most
        self._inside: dict[Connection, None] = {}
        self._strangers: dict[Connection, None] = {}
        self._refused, self._quiet_until = 0, float("-inf")

    def enter(self, connection: Connection, *, stranger: bool) -> bool:
        """Let a connection in; `stranger` is one on TCP. False where there is no place for it."""
        full = len(self._inside) >= self._most
        if full or (stranger and len(self._strangers) >= MAX_WITHOUT_TOKEN):
            self._tell()
            if not self._make_room():
                return False
        self._inside[connection] = None
        if stranger:
            self._strangers[connection] = None
        return True

    def show(self, connection: Connection) -> None:
        """Take in that a connection has shown the token."""
        self._strangers.pop(connection, None)

    def leave(self, connection: Connection) -> None:
        """Count a connection out."""
        self._inside.pop(connection, None)
        self._strangers.pop(connection, None)

    def _make_room(self) -> bool:
        """Cut the oldest stranger that has sent no head yet; if all have, the oldest.

        Whoever spoke and showed no token was told so, or asked for what everybody may have.
        """
        silent = (one for one in self._strangers if not one.has_head)
        oldest = next(silent, None) or next(iter(self._strangers), None)
        if oldest is None:
            return False
        self.leave(oldest)
        oldest.drop()
        return True

    def _tell(self) -> None:
        self._refused += 1
        now = self._clock()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET
            log.warning(
                "connections_refused", refused=self._refused, connected=len(self._inside),
                without_token=len(self._strangers), most=self._most,
            )  # fmt: skip
            self._refused = 0
