"""A source repeats itself slowly and remembers only so much."""

from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.names import Address
from exo_supervisor.discovery.throttle import MOST, Throttle

ANY = Address("10.0.0.1:52415")


def test_an_address_is_taken_again_after_the_period_only() -> None:
    throttle = Throttle(30.0)
    taken = [throttle.take(ANY, now) for now in (0.0, 1.0, 29.9, 30.0, 59.9, 60.0)]
    assert taken == [True, False, False, True, False, True]


def test_the_oldest_is_forgotten_first() -> None:
    throttle = Throttle(30.0)
    for i in range(MOST):
        throttle.take(Address(str(i)), 0.0)
    assert not throttle.take(Address("0"), 1.0)
    throttle.take(Address("new"), 1.0)
    assert throttle.take(Address("0"), 1.0)
    assert not throttle.take(Address("5"), 1.0)


def test_an_address_that_is_told_of_again_is_not_the_oldest_any_more() -> None:
    throttle = Throttle(30.0)
    for i in range(MOST):
        throttle.take(Address(str(i)), 0.0)
    assert throttle.take(Address("0"), 30.0)
    assert throttle.take(Address("new"), 30.0)
    assert not throttle.take(Address("0"), 31.0)


@given(st.lists(st.integers(0, 5000), max_size=3000))
def test_the_table_is_bounded(addresses: list[int]) -> None:
    throttle = Throttle(30.0)
    for address in addresses:
        throttle.take(Address(str(address)), 0.0)
    assert len(throttle) <= MOST
