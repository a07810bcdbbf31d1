"""A deadline that lets bytes be read first that wait in a socket.

A process that was stopped or swapped out finds them and its timers due together; a scope's own
deadline would then cancel whoever has just been woken by the bytes.
"""

from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Generator
from contextlib import contextmanager

import anyio

TURNS = 3
"""Turns of the loop: uvloop looks at its timers before it polls, and wakes the reader after it."""


@contextmanager
def ends_at(deadline: float) -> Generator[anyio.CancelScope]:
    """Cancel the `with` block at an instant of the loop's clock, a few turns of the loop late."""
    loop = get_running_loop()
    with anyio.CancelScope() as scope:
        timer = loop.call_at(deadline, _cancel, loop, scope, TURNS)
        try:
            yield scope
        finally:
            timer.cancel()


def _cancel(loop: AbstractEventLoop, scope: anyio.CancelScope, turns: int) -> None:
    if turns:
        loop.call_soon(_cancel, loop, scope, turns - 1)
    else:  # of a block that has ended by now it cancels nothing
        scope.cancel()
