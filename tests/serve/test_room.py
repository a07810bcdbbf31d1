"""Answers that are held whole share one room: at its bound reading stops, and nobody is blamed.

Whatever its size is, and in whatever order it is asked for, it does not stand still.
"""

import pytest
from hypothesis import stateful as sm
from hypothesis import strategies as st

from exo_supervisor.serve.room import FREE_BYTES, GRANT_BYTES, IDLE, Room, Share

STEP = GRANT_BYTES


def never() -> None:
    raise AssertionError


def test_a_small_answer_needs_no_room_and_a_large_one_gives_it_back() -> None:
    room = Room(2 * STEP, reserve=0)
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


def test_those_who_wait_are_let_in_in_order() -> None:
    room, order = Room(2 * STEP, reserve=0), list[str]()
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


def held(steps: int) -> int:
    """Return how many bytes take so many steps of the room."""
    return FREE_BYTES + steps * STEP


def test_who_has_the_turn_grows_to_the_largest_answer_and_others_leave_it_that() -> None:
    room, told = Room(6 * STEP, reserve=4 * STEP), list[str]()
    first, second = Share(room, never), Share(room, lambda: told.append("second"))
    assert second.fits(held(1))
    assert first.fits(held(1))
    assert first.fits(held(2)), "the first that needs a part of the reserve has the turn"
    assert second.fits(held(2)), "of the three that are left, the first may still need two"
    assert not second.fits(held(3))
    assert first.fits(held(4))
    assert told == []
    first.close()
    assert told == ["second"]
    assert second.fits(held(4)), "with the turn it has the reserve"


def test_a_turn_that_is_not_used_is_handed_on_and_what_was_taken_is_kept() -> None:
    room, told = Room(4 * STEP, reserve=4 * STEP), list[str]()
    slow, fast = (Share(room, lambda name=name: told.append(name)) for name in ("slow", "fast"))
    assert slow.fits(held(1))
    room.look(100.0)
    assert not fast.fits(held(1))
    room.look(100.0 + IDLE / 2)
    assert slow.fits(held(2)), "it is used"
    room.look(101.0 + IDLE / 2)
    room.look(100.9 + 1.5 * IDLE)
    assert told == []
    room.look(101.0 + 1.5 * IDLE)
    assert told == ["fast"]
    assert fast.fits(held(2))
    assert not slow.fits(held(3)), "it stands in line like anybody"
    assert not fast.fits(held(3)), "the slow one has what is missing"
    room.look(200.0)
    room.look(300.0)
    slow.close()
    assert told == ["fast", "fast"], "a turn whose room others have is not one that is not used"
    assert fast.fits(held(4))


def test_an_answer_that_is_all_here_hands_its_turn_on_at_once_and_keeps_its_room() -> None:
    room, told = Room(4 * STEP, reserve=3 * STEP), list[str]()
    whole, waits = Share(room, never), Share(room, lambda: told.append("waits"))
    assert whole.fits(held(2))
    assert not waits.fits(held(2))
    whole.settle()
    assert told == ["waits"]
    assert (whole.granted, room.left) == (2 * STEP, 0)


class AnyHistory(sm.RuleBasedStateMachine):
    """Answers come, grow, shrink and end in any order."""

    MOST, RESERVE = 12, 5

    def __init__(self) -> None:
        super().__init__()
        self.room = Room(self.MOST * STEP, self.RESERVE * STEP)
        self.reading: list[Share] = []
        self.waiting: list[Share] = []

    @sm.rule()
    def begin(self) -> None:
        share = Share(self.room, lambda: self.read_on(share))
        self.reading.append(share)

    def read_on(self, share: Share) -> None:
        self.waiting.remove(share)
        self.reading.append(share)

    @sm.precondition(lambda self: self.reading)
    @sm.rule(data=st.data(), steps=st.integers(0, RESERVE))
    def read(self, data: st.DataObject, steps: int) -> None:
        share = data.draw(st.sampled_from(self.reading))
        self.reading.remove(share)
        self.waiting.append(share)
        if share.fits(held(steps)):
            self.read_on(share)

    @sm.precondition(lambda self: self.reading)
    @sm.rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        share = data.draw(st.sampled_from(self.reading))
        self.reading.remove(share)
        share.close()

    @sm.precondition(lambda self: self.waiting)
    @sm.rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        share = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(share)
        share.close()

    @sm.invariant()
    def no_more_is_held_than_there_is(self) -> None:
        granted = sum(share.granted for share in (*self.reading, *self.waiting))
        assert granted + self.room.left == self.room.most
        assert self.room.left >= 0
        assert len(self.room) == len(self.waiting)

    @sm.invariant()
    def somebody_can_always_go_on_to_the_end(self) -> None:
        needs = (self.RESERVE * STEP - share.granted for share in self.reading)
        assert not self.waiting or min(needs, default=self.room.most) <= self.room.left

    def teardown(self) -> None:
        """Whoever reads ends: those who waited are let in one after the other, all of them."""
        while self.reading:
            share = self.reading.pop()
            share.close()
        assert not self.waiting
        assert self.room.left == self.room.most


TestAnyHistory = AnyHistory.TestCase
