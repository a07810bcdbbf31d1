"""Nodes that are only somebody's word: they never were up, and no person named them.

Anybody on the LAN can make as many of these as there are addresses. So they have a bound of their
own, and each keeps its place for a while only. Who was refused and is sighted again, as a real node
is, has not to wait for that; with its first answer it leaves this table.
"""

from collections.abc import Callable
from itertools import islice

from exo_supervisor.core.bounded import Bounded
from exo_supervisor.core.names import Address

MAX_UNVERIFIED = 1024
"""Nodes that may stand here at once."""
HOLD = 8.0
"""Seconds for which a node keeps its place; then, once it was looked at, a new one may take it.

So a flood makes at most `MAX_UNVERIFIED / HOLD` new nodes a second, but for its first burst.
"""
MAX_REFUSED = 4096
"""Refused ones that are remembered: what a flood says between two words of a real node."""
_NEXT = 64


class Unverified:
    """Owns the order in which such nodes were first sighted; `most` may stand here at once."""

    def __init__(self, most: int = MAX_UNVERIFIED) -> None:
        self._most = most
        self._sighted: dict[Address, float] = {}
        self._refused = Bounded[Address, None](MAX_REFUSED)

    def __len__(self) -> int:
        return len(self._sighted)

    @property
    def is_full(self) -> bool:
        return len(self._sighted) >= self._most

    def add(self, address: Address, now: float) -> None:
        """Take a node in that was sighted for the first time."""
        self._sighted[address] = now

    def drop(self, address: Address) -> None:
        """Let a node go: it proved itself, a person named it, or it is forgotten."""
        self._sighted.pop(address, None)

    def evict_for(
        self, new: Address, looked: Callable[[Address], bool], now: float
    ) -> Address | None:
        """Name the node whose place a new one may take; None while none has had its time."""
        hold = 0.0 if new in self._refused else HOLD
        for address, sighted in islice(self._sighted.items(), _NEXT):
            if now - sighted < hold:
                break
            if looked(address):
                self._refused.pop(new, None)
                return address
        self._refused.renew(new, None)
        return None
