"""A loop's naps end in time, and leave nothing."""

import asyncio
from collections.abc import Callable
from contextvars import Context

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


class Noting(asyncio.SelectorEventLoop):
    """Notes its timers."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: list[asyncio.TimerHandle] = []

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: object,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = super().call_at(when, callback, *args, context=context)
        self.timers.append(timer)
        return timer


def test_a_nap_that_is_woken_or_left_leaves_no_timer() -> None:
    loop = Noting()

    async def nap() -> None:
        timing = timing_of(loop)
        woken, left = timing.nap(timing.now() + 1000.0), timing.nap(timing.now() + 1000.0)
        woken.wake()
        await woken.over()
        with anyio.move_on_after(0.0):
            await left.over()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(nap())
        ours = [timer for timer in loop.timers if timer.when() > loop.time() + 500.0]
    assert [timer.cancelled() for timer in ours] == [True, True]
