"""The core hears which day it is: at once, at each midnight, and again and again in between."""

from collections.abc import Iterator
from datetime import UTC

import pytest

from exo_supervisor.app.calendar import LOOK, SOONEST, CalendarWatch
from exo_supervisor.core.events import CalendarRead

MIDNIGHT = 20_000 * 86_400.0


class _Over(Exception):  # noqa: N818 - it is the test that is over
    """Ends a service that has no end."""


async def test_a_day_ends_on_time_and_the_clock_is_looked_at_in_between() -> None:
    walls: Iterator[float] = iter([MIDNIGHT - 45.0, MIDNIGHT - 15.0, MIDNIGHT - 0.01, MIDNIGHT])
    heard: list[CalendarRead] = []
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 2))
        if len(slept) == 4:
            raise _Over

    watch = CalendarWatch(UTC, heard.append, lambda: next(walls), lambda: 7.0, sleep)
    with pytest.raises(_Over):
        await watch.run()
    assert slept == [LOOK, 15.0, SOONEST, LOOK]
    pages = [(each.calendar.day, each.calendar.day_ends) for each in heard]
    assert [day for day, _ in pages] == ["2024-10-03"] * 3 + ["2024-10-04"]
    assert [round(ends, 2) for _, ends in pages] == [52.0, 22.0, 7.01, 7.0 + 86_400]
    assert heard[-1].calendar.utc_day == "2024-10-04"
