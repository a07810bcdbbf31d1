"""What the exchange stands between: its owner, a client's connection, and a call to a target.

Neither calls back from within one of these methods, nor once it was told that all is over.
"""

from collections.abc import Callable
from typing import Protocol


class Client(Protocol):
    """One request's side of a client's connection."""

    @property
    def full(self) -> bool:
        """Whether the client has to read before more should be written."""
        ...

    @property
    def uid(self) -> int | None:
        """Which user is at the other end, where anybody can tell."""
        ...

    def send_continue(self) -> None:
        """Ask for the body of a client that waits to be asked (RFC 9110, section 10.1.1)."""
        ...

    def start(self, head: bytes, length: int | None = None) -> None:
        """Take the head of the answer, which goes out with the first bytes behind it.

        The connection adds the date, how the body is framed, and whether it goes on.
        """
        ...

    def write(self, data: bytes) -> None:
        """Write a part of the answer."""
        ...

    def finish(self, data: bytes = b"") -> None:
        """Write the last part, and end the answer as a whole one."""
        ...

    def abort(self) -> None:
        """Cut the connection; what was not sent yet is lost."""
        ...

    def abort_after(self, data: bytes, seconds: float) -> None:
        """Write the last words, and cut the connection when they are sent, or after a while."""
        ...


class Call(Protocol):
    """One request to a target, from its sending to its answer's end."""

    take_chunk: Callable[[bytes, bytes, int], bool] | None
    """Takes a read as it came, with head and size of the chunk that it may be; false: parse it."""

    @property
    def head(self) -> bytes:
        """What stands before its body, as it is sent."""
        ...

    @property
    def body(self) -> bytes: ...

    @property
    def connected(self) -> float | None:
        """How many seconds a new connection took, where it got one."""
        ...

    @property
    def sent(self) -> int:
        """How many bytes of it went out."""
        ...

    def pause_reading(self) -> None:
        """Take no more of the answer in for now."""
        ...

    def resume_reading(self) -> None:
        """Go on."""
        ...

    def leave(self) -> None:
        """Let the body end by itself, for the connection to be used again."""
        ...

    def close(self) -> None:
        """Let go of an answer that nobody wants any more."""
        ...


class Owner(Protocol):
    """What the exchange is a part of; it `began` when the request's head came.

    `size` are the bytes of its body, as far as they were kept.
    """

    began: float
    size: int

    def ended(self) -> None:
        """Take in that the request is over; its client was told all that there is to tell."""
        ...

    def crash(self, crash: Exception) -> None: ...
