"""A breaker lets the right attempts through, whatever order outcomes arrive in."""

from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import stateful as sm
from hypothesis import strategies as st

from exo_supervisor.core.breakers import automaton
from exo_supervisor.core.breakers.automaton import (
    Breaker,
    Closed,
    HalfOpen,
    Mark,
    Open,
    Reason,
    Rules,
    admit,
    hasten,
    in_place_of,
    may_admit,
    probe,
    rested,
    worse,
)

OK, BAD, LEFT = Mark.SUCCESS, Mark.FAILURE, Mark.ABANDONED
RULES = Rules(trip_after=3, rest=10.0, rest_max=120.0)
settle = partial(automaton.settle, rules=RULES, jitter=0.0)
FAILED = Reason.PROBE_FAILED


@pytest.mark.parametrize(
    ("before", "now", "after", "permit"),
    [
        pytest.param(Closed(4, 2), 0.0, Closed(4, 2), 4, id="closed admits"),
        pytest.param(Open(1, 10.0), 9.9, Open(1, 10.0), None, id="resting refuses"),
        pytest.param(Open(1, 10.0, 2), 10.0, HalfOpen(1, 10.0, 2), 1, id="rested probes"),
        pytest.param(HalfOpen(1, 10.0, 1), 99.0, HalfOpen(1, 10.0, 1), None, id="one probe only"),
    ],
)
def test_admits(before: Breaker, now: float, after: Breaker, permit: int | None) -> None:
    assert may_admit(before, now) == (permit is not None)
    assert admit(before, now) == (after, permit)


@pytest.mark.parametrize(
    ("before", "after", "permit"),
    [
        pytest.param(Closed(4, 2), Closed(4, 2), 4, id="closed admits"),
        pytest.param(Open(1, 10.0, 2), HalfOpen(1, 10.0, 2), 1, id="a rest can be cut short"),
        pytest.param(HalfOpen(1, 10.0, 1), HalfOpen(1, 10.0, 1), None, id="one probe only"),
    ],
)
def test_probes_before_the_rest_is_over(
    before: Breaker, after: Breaker, permit: int | None
) -> None:
    assert probe(before) == (after, permit)


@pytest.mark.parametrize(
    ("before", "permit", "mark", "after"),
    [
        pytest.param(Closed(1, 1), 1, BAD, Closed(1, 2), id="failures are counted"),
        pytest.param(Closed(1, 2), 1, BAD, Open(2, 110.0), id="the third in a row trips"),
        pytest.param(Closed(1, 2), 1, OK, Closed(1), id="a success clears the count"),
        pytest.param(Closed(1, 2), 1, LEFT, Closed(1, 2), id="abandoned says nothing"),
        pytest.param(Closed(1, 2), 0, BAD, Closed(1, 2), id="late failure"),
        pytest.param(Closed(1, 2), 0, OK, Closed(1, 2), id="late success"),
        pytest.param(Open(2, 105.0), 2, BAD, Open(2, 105.0), id="open is deaf to failure"),
        pytest.param(Open(2, 105.0), 2, OK, Open(2, 105.0), id="open is deaf to success"),
        pytest.param(Open(2, 105.0), 2, LEFT, Open(2, 105.0), id="open is deaf to nothing"),
        pytest.param(HalfOpen(2, 99.0, 1), 2, OK, Closed(2), id="a good probe closes"),
        pytest.param(
            HalfOpen(2, 99.0, 1), 2, BAD, Open(3, 120.0, 2, FAILED), id="a bad one doubles the rest"
        ),
        pytest.param(
            HalfOpen(2, 99.0, 4), 2, BAD, Open(3, 220.0, 5, FAILED), id="up to the longest rest"
        ),
        pytest.param(
            HalfOpen(2, 999.0, 1), 2, BAD, Open(3, 999.0, 2, FAILED), id="never shortens a rest"
        ),
        pytest.param(HalfOpen(2, 99.0, 1), 2, LEFT, Open(2, 99.0), id="a lost probe's slot"),
        pytest.param(
            HalfOpen(2, 99.0, 2), 2, LEFT, Open(2, 99.0, 2, FAILED), id="after a failed one"
        ),
        pytest.param(HalfOpen(2, 99.0, 1), 1, OK, HalfOpen(2, 99.0, 1), id="late success, probing"),
        pytest.param(HalfOpen(2, 99.0, 1), 1, BAD, HalfOpen(2, 99.0, 1), id="late failure, probe"),
        pytest.param(HalfOpen(2, 99.0, 1), 1, LEFT, HalfOpen(2, 99.0, 1), id="late nothing, probe"),
    ],
)
def test_settles_at_second_100(before: Breaker, permit: int, mark: Mark, after: Breaker) -> None:
    assert settle(before, permit, mark, 100.0) == after


@given(jitter=st.floats(0, 1, exclude_max=True), trips=st.integers(0, 5000))
def test_a_rest_is_lengthened_by_up_to_a_fifth_and_has_a_cap(jitter: float, trips: int) -> None:
    b = automaton.settle(HalfOpen(1, 0.0, trips), 1, BAD, 0.0, rules=RULES, jitter=jitter)
    assert isinstance(b, Open)
    grown = min(10.0 * 2 ** min(trips, 4), 120.0)
    assert grown <= b.until <= min(120.0, grown * 1.2)


def test_jitter_is_added_to_the_rest() -> None:
    b = automaton.settle(Closed(0, 2), 0, BAD, 0.0, rules=RULES, jitter=0.5)
    assert b == Open(1, 11.0)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(Open(1, 50.0, 3, FAILED), Open(1, 20.0, 3, FAILED), id="a rest ends now"),
        pytest.param(Open(1, 10.0), Open(1, 10.0), id="an ended rest stays ended"),
        pytest.param(Closed(1, 2), Closed(1, 2), id="closed"),
        pytest.param(HalfOpen(1, 50.0, 1), HalfOpen(1, 50.0, 1), id="probing"),
    ],
)
def test_hastens_at_second_20(before: Breaker, after: Breaker) -> None:
    assert hasten(before, 20.0) == after


def test_the_sicker_of_two_is_kept() -> None:
    order: list[Breaker] = [
        Closed(9, 0), Closed(0, 2), HalfOpen(0, 5.0, 1), HalfOpen(0, 6.0, 1), Open(0, 1.0),
        Open(0, 2.0),
    ]  # fmt: skip
    for healthier, sicker in pairwise(order):
        assert worse(healthier, sicker) is sicker
        assert worse(sicker, healthier) is sicker


def test_a_successor_knows_no_permit_of_either() -> None:
    assert in_place_of(Closed(5, 1), Open(2, 9.0, 3, FAILED)) == Open(6, 9.0, 3, FAILED)


def test_only_a_probe_is_taken_back() -> None:
    assert rested(Closed(1, 2)) == Closed(1, 2)
    assert rested(HalfOpen(3, 9.0, 1)) == Open(3, 9.0)


class AnyHistory(sm.RuleBasedStateMachine):
    """Random waits, asks, early probes, checks and outcomes, in any order, late ones included."""

    permits: sm.Bundle[int] = sm.Bundle("permits")

    def __init__(self) -> None:
        super().__init__()
        self.now, self.out = 0.0, list[int]()
        self.breaker: Breaker = Closed()

    @sm.rule(target=permits, early=st.booleans())
    def ask(self, *, early: bool) -> sm.MultipleResults[int]:
        was = self.breaker
        self.breaker, permit = probe(was) if early else admit(was, self.now)
        if isinstance(was, HalfOpen):
            assert permit is None, "a second probe"
        granted = [] if permit is None else [permit]
        self.out += granted
        return sm.multiple(*granted)

    @sm.rule(seconds=st.floats(0, 60))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @sm.rule()
    def see_it_come_back(self) -> None:
        self.breaker = hasten(self.breaker, self.now)

    @sm.rule(
        permit=sm.consumes(permits),
        mark=st.sampled_from(Mark),
        jitter=st.floats(0, 1, exclude_max=True),
    )
    def finish(self, permit: int, mark: Mark, jitter: float) -> None:
        self.out.remove(permit)
        was = self.breaker
        self.breaker = automaton.settle(was, permit, mark, self.now, rules=RULES, jitter=jitter)
        if permit != was.epoch or isinstance(was, Open):
            assert self.breaker == was, "a late outcome moved the breaker"
        elif mark is OK:
            assert self.breaker == Closed(was.epoch), "a success did not heal"
        if isinstance(was, HalfOpen) and mark is not OK and isinstance(self.breaker, Open):
            assert self.breaker.until >= was.until, "an outcome shortened a rest"

    @sm.invariant()
    def a_half_open_breaker_has_exactly_its_probe_out(self) -> None:
        if isinstance(self.breaker, HalfOpen):
            assert self.out.count(self.breaker.epoch) == 1, "nothing could ever move it again"

    @sm.invariant()
    def it_trips_at_the_limit_and_no_later(self) -> None:
        if isinstance(self.breaker, Closed):
            assert self.breaker.failures < RULES.trip_after

    @sm.invariant()
    def no_permit_is_of_a_later_epoch_and_no_open_breaker_has_one_of_its_own(self) -> None:
        assert all(permit <= self.breaker.epoch for permit in self.out)
        if isinstance(self.breaker, Open):
            assert self.breaker.epoch not in self.out


TestAnyHistory = AnyHistory.TestCase


def test_one_that_is_probed_is_worse_off_than_one_that_only_counts() -> None:
    counting, probed = Closed(0, failures=2), HalfOpen(1, until=-5.0, trips=1)
    assert automaton.worse(counting, probed) is probed
    assert automaton.worse(probed, counting) is probed
