"""Waiting streams hear of us in time, and nobody's beat depends on another's client."""

import anyio
import pytest

from exo_supervisor.serve.keepalive import PERIOD, Keepalive

HEAD = 15.0


class Waiter:
    """A client that notes its beats, and may block one of them."""

    def __init__(self, blocks: float = 0.0) -> None:
        self.beats: list[float] = []
        self.done = 0
        self._blocks = blocks

    async def beat(self) -> None:
        self.beats.append(anyio.current_time())
        await anyio.sleep(self._blocks)
        self.done += 1


async def test_the_first_beat_comes_after_the_head_and_then_one_each_period() -> None:
    async with anyio.create_task_group() as tasks:
        keepalive = Keepalive(HEAD)
        tasks.start_soon(keepalive.run)
        await anyio.sleep(100.0)  # it has nobody to wait for, until somebody comes
        waiter, began = Waiter(), anyio.current_time()
        keepalive.watch(waiter)
        await anyio.sleep(HEAD + 3 * PERIOD + 1.0)
        assert [at - began for at in waiter.beats] == [15.0, 25.0, 35.0, 45.0]
        keepalive.forget(waiter)
        assert len(keepalive) == 0
        await anyio.sleep(100.0)
        assert len(waiter.beats) == 4
        tasks.cancel_scope.cancel()


async def test_who_is_forgotten_before_the_head_gets_no_beat() -> None:
    async with anyio.create_task_group() as tasks:
        keepalive = Keepalive(HEAD)
        tasks.start_soon(keepalive.run)
        waiter = Waiter()
        keepalive.watch(waiter)
        await anyio.sleep(HEAD - 0.1)
        keepalive.forget(waiter)
        keepalive.forget(waiter)
        await anyio.sleep(100.0)
        assert waiter.beats == []
        assert len(keepalive) == 0
        tasks.cancel_scope.cancel()


async def test_each_of_many_has_a_beat_of_its_own_in_time() -> None:
    async with anyio.create_task_group() as tasks:
        keepalive, began = Keepalive(HEAD), anyio.current_time()
        tasks.start_soon(keepalive.run)
        waiters = [Waiter() for _ in range(200)]
        for waiter in waiters:
            keepalive.watch(waiter)
            await anyio.sleep(0.5)
        await anyio.sleep(60.0)
        for place, waiter in enumerate(waiters):
            first = began + place * 0.5 + HEAD
            due = [first + PERIOD * n for n in range(len(waiter.beats))]
            assert waiter.beats == pytest.approx(due)
            assert len(waiter.beats) >= 5
            keepalive.forget(waiter)
        assert len(keepalive) == 0
        tasks.cancel_scope.cancel()


async def test_one_that_blocks_delays_nobody_and_is_not_beaten_twice_at_once() -> None:
    async with anyio.create_task_group() as tasks:
        keepalive, began = Keepalive(HEAD), anyio.current_time()
        tasks.start_soon(keepalive.run)
        stuck, slow, well = Waiter(1e9), Waiter(27.0), Waiter()
        for waiter in (stuck, slow, well):
            keepalive.watch(waiter)
        await anyio.sleep(60.0)
        assert [at - began for at in well.beats] == [15.0, 25.0, 35.0, 45.0, 55.0]
        assert [at - began for at in slow.beats] == [15.0, 52.0]
        assert [at - began for at in stuck.beats] == [15.0]
        assert len(keepalive) == 3
        for waiter in (stuck, slow, well):
            keepalive.forget(waiter)
        await anyio.sleep(100.0)
        assert (slow.done, len(slow.beats)) == (2, 2)
        assert len(keepalive) == 0
        tasks.cancel_scope.cancel()


async def test_one_that_fails_does_not_take_the_others_along() -> None:
    """Its error ends the service, which its supervision starts again; the others go on."""

    class Failing(Waiter):
        async def beat(self) -> None:
            await super().beat()
            raise RuntimeError

    keepalive, began = Keepalive(HEAD), anyio.current_time()
    failing, well, later = Failing(), Waiter(), Waiter()
    keepalive.watch(failing)
    await anyio.sleep(1.0)
    keepalive.watch(well)
    await anyio.sleep(1.0)
    keepalive.watch(later)
    with pytest.raises(ExceptionGroup):
        await keepalive.run()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keepalive.run)
        await anyio.sleep(25.0)
        tasks.cancel_scope.cancel()
    assert [at - began for at in well.beats] == [16.0, 26.0, 36.0]
    assert [at - began for at in later.beats] == [17.0, 27.0, 37.0]
    assert len(failing.beats) == 1
    for waiter in (failing, well, later):
        keepalive.forget(waiter)
    assert len(keepalive) == 0
