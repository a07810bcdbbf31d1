"""How much the house takes on at once: so many requests, and so many bytes of their bodies."""

BODIES = 256 * 1024 * 1024
"""Bytes of request bodies in flight, at most."""


class Gate:
    """Counts requests and their bodies in and out; who is refused has cost nothing."""

    def __init__(self, max_requests: int, max_bytes: int = BODIES) -> None:
        self._max_requests, self._max_bytes = max_requests, max_bytes
        self.requests = 0
        self.bytes = 0

    def enter(self) -> bool:
        """Let one request in; False when the house is full."""
        if self.requests >= self._max_requests or self.bytes >= self._max_bytes:
            return False
        self.requests += 1
        return True

    def take(self, size: int) -> bool:
        """Let so many more bytes of an admitted request in; False when there is no room."""
        if self.bytes + size > self._max_bytes:
            return False
        self.bytes += size
        return True

    def leave(self, size: int) -> None:
        """Count an admitted request out, with all the bytes that it was let in with."""
        self.requests -= 1
        self.bytes -= size
