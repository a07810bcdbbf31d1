"""The youngest connection first, none beyond its time, and never more than so many."""

import anyio
import pytest

from exo_supervisor.http.pool import MAX_IDLE, Pool
from exo_supervisor.http.url import Origin
from tests.http.wire import KEY, Wired

pytestmark = pytest.mark.real_time


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_connection_that_slept_too_long_is_closed_when_it_is_asked_for() -> None:
    """The loop's own clock stood still meanwhile, so that no timer fired."""
    clock = Clock()
    pool = Pool(60.0, clock)
    with Wired() as old, Wired() as young:
        pool.put(old.connection)
        clock.now += 59.0
        pool.put(young.connection)
        assert repr(pool) == "<Pool idle http://n:1: 2>"
        clock.now += 30.0
        assert pool.take(KEY) is young.connection
        assert pool.take(KEY) is None
        assert (old.ends, young.ends, len(pool)) == (1, 0, 0)
    pool.close()


async def test_more_than_so_many_take_the_place_of_the_oldest() -> None:
    pool = Pool(60.0, Clock())
    wires = [Wired() for _ in range(MAX_IDLE + 1)]
    for each in wires:
        pool.put(each.connection)
    assert (wires[0].ends, wires[1].ends, len(pool)) == (1, 0, MAX_IDLE)
    pool.drop(wires[1].connection)
    pool.drop(wires[1].connection)
    assert len(pool) == MAX_IDLE - 1
    pool.close()
    assert wires[-1].ends == 1
    for each in wires:
        each.near.close()
        each.far.close()


async def test_the_sweep_closes_what_is_old_and_comes_back_for_the_rest() -> None:
    clock = Clock()
    pool = Pool(0.01, clock)
    with Wired() as first, Wired() as second:
        pool.put(first.connection)
        clock.now += 0.008
        pool.put(second.connection)
        clock.now += 0.004
        with anyio.fail_after(60):
            while not first.ends:  # noqa: ASYNC110 -- nobody tells
                await anyio.sleep(0.001)
        assert second.ends == 0
        clock.now += 1.0
        with anyio.fail_after(60):
            while not second.ends:  # noqa: ASYNC110 -- nobody tells
                await anyio.sleep(0.001)
    pool.close()


async def test_an_old_connection_is_for_who_may_lose_it_and_only_one_an_origin_is_kept() -> None:
    clock = Clock()
    pool = Pool(0.01, clock, kept=60.0, most_kept=1)
    other = (Origin("http", "other", 1), None)
    with Wired() as first, Wired() as second, Wired(other) as third:
        pool.put(first.connection)
        pool.put(second.connection)
        pool.put(third.connection)
        clock.now += 1.0
        with anyio.fail_after(60):
            while not (first.ends and third.ends):  # noqa: ASYNC110 -- nobody tells
                await anyio.sleep(0.001)
        assert second.ends == 0
        assert pool.take(KEY) is None, "it is left for others"
        assert pool.take(KEY, of_any_age=True) is second.connection
        pool.put(second.connection)
        clock.now += 60.0
        with anyio.fail_after(60):
            while not second.ends:  # noqa: ASYNC110 -- nobody tells
                await anyio.sleep(0.001)
    pool.close()
