"""Virtual time, whose alarms are tasks that sleep."""

from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup

from exo_supervisor.runtime.timing import Alarm, Timing


def timing_in(tasks: TaskGroup) -> Timing:
    """Tell the time of a task group, which its alarms are set in."""

    async def wait(scope: anyio.CancelScope, when: float, ring: Callable[[], object]) -> None:
        with scope:
            await anyio.sleep_until(when)
            ring()

    def set_alarm(when: float, ring: Callable[[], object]) -> Alarm:
        scope = anyio.CancelScope()
        tasks.start_soon(wait, scope, when, ring)
        return scope

    return Timing(anyio.current_time, set_alarm)
