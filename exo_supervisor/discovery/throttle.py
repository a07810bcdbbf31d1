"""What was told already, so that a source does not repeat itself."""

from exo_supervisor.core.bounded import Bounded

MOST = 1024
"""Things that are remembered."""


class Throttle:
    """Remembers when each thing was last told, mostly an address; `every` is in seconds.

    Beyond `most` things the oldest is forgotten.
    """

    def __init__(self, every: float, most: int = MOST) -> None:
        self._every, self._told = every, Bounded[str, float](most)

    def __len__(self) -> int:
        return len(self._told)

    def take(self, thing: str, now: float) -> bool:
        """Say whether a thing is to be told now, and remember that it is."""
        told = self._told.get(thing)
        if told is not None and now - told < self._every:
            return False
        self._told.renew(thing, now)
        return True
