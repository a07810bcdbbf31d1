"""Turns are taken in the order in which they were asked for, and nobody keeps one for long."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest

from exo_supervisor.fleet_io.turns import AT_ONCE, LITTLE_BYTES, MOMENT, OUTLASTED, Turns
from tests.runtime.timing import virtual


class Reader:
    """One reader, and when its turn came."""

    def __init__(self) -> None:
        self.came: float | None = None

    def take_turn(self) -> None:
        assert self.came is None
        self.came = anyio.current_time()


class Line:
    """Turns, and the readers that asked for one."""

    def __init__(self, flow: int) -> None:
        """Have so many bytes come in each `MOMENT`."""
        self.turns = Turns(virtual(), lambda: round(anyio.current_time() / MOMENT) * flow)
        self.readers = [Reader() for _ in range(4 * AT_ONCE)]

    def ask(self) -> list[bool]:
        return [self.turns.ask(reader) for reader in self.readers]

    def came(self) -> list[float | None]:
        return [reader.came for reader in self.readers[AT_ONCE:]]


@asynccontextmanager
async def line(flow: int = 0) -> AsyncGenerator[Line]:
    async with anyio.create_task_group() as tasks:
        made = Line(flow)
        tasks.start_soon(made.turns.run)
        await anyio.wait_all_tasks_blocked()
        yield made
        tasks.cancel_scope.cancel()


async def test_so_many_begin_at_once_and_the_others_as_those_end() -> None:
    async with line(flow=LITTLE_BYTES) as it:
        assert it.ask() == [True] * AT_ONCE + [False] * 3 * AT_ONCE
        for n, reader in enumerate(it.readers[:AT_ONCE]):
            await anyio.sleep(0.5)
            it.turns.end(reader)
            assert it.came() == [0.5 * k for k in range(1, n + 2)] + [None] * (3 * AT_ONCE - n - 1)


async def test_where_little_comes_in_a_turn_lasts_a_moment() -> None:
    async with line(flow=LITTLE_BYTES - 1) as it:
        it.ask()
        await anyio.sleep(10.0)
        assert it.came() == [pytest.approx(MOMENT * k) for k in (1, 2, 3) for _ in range(AT_ONCE)]
        assert len(it.turns) == AT_ONCE, "nobody waits for those any more"


async def test_where_much_comes_in_no_turn_is_over_by_itself() -> None:
    async with line(flow=LITTLE_BYTES) as it:
        it.ask()
        await anyio.sleep(60.0)
        assert it.came() == [None] * 3 * AT_ONCE


async def test_who_is_much_slower_than_the_others_holds_nobody_up_whatever_comes_in() -> None:
    async with line(flow=LITTLE_BYTES) as it:
        it.ask()
        quick = [it.readers[0], *it.readers[AT_ONCE:]]
        for reader in quick[: OUTLASTED - 1]:
            it.turns.end(reader)
        assert it.came().count(0.0) == OUTLASTED - 1, "one after the other"
        it.turns.end(quick[OUTLASTED - 1])
        assert it.came().count(0.0) == OUTLASTED + AT_ONCE - 1, (
            "the slow ones had theirs for too long"
        )


async def test_a_turn_lasts_while_nobody_waits() -> None:
    async with line() as it:
        del it.readers[AT_ONCE:]
        it.ask()
        await anyio.sleep(60.0)
        last = Reader()
        assert not it.turns.ask(last), "it is of those who wait that a turn is taken"
        await anyio.sleep(60.0)
        assert last.came == pytest.approx(60.0 + MOMENT)


async def test_no_turn_is_over_before_its_reading_where_nobody_waits_for_one() -> None:
    async with line() as it:
        del it.readers[AT_ONCE - 1 :]
        it.ask()
        quick = Reader()
        for _ in range(2 * OUTLASTED):
            assert it.turns.ask(quick)
            it.turns.end(quick)
        assert it.turns.ask(quick)
        hasty = Reader()
        assert not it.turns.ask(hasty)
        it.turns.end(hasty)
        await anyio.sleep(2 * MOMENT)
        assert not it.turns.ask(hasty), "the others have theirs still"


async def test_who_leaves_the_line_gets_no_turn_and_the_table_empties() -> None:
    async with line() as it:
        it.ask()
        for reader in it.readers[AT_ONCE : 2 * AT_ONCE]:
            it.turns.end(reader)
        await anyio.sleep(1.5 * MOMENT)
        assert it.came() == [None] * AT_ONCE + [pytest.approx(MOMENT)] * AT_ONCE + [None] * AT_ONCE
        for reader in it.readers:
            it.turns.end(reader)
            it.turns.end(reader)
        assert len(it.turns) == 0
        assert repr(it.turns) == "<Turns 0 taken, 0 in line>"


async def test_who_asks_again_keeps_its_place() -> None:
    async with line() as it:
        it.ask()
        first, second = it.readers[AT_ONCE : AT_ONCE + 2]
        assert not it.turns.ask(first)
        it.turns.end(it.readers[0])
        assert (first.came, second.came) == (0.0, None)
