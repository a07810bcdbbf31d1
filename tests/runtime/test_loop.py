"""A loop's alarms keep their word."""

import asyncio

import pytest
import uvloop

from exo_supervisor.runtime.loop import timing_of

pytestmark = pytest.mark.real_time


def test_an_alarm_never_goes_off_early_and_one_that_was_taken_back_not_at_all() -> None:
    async def early() -> list[float]:
        loop = asyncio.get_running_loop()
        set_alarm, over = timing_of(loop).alarm, asyncio.Event()
        began, by = loop.time(), list[float]()

        def ring(when: float) -> None:
            by.append(when - loop.time())

        for step in range(40):
            when = began + 0.002 + step * 0.00013
            set_alarm(when, lambda when=when: ring(when))
            set_alarm(when, over.set).cancel()
        loop.call_at(began + 0.05, over.set)
        await over.wait()
        return [each for each in by if each > 0] if len(by) == 40 else by

    assert uvloop.run(early()) == []
