"""An answer that comes as one JSON object, gathered until all of it is here."""

from abc import abstractmethod
from typing import Final

from exo_supervisor.core.estimate import BYTES_A_TOKEN
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.reader import Reader

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""Bytes of a whole answer, at most."""


class WholeBody:
    """The bytes that came so far; `size` counts them all."""

    __slots__ = ("_parts", "size")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def add(self, data: bytes) -> bool:
        """Take the next bytes in; False: they are too many, and none are kept."""
        self.size += len(data)
        if self.size <= MAX_BODY_BYTES:
            self._parts.append(data)
            return True
        self._parts.clear()
        return False

    def join(self) -> bytes:
        """Return all of it."""
        return b"".join(self._parts)


class WholeReader(Reader):
    """Reads an answer once all of it is here; what it is in, a dialect's reader says."""

    __slots__ = ()

    @property
    @abstractmethod
    def gathered(self) -> WholeBody:
        """What came so far."""

    @property
    def held(self) -> int:
        """Return how many bytes of the answer are held here."""
        return self.gathered.size

    @property
    def reckoned(self) -> int:
        """Return how many tokens so many bytes are: they came at once, and were not counted."""
        return self.gathered.size // BYTES_A_TOKEN

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes in; there is nothing for the client before the end."""
        if self.fault is None and not self.gathered.add(data):
            self.fail(Fault.OVERSIZED, f"the answer is larger than {MAX_BODY_BYTES} bytes")
        return b""

    def close(self) -> bytes:
        """Take the end in and return all that a streaming client gets."""
        return b"" if self.fault is not None else self.read_body(self.gathered.join())

    @abstractmethod
    def read_body(self, body: bytes) -> bytes:
        """Read all of it and return what a streaming client gets."""
