"""What was told already, so that a source does not repeat itself."""

from exo_supervisor.core.names import Address

MOST = 1024
"""Addresses that are remembered; beyond that the oldest is forgotten."""


class Recent:
    """Remembers when each address was last told of; `every` is in seconds."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._told: dict[Address, float] = {}

    def __len__(self) -> int:
        return len(self._told)

    def take(self, address: Address, now: float) -> bool:
        """Say whether an address is to be told of now, and remember that it is."""
        told = self._told.get(address)
        if told is not None and now - told < self._every:
            return False
        self._told.pop(address, None)
        self._told[address] = now
        if len(self._told) > MOST:
            del self._told[next(iter(self._told))]
        return True
