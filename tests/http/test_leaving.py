"""A client that left is looked for as long as that matters, by one timer."""

from collections.abc import Callable
from socket import socketpair
from typing import Any, cast

from exo_supervisor.http.leaving import LEFT_EVERY, LEFT_FIRST, LeaveWatch
from tests.http.wire import Remembering


class Later:
    """A loop that keeps what it is to do later."""

    def __init__(self) -> None:
        self.waits: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        self.waits.append((seconds, callback))

    def ring(self) -> float:
        """Do the one thing there is, and tell how long it had to wait."""
        [(seconds, callback)] = self.waits
        self.waits.clear()
        callback()
        return seconds


def test_one_timer_looks_until_the_client_has_left() -> None:
    loop, (near, far) = Later(), socketpair()
    with near, far:
        transport = Remembering(near)
        watch = LeaveWatch(cast("Any", loop), transport, lambda: True)
        for _ in range(2):
            watch.start(LEFT_FIRST)
        assert loop.ring() == LEFT_FIRST
        watch.start(LEFT_FIRST)
        assert (loop.ring(), transport.done) == (LEFT_EVERY, [])
        far.close()
        assert (loop.ring(), transport.done) == (LEFT_EVERY, ["abort"])
        assert not loop.waits


def test_nobody_is_looked_for_who_is_not_needed_any_more() -> None:
    loop, needed, (near, far) = Later(), [True], socketpair()
    with near, far:
        transport = Remembering(near)
        watch = LeaveWatch(cast("Any", loop), transport, needed.pop)
        watch.start(LEFT_FIRST)
        far.close()
        needed[:] = [False]
        loop.ring()
        assert (transport.done, loop.waits) == ([], [])
