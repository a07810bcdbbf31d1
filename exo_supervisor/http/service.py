"""What stands behind a server: a visitor for each connection, a handler for each request."""

import asyncio
from typing import TYPE_CHECKING, Protocol

from exo_supervisor.http.head import Head

if TYPE_CHECKING:
    from exo_supervisor.http.server_connection import ServerConnection


class Handler(Protocol):
    """One request's other side; it is called back and never awaited."""

    def data(self, data: bytes) -> None:
        """Take in what one read brought of the body; it is not empty."""

    def end(self) -> None:
        """Take in that the request is whole."""

    def broken(self) -> None:
        """Take in that the body is no HTTP: an answer is expected, the connection's last."""

    def writable(self) -> None:
        """Take in that the client reads again, after `full`."""

    def gone(self) -> None:
        """Take in that the client left; nothing that is written arrives."""


class Visitor(Protocol):
    """One connection, as what stands behind a server knows it; nothing here is awaited."""

    def accept(self, head: Head, length: int | None) -> Handler | None:
        """Handle a request, or None: it is handed over. May answer at once.

        `length` is what is announced of the body. A head that has come before may be the same.
        """
        ...

    def refuse(self, message: str) -> None:
        """Answer what is no HTTP with a 400 (start, finish); the message repeats nothing of it."""

    def hand_over(self) -> asyncio.Protocol:
        """Make the protocol that takes the connection on, with all bytes of a request."""
        ...

    def leave(self) -> None:
        """Take in that the connection is gone; not called for one that was handed over."""


class Service(Protocol):
    """What stands behind a server."""

    def enter(self, connection: "ServerConnection") -> Visitor | None:
        """Let a connection in; None: there is no place."""
        ...
