"""Which event loop turns, and its time."""

from asyncio import AbstractEventLoop
from collections.abc import Callable
from importlib.util import find_spec
from typing import Final

from exo_supervisor.runtime.timing import Alarm, Timing

_HALF_A_TICK: Final = 0.0005
"""Seconds: uvloop's timers count whole milliseconds."""


def loop_options() -> dict[str, object]:
    """Return anyio's options for asyncio: uvloop where it is installed, as it is on Linux."""
    return {"use_uvloop": find_spec("uvloop") is not None}


def timing_of(loop: AbstractEventLoop) -> Timing:
    """Tell a loop's time, and set alarms by its `call_at`, which alone would round down, too."""

    def set_alarm(when: float, ring: Callable[[], object]) -> Alarm:
        return loop.call_at(when + _HALF_A_TICK, ring)

    return Timing(loop.time, set_alarm)
