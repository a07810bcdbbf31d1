"""How much the house takes on at once: so many requests, and so many bodies that are under way."""

from exo_supervisor.core.requests.bodies import Bodies, Sender

SENDING = 4
"""Bodies that may be under way, for each request that may be in flight: slow ones cost little."""


class Gate:
    """Counts requests in and out; who is refused has cost nothing.

    A request whose body is still under way is not in flight: it holds no place but its bytes, of
    which `bodies` grants as many as there are.
    """

    def __init__(self, max_requests: int, bodies: Bodies | None = None) -> None:
        self._max_requests = max_requests
        self.bodies = bodies or Bodies()
        self.requests = 0

    def begin(self, sender: Sender) -> bool:
        """Let one client send its body; False when the house is full."""
        most = self._max_requests
        if self.requests >= most or self.bodies.sending >= SENDING * most:
            return False
        self.bodies.begin(sender)
        return True

    def enter(self) -> bool:
        """Let in one request that has come whole; False when as many as may be are in flight."""
        if self.requests >= self._max_requests:
            return False
        self.requests += 1
        return True

    def leave(self) -> None:
        """Count one request out that was let in."""
        self.requests -= 1
