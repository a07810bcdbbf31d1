"""Which event loop turns, and its time."""

from asyncio import AbstractEventLoop
from functools import partial
from importlib.util import find_spec
from typing import Final

from exo_supervisor.runtime.timing import Timing

_HALF_A_TICK: Final = 0.0005
"""Seconds: uvloop's timers count whole milliseconds, and round down, too."""


def loop_options() -> dict[str, object]:
    """Return anyio's options for asyncio: uvloop where it is installed, as it is on Linux."""
    return {"use_uvloop": find_spec("uvloop") is not None}


def timing_of(loop: AbstractEventLoop) -> Timing:
    """Tell a loop's time, and sleep by its timers."""
    return Timing(loop.time, partial(_Nap, loop))


class _Nap:
    """A timer and a future; a cancel scope does the same at four times the price."""

    __slots__ = ("_alarm", "_over")

    def __init__(self, loop: AbstractEventLoop, until: float) -> None:
        self._over = loop.create_future()
        self._alarm = loop.call_at(until + _HALF_A_TICK, self.wake)

    def wake(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    async def over(self) -> None:
        try:
            await self._over
        finally:
            self._alarm.cancel()
