"""What keeps an answer from being read counts from when it began to."""

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.serve.backpressure import MAX_KEPT_BYTES, Backpressure
from exo_supervisor.serve.room import FREE_BYTES, Room
from exo_supervisor.serve.timers import SLOW_CLIENT

STALL = 20.0


def never() -> None:
    raise AssertionError


def test_a_client_that_does_not_read_is_waited_for_from_the_first_write_on() -> None:
    pressure = Backpressure(Room(0), never)
    assert (pressure.block(1.0), pressure.block(5.0)) == (True, False)
    assert pressure.overdue(0.5 + SLOW_CLIENT, STALL) is None
    assert pressure.overdue(1.0 + SLOW_CLIENT, STALL) is Fault.CLIENT_LEFT
    assert (pressure.unblock(), pressure.unblock()) == (True, False)
    assert not pressure.stops_reading


def test_an_answer_that_is_all_here_waits_for_no_room_any_more() -> None:
    room = Room(0)
    pressure = Backpressure(room, never)
    assert not pressure.fits(FREE_BYTES + 1, 1.0)
    assert len(room) == 1
    pressure.settle()
    assert len(room) == 0
    pressure.close()


def test_what_is_kept_and_what_the_reader_holds_are_one_answer_together() -> None:
    pressure = Backpressure(Room(9, reserve=9), never)
    assert pressure.keep(b"kept")
    assert [pressure.too_large(reader_holds) for reader_holds in (5, 6)] == [False, True]


def test_room_is_waited_for_from_the_first_read_on_for_which_there_was_none() -> None:
    pressure = Backpressure(Room(0), never)
    assert pressure.fits(FREE_BYTES, 0.0)
    assert not pressure.fits(FREE_BYTES + 1, 1.0)
    assert not pressure.fits(FREE_BYTES + 2, 5.0)
    assert pressure.overdue(0.5 + STALL, STALL) is None
    assert pressure.overdue(1.0 + STALL, STALL) is Fault.OVERLOADED
    pressure.close()


def test_so_much_is_kept_back_and_not_a_byte_more() -> None:
    pressure = Backpressure(Room(0), never)
    assert pressure.keep(bytes(MAX_KEPT_BYTES - 1))
    assert [pressure.keep(b"x"), pressure.keep(b"x")] == [True, False]
