"""What time is told by, and how a task sleeps that may be woken."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

Clock = Callable[[], float]
"""What `anyio.current_time` tells, which a service has at a tenth of the price from its loop."""


class Nap(Protocol):
    """One sleep."""

    def wake(self) -> None:
        """End it; one that is over stays as it is."""
        ...

    async def over(self) -> None:
        """Sleep until it ends: at its instant, never before, unless it is woken."""
        ...


class Timing(NamedTuple):
    """A clock, and naps until an instant of it."""

    now: Clock
    nap: Callable[[float], Nap]
