"""Tells the core which day it is where the budgets are reckoned, on time."""

from collections.abc import Awaitable, Callable
from datetime import tzinfo

from exo_supervisor.core.books.budgets import Calendar
from exo_supervisor.core.events import CalendarRead
from exo_supervisor.views.calendar import page_at, utc_day

LOOK = 30.0
"""Seconds, at most, between two looks at the clock: it may be set, and this machine may sleep."""
SOONEST = 0.05
"""And at least, lest the last moment of a day be looked at again and again."""


def calendar_read(wall: float, now: float, zone: tzinfo) -> CalendarRead:
    """Say which day it is; `now` is the same instant on the core's clock."""
    page, since = page_at(wall, zone), now - wall
    ends = page.day_ends + since, page.month_ends + since
    return CalendarRead(calendar=Calendar(page.day, page.month, *ends, utc_day(wall)))


class CalendarWatch:
    """A service that looks when a day ends, and in between."""

    name = "calendar"

    def __init__(
        self,
        zone: tzinfo,
        tell: Callable[[CalendarRead], None],
        wall: Callable[[], float],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._zone, self._tell = zone, tell
        self._wall, self._clock, self._sleep = wall, clock, sleep

    async def run(self) -> None:
        """Tell, again and again."""
        while True:
            wall = self._wall()
            self._tell(calendar_read(wall, self._clock(), self._zone))
            left = page_at(wall, self._zone).day_ends - wall
            await self._sleep(max(SOONEST, min(LOOK, left)))
