"""A loop's naps end in time."""

import asyncio

import anyio
import pytest
import uvloop

from exo_supervisor.runtime.loop import timing_of

pytestmark = pytest.mark.real_time


def test_a_nap_is_never_over_early() -> None:
    async def nap() -> list[float]:
        timing, left = timing_of(asyncio.get_running_loop()), list[float]()

        async def sleep(until: float) -> None:
            await timing.nap(until).over()
            left.append(until - timing.now())

        began = timing.now()
        async with anyio.create_task_group() as tasks:
            for step in range(40):
                tasks.start_soon(sleep, began + 0.002 + step * 0.00013)
        assert len(left) == 40
        return [each for each in left if each > 0]

    assert uvloop.run(nap()) == []


async def test_a_nap_is_over_once_it_is_woken_before_or_after_it_has_begun() -> None:
    timing = timing_of(asyncio.get_running_loop())
    first, second = timing.nap(timing.now() + 1000.0), timing.nap(timing.now() + 1000.0)
    first.wake()
    await first.over()
    first.wake()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(second.over)
        await anyio.wait_all_tasks_blocked()
        second.wake()
