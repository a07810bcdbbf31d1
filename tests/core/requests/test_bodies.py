"""Bodies that never end hold nobody up: a share for each user, and the slow ones go first."""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.requests.bodies import (
    LARGE_ROOM,
    LARGEST_BODY,
    MIN_AGE,
    SMALL_BODY,
    SMALL_ROOM,
    Bodies,
    Owner,
    Sender,
    Shares,
)

MIB = 2**20
FULL = 32 * MIB


@dataclass(eq=False)
class Body:
    """One that is under way, and what is done when it has to make room."""

    owner: Owner
    began: float
    evict: Callable[[], None]
    small: int = 0
    large: int = 0


def sender(owner: Owner, began: float = 0.0, gone: list[Sender] | None = None) -> Sender:
    def evict() -> None:
        if gone is not None:
            gone.append(one)

    one = Body(owner, began, evict)
    return one


def drip(bodies: Bodies, owner: Owner, gone: list[Sender]) -> list[Sender]:
    """Begin bodies of 32 MiB until no more is let in, and end none of them."""
    under_way: list[Sender] = []
    while len(under_way) < 100:
        one = sender(owner, gone=gone)
        bodies.begin(one)
        under_way.append(one)
        if not bodies.take(one, FULL, 0.1):
            bodies.close(one)
            return under_way[:-1]
    raise AssertionError("one user takes everything")


def test_unfinished_bodies_of_one_user_hold_up_no_other() -> None:
    bodies, gone = Bodies(), list[Sender]()
    drip(bodies, 1, gone)
    for owner in (2, 3, None):
        other = sender(owner)
        bodies.begin(other)
        assert bodies.take(other, 8 * MIB, 0.2)
    assert not gone


def test_small_bodies_have_room_of_their_own() -> None:
    bodies = Bodies()
    drip(bodies, 1, [])
    for _ in range(100):
        assert bodies.take(sender(1), SMALL_BODY, 0.2)
    many = Bodies()
    while many.take(sender(1), SMALL_BODY, 0.0):
        pass
    assert many.take(sender(2), SMALL_BODY, 0.0), "nor do small ones take all of it"


def test_a_body_that_went_on_in_the_large_room_takes_no_more_of_the_small_one() -> None:
    bodies, first, second = Bodies(small=2 * SMALL_BODY), sender(1), sender(1)
    assert bodies.take(first, SMALL_BODY - 1, 0.0)
    assert bodies.take(first, 3, 0.0)
    assert (first.small, first.large) == (SMALL_BODY, 2)
    assert bodies.take(second, 7, 0.0)
    bodies.close(first)
    assert bodies.take(second, 7, 0.0)
    assert (second.small, second.large) == (0, 14)


def test_the_slowest_of_a_users_own_makes_room() -> None:
    bodies, gone = Bodies(), list[Sender]()
    dripping = drip(bodies, 1, gone)
    fast = sender(1, began=MIN_AGE + 1.0)
    bodies.begin(fast)
    assert bodies.take(fast, FULL, MIN_AGE + 1.5)
    assert bodies.take(fast, FULL, MIN_AGE + 1.6)
    assert gone
    assert all(one in dripping for one in gone)
    assert fast not in gone


def test_who_is_no_faster_takes_nobodys_room() -> None:
    bodies, gone = Bodies(), list[Sender]()
    drip(bodies, 1, gone)
    slow = sender(1, began=MIN_AGE)
    bodies.begin(slow)
    assert not bodies.take(slow, FULL, 2 * MIN_AGE + 1e6)
    young = sender(1, began=0.05)
    assert not bodies.take(young, FULL, 0.1), "whoever has just begun is not slow yet"
    assert not gone


@given(st.lists(st.tuples(st.sampled_from([1, 2, 3, None]), st.integers(1, 60)), max_size=40))
def test_there_is_always_half_of_what_is_left(taken: list[tuple[Owner, int]]) -> None:
    shares, held = Shares(100), dict[Owner, int]()
    for owner, size in taken:
        others = sum(held.values()) - held.get(owner, 0)
        fits = 2 * (held.get(owner, 0) + size) <= 100 - others
        assert shares.take(owner, size) == fits
        held[owner] = held.get(owner, 0) + size * fits
    for owner, size in held.items():
        shares.give_back(owner, size)
    assert shares.total == 0
    assert shares.take(9, 50)


def test_the_largest_body_that_may_be_configured_finds_room_and_no_byte_more() -> None:
    assert SMALL_ROOM + LARGE_ROOM == 256 * MIB
    bodies, one = Bodies(), sender(1)
    assert bodies.take(one, LARGEST_BODY, 0.0)
    assert bodies.held == LARGEST_BODY
    bodies.close(one)
    assert bodies.held == 0
    assert not Bodies().take(sender(1), LARGEST_BODY + SMALL_BODY + 1, 0.0)


def test_what_is_given_back_in_part_leaves_the_rest_held() -> None:
    shares = Shares(100)
    assert shares.take(1, 40)
    shares.give_back(1, 10)
    assert not shares.take(1, 21), "half of all is 50, and 30 are held"
    assert shares.take(1, 20)


def test_who_holds_nothing_has_nothing_to_give_back() -> None:
    shares = Shares(101)
    shares.give_back(1, 0)
    assert not shares.take(1, 51)
    assert shares.take(1, 50)
    assert not shares.take(2, 26), "half of what the other leaves"
