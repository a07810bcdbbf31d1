"""Connections at rest, kept for the next request to the same origin."""

import asyncio
from collections import deque
from collections.abc import Callable

from exo_supervisor.http.call import Key
from exo_supervisor.http.clock import boottime
from exo_supervisor.http.connection import Connection

MAX_IDLE = 256
"""Connections at rest per origin; one more takes the place of the oldest."""


class Pool:
    """Owns the connections that are at rest; each leaves when it is used, too old, or closed.

    Last in, first out: the youngest is the likeliest to live, and the others grow old together.
    One that is older than `idle` is for requests that may be lost, like a probe: one an origin, and
    `most_kept` in all, are kept for `kept` seconds.
    """

    def __init__(
        self,
        idle: float,
        clock: Callable[[], float] = boottime,
        *,
        kept: float = 0.0,
        most_kept: int = 0,
    ) -> None:
        self._idle, self._clock = idle, clock
        self._kept, self._most_kept = max(idle, kept), most_kept
        self._resting: dict[Key, deque[Connection]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(map(len, self._resting.values()))

    def __repr__(self) -> str:
        counts = [f"{key[0]}: {len(each)}" for key, each in self._resting.items()]
        return f"<Pool idle {', '.join(counts) or 'nothing'}>"

    def put(self, connection: Connection) -> None:
        """Keep a connection that is at rest."""
        connection.idle_since = self._clock()
        resting = self._resting.get(connection.key)
        if resting is None:
            resting = self._resting[connection.key] = deque()
        resting.append(connection)
        if len(resting) > MAX_IDLE:
            resting.popleft().close()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._idle, self._sweep)

    def take(self, key: Key, *, of_any_age: bool = False) -> Connection | None:
        """Hand out the connection that came to rest last, if one may be used again."""
        resting = self._resting.get(key)
        while resting:  # one that was emptied stays: it is filled again in a moment
            connection = resting[-1]
            age = self._clock() - connection.idle_since
            if self._idle <= age < self._kept and not of_any_age:
                return None
            resting.pop()
            if age < self._kept and connection.is_fit():
                return connection
            connection.close()
        return None

    def drop(self, connection: Connection) -> None:
        """Forget a connection that was closed."""
        resting = self._resting.get(connection.key)
        if resting is None:
            return
        if connection in resting:
            resting.remove(connection)
        if not resting:
            del self._resting[connection.key]

    def clear(self, key: Key) -> None:
        """Close all that rest for an origin: one of them was found dead."""
        for connection in tuple(self._resting.get(key, ())):
            connection.close()

    def close(self) -> None:
        """Close all connections at rest."""
        for key in tuple(self._resting):
            self.clear(key)

    def _sweep(self) -> None:
        """Close what is too old, and come back for the others, now and then."""
        now, room = self._clock(), self._most_kept
        self._timer = None
        for resting in tuple(self._resting.values()):
            for connection in tuple(resting):
                age = now - connection.idle_since
                if age < self._idle:
                    break
                if connection is resting[-1] and room and age < self._kept:
                    room -= 1
                else:
                    connection.close()
        if self._resting:
            self._timer = asyncio.get_running_loop().call_later(self._idle / 4, self._sweep)
