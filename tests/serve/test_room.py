"""Answers that are held whole share one room: at its bound reading stops, and nobody is blamed."""

import anyio
import pytest

from exo_supervisor.serve.room import FREE_BYTES, GRANT_BYTES, Room, Share

STEP = GRANT_BYTES


def test_a_small_answer_needs_no_room_and_a_large_one_gives_it_back() -> None:
    room = Room(2 * STEP)
    small, large, other = Share(room), Share(room), Share(room)
    assert large.fits(FREE_BYTES + 2 * STEP)
    assert small.fits(FREE_BYTES)
    assert not other.fits(FREE_BYTES + 1)
    assert large.fits(FREE_BYTES + STEP)
    assert other.fits(FREE_BYTES + 1)
    large.close()
    other.close()
    assert room.left == 2 * STEP


async def test_those_who_wait_get_their_turn_in_order() -> None:
    room, order = Room(2 * STEP), list[str]()
    first = Share(room)
    assert first.fits(FREE_BYTES + 2 * STEP)

    async def wait(name: str, steps: int) -> None:
        share = Share(room)
        await share.wait(FREE_BYTES + steps * STEP)
        order.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, "large", 2)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(wait, "small", 1)
        await anyio.wait_all_tasks_blocked()
        assert not Share(room).fits(FREE_BYTES + STEP)
        first.fits(FREE_BYTES + STEP)
        await anyio.wait_all_tasks_blocked()
        assert (order, len(room)) == ([], 2)
        first.close()
        await anyio.wait_all_tasks_blocked()
        assert order == ["large"]
        room.give_back(2 * STEP)
    assert order == ["large", "small"]


async def test_who_gives_up_waiting_leaves_no_trace() -> None:
    room = Room(STEP)
    holder, behind = Share(room), Share(room)
    holder.fits(FREE_BYTES + STEP)
    with anyio.move_on_after(5.0):
        await Share(room).wait(FREE_BYTES + STEP)
    assert (len(room), room.left) == (0, 0)
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(behind.wait, FREE_BYTES + STEP)
            await anyio.wait_all_tasks_blocked()
            holder.close()
            scope.cancel()
    behind.close()
    assert room.left == STEP


@pytest.mark.parametrize("size", [1, FREE_BYTES])
def test_nothing_is_taken_below_the_free_bytes(size: int) -> None:
    assert Share(Room(0)).fits(size)
