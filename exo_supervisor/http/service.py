"""What stands behind a server: a service for its connections, a handler for each request."""

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


class Service(Protocol):
    """What stands behind a server; nothing here is awaited."""

    def enter(self, connection: "ServerConnection") -> bool:
        """Let a connection in, or say that there is no place."""
        ...

    def leave(self, connection: "ServerConnection") -> None:
        """Count a connection out; not called for one that was handed over."""

    def accept(self, head: Head, connection: "ServerConnection") -> Handler | None:
        """Handle a request, or None: it is handed over. May answer at once."""
        ...

    def refuse(self, connection: "ServerConnection", message: str) -> None:
        """Answer what is no HTTP with a 400 (start, finish); the message repeats nothing of it."""

    def hand_over(self, connection: "ServerConnection") -> asyncio.Protocol:
        """Make the protocol that takes a connection on, with all bytes of a request."""
        ...
