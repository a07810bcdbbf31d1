"""What was told already, so that a source does not repeat itself."""

MOST = 1024
"""Things that are remembered; beyond that the oldest is forgotten."""


class Recent:
    """Remembers when each thing was last told, mostly an address; `every` is in seconds."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._told: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._told)

    def take(self, thing: str, now: float) -> bool:
        """Say whether a thing is to be told now, and remember that it is."""
        told = self._told.get(thing)
        if told is not None and now - told < self._every:
            return False
        self._told.pop(thing, None)
        self._told[thing] = now
        if len(self._told) > MOST:
            del self._told[next(iter(self._told))]
        return True
