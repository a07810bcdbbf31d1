"""The scorecard: one row per fault, each on a ground of its own, in the order of the wall."""

from collections.abc import AsyncGenerator, Sequence
from functools import partial

import anyio
from msgspec import Struct

from exo_supervisor.client.errors import AnswerError
from exo_supervisor.rehearse.drill.acts import ACTS, Act
from exo_supervisor.rehearse.drill.ground import Ground, ready, set_up
from exo_supervisor.rehearse.drill.plan import Plan
from exo_supervisor.rehearse.drill.wall import WALL, Failure, check_privacy, face, wall
from exo_supervisor.runtime.sinks import Sink
from exo_supervisor.runtime.supervise import describe_crash

PATIENCE = 40.0
"""Seconds after which a row has failed: a client not answered by then would wait for ever."""
AT_ONCE = 2
"""Rows that wait for timers at once: with more, one that starts is a silence of the others."""


class Row(Struct, frozen=True):
    """One line of the card; `seconds` is what it took."""

    ok: bool
    fault: str
    text: str
    seconds: float


async def drill(plan: Plan, sinks: Sequence[Sink]) -> AsyncGenerator[Row]:
    """Drill everything; quick rows one after another, those that wait for timers a few at once.

    Where nobody answers while all is well, there is nothing to drill, and the card ends there.
    `sinks` are those of every service in it.
    """
    faults = wall(plan)
    quick = [(each.name, partial(face, fault=each)) for each in faults if not each.slow]
    for name, act in [*quick, *ACTS]:
        row = await _row(plan, sinks, name, act)
        yield row
        if name == WALL[0].name and not row.ok:
            return
    slow = [(each.name, partial(face, fault=each)) for each in faults if each.slow]
    rows: dict[str, Row] = {}

    limit = anyio.CapacityLimiter(AT_ONCE)

    async def beside(name: str, act: Act) -> None:
        async with limit:
            rows[name] = await _row(plan, sinks, name, act)

    async with anyio.create_task_group() as tasks:
        for name, act in slow:
            tasks.start_soon(beside, name, act)
    for name, _ in slow:
        yield rows[name]


async def _row(plan: Plan, sinks: Sequence[Sink], name: str, act: Act) -> Row:
    began = anyio.current_time()
    try:
        async with set_up(plan, sinks) as ground:
            ok, text = await _try(ground, act)
    except ExceptionGroup as crash:
        ok, text = False, f"the service crashed: {describe_crash(crash)}"
    return Row(ok, name, text, anyio.current_time() - began)


async def _try(ground: Ground, act: Act) -> tuple[bool, str]:
    try:
        with anyio.fail_after(PATIENCE):
            await ready(ground)
            text = await act(ground)
            check_privacy(ground)
            return True, text
    except TimeoutError:
        return False, f"no end after {PATIENCE:.0f} s"
    except (Failure, AnswerError, OSError) as failed:
        return False, str(failed)
