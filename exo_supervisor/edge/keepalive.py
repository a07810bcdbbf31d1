"""Keeps waiting streams awake: a head after a while, then a comment every ten seconds."""

from math import inf

import anyio

from exo_supervisor.edge.reply import Reply

PERIOD = 10.0
"""Seconds between two comments, as in Exo itself since v1.0.70."""


class Keepalive:
    """One task for all requests that wait; each is here until its answer begins."""

    name = "keepalive"

    def __init__(self, head: float) -> None:
        self._head = head
        self._fresh: dict[Reply, float] = {}
        self._beaten: dict[Reply, float] = {}
        self._nap = anyio.CancelScope()

    def __len__(self) -> int:
        return len(self._fresh) + len(self._beaten)

    def watch(self, reply: Reply) -> None:
        """Begin to count a streaming client's wait."""
        due = anyio.current_time() + self._head
        self._fresh[reply] = due
        self._nap.deadline = min(self._nap.deadline, due)

    def forget(self, reply: Reply) -> None:
        """Stop; the answer begins, or the request is over."""
        self._fresh.pop(reply, None)
        self._beaten.pop(reply, None)

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            with anyio.CancelScope(deadline=self._next()) as self._nap:
                await anyio.sleep_forever()
            await self._beat_due(anyio.current_time())

    async def _beat_due(self, now: float) -> None:
        for waiting in (self._fresh, self._beaten):
            while waiting and (first := next(iter(waiting.items())))[1] <= now:
                reply, _ = first
                del waiting[reply]
                self._beaten[reply] = now + PERIOD
                await reply.beat()

    def _next(self) -> float:
        heads = (next(iter(waiting.values()), inf) for waiting in (self._fresh, self._beaten))
        return min(heads)
