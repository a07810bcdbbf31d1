"""Keeps waiting streams awake: a head after a while, then a comment every ten seconds."""

from math import inf
from typing import Protocol

import anyio
from anyio.abc import TaskGroup

PERIOD = 10.0
"""Seconds between two comments, as in Exo itself since v1.0.70."""


class Beating(Protocol):
    """A client that waits for its answer."""

    async def beat(self) -> None:
        """Show it that somebody is at work; waits only for a slow client, and never raises."""
        ...


class Keepalive:
    """One service for all requests that wait; each is here until its answer begins."""

    name = "keepalive"

    def __init__(self, head: float) -> None:
        self._head = head
        self._fresh: dict[Beating, float] = {}
        self._beaten: dict[Beating, float] = {}
        self._under_way: set[Beating] = set()
        self._nap = anyio.CancelScope()

    def __len__(self) -> int:
        return len(self._fresh) + len(self._beaten) + len(self._under_way)

    def watch(self, reply: Beating) -> None:
        """Begin to count a streaming client's wait."""
        due = anyio.current_time() + self._head
        self._fresh[reply] = due
        self._nap.deadline = min(self._nap.deadline, due)

    def forget(self, reply: Beating) -> None:
        """Stop; the answer begins, or the request is over."""
        self._fresh.pop(reply, None)
        self._beaten.pop(reply, None)
        self._under_way.discard(reply)

    async def run(self) -> None:
        """Beat until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                with anyio.CancelScope(deadline=self._next()) as self._nap:
                    await anyio.sleep_forever()
                self._beat_due(tasks, anyio.current_time())

    def _beat_due(self, tasks: TaskGroup, now: float) -> None:
        for waiting in (self._fresh, self._beaten):
            while waiting and (first := next(iter(waiting.items())))[1] <= now:
                reply, _ = first
                del waiting[reply]
                self._under_way.add(reply)
                tasks.start_soon(self._beat, reply)

    async def _beat(self, reply: Beating) -> None:
        """Beat once, in a task of its own: a client that does not read keeps nobody waiting."""
        await reply.beat()
        if reply in self._under_way:
            self._under_way.discard(reply)
            due = anyio.current_time() + PERIOD
            self._beaten[reply] = due
            self._nap.deadline = min(self._nap.deadline, due)

    def _next(self) -> float:
        heads = (next(iter(waiting.values()), inf) for waiting in (self._fresh, self._beaten))
        return min(heads)
