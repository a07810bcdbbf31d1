"""What time is told by and waited for: a task that sleeps may cost more than what it does then."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

Clock = Callable[[], float]
"""What `anyio.current_time` tells, which a service has at a tenth of the price from its loop."""


class Alarm(Protocol):
    """One that is set."""

    def cancel(self) -> None:
        """Take it back; one that went off stays as it is."""
        ...


class Timing(NamedTuple):
    """A clock and its alarms.

    `alarm` has something called at an instant, never before; it must neither wait nor raise.
    """

    now: Clock
    alarm: Callable[[float, Callable[[], object]], Alarm]
