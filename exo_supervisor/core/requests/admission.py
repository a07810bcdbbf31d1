"""How much the house takes on at once: so many requests, and so many bytes of their bodies."""

from exo_supervisor.core.requests.bodies import Bodies

BODIES = 256 * 1024 * 1024
"""Bytes of request bodies that are held, at most."""
SENDING = 4
"""Bodies that may be under way, for each request that may be in flight: slow ones cost little."""


class Gate:
    """Counts bodies and requests in and out; who is refused has cost nothing.

    A request whose body is still under way is not in flight: it holds no place but its bytes.
    """

    def __init__(self, max_requests: int, max_bytes: int = BODIES) -> None:
        self._max_requests, self._max_bytes = max_requests, max_bytes
        self.bodies = Bodies()
        self.requests = 0
        self.sending = 0
        self.bytes = 0

    def begin(self) -> bool:
        """Let one client send its body; False when the house is full."""
        if self.sending >= SENDING * self._max_requests or not self._has_room():
            return False
        self.sending += 1
        return True

    def end(self) -> None:
        """Count one body out that is under way no more; its bytes are still held."""
        self.sending -= 1

    def take(self, size: int) -> bool:
        """Hold so many more bytes; False when there is no room."""
        if self.bytes + size > self._max_bytes:
            return False
        self.bytes += size
        return True

    def let_go(self, size: int) -> None:
        """Hold so many bytes no more."""
        self.bytes -= size

    def enter(self) -> bool:
        """Let in one request that has come whole; False when as many as may be are in flight."""
        if self.requests >= self._max_requests:
            return False
        self.requests += 1
        return True

    def leave(self) -> None:
        """Count one request out that was let in."""
        self.requests -= 1

    def _has_room(self) -> bool:
        return self.requests < self._max_requests and self.bytes < self._max_bytes
