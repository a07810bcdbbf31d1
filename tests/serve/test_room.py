"""Answers that are held whole share one room: at its bound reading stops, and nobody is blamed."""

import pytest

from exo_supervisor.serve.room import FREE_BYTES, GRANT_BYTES, Room, Share

STEP = GRANT_BYTES


def never() -> None:
    raise AssertionError


def test_a_small_answer_needs_no_room_and_a_large_one_gives_it_back() -> None:
    room = Room(2 * STEP)
    told = list[str]()
    small, large = Share(room, never), Share(room, never)
    other = Share(room, lambda: told.append("other"))
    assert large.fits(FREE_BYTES + 2 * STEP)
    assert small.fits(FREE_BYTES)
    assert not other.fits(FREE_BYTES + 1)
    assert large.fits(FREE_BYTES + STEP)
    assert told == ["other"]
    assert other.fits(FREE_BYTES + 1)
    large.close()
    other.close()
    assert room.left == 2 * STEP


def test_those_who_wait_get_their_turn_in_order() -> None:
    room, order = Room(2 * STEP), list[str]()
    first = Share(room, never)
    assert first.fits(FREE_BYTES + 2 * STEP)
    large = Share(room, lambda: order.append("large"))
    small = Share(room, lambda: order.append("small"))
    assert not large.fits(FREE_BYTES + 2 * STEP)
    assert not small.fits(FREE_BYTES + STEP)
    assert first.fits(FREE_BYTES + STEP)
    assert first.fits(FREE_BYTES + STEP), "who asks for nothing more waits for nobody"
    assert (order, len(room)) == ([], 2)
    last = Share(room, lambda: order.append("last"))
    assert not last.fits(FREE_BYTES + STEP), "nobody goes by those who wait"
    first.close()
    assert order == ["large"]
    large.close()
    assert order == ["large", "small", "last"]


def test_who_gives_up_waiting_leaves_no_trace_and_lets_the_next_in() -> None:
    room, told = Room(STEP), list[str]()
    holder = Share(room, never)
    large, small = Share(room, never), Share(room, lambda: told.append("small"))
    assert not large.fits(FREE_BYTES + 2 * STEP)
    assert not small.fits(FREE_BYTES + STEP)
    large.close()
    assert told == ["small"]
    assert not holder.fits(FREE_BYTES + STEP)
    holder.close()
    small.close()
    assert (len(room), room.left) == (0, STEP)


@pytest.mark.parametrize("size", [1, FREE_BYTES])
def test_nothing_is_taken_below_the_free_bytes(size: int) -> None:
    assert Share(Room(0), never).fits(size)
