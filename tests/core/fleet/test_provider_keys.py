"""A key that was refused is left alone, each time for longer, until it is proven."""

import pytest
from hypothesis import stateful as sm
from hypothesis import strategies as st

from exo_supervisor.core.fleet.provider_keys import (
    GOOD,
    KEY_REST,
    KEY_REST_MAX,
    Key,
    prove,
    refuse,
)

ONCE = Key(400.0, 300.0, 100.0, 401, "")


@pytest.mark.parametrize(
    ("before", "now", "after"),
    [
        pytest.param(GOOD, 100.0, ONCE, id="the first refusal"),
        pytest.param(ONCE, 399.9, ONCE, id="one that is left alone already"),
        pytest.param(ONCE, 400.0, Key(1000.0, 600.0, 400.0, 401, ""), id="twice as long"),
        pytest.param(
            Key(400.0, 2400.0, 1.0), 400.0, Key(4000.0, 3600.0, 400.0, 401), id="an hour at most"
        ),
        pytest.param(
            Key(400.0, 3600.0, 1.0), 400.0, Key(4000.0, 3600.0, 400.0, 401), id="and no more"
        ),
    ],
)
def test_a_refusal(before: Key, now: float, after: Key) -> None:
    assert refuse(before, now, 401) == after


@pytest.mark.parametrize(
    ("before", "began", "after"),
    [
        pytest.param(GOOD, 0.0, GOOD, id="a good one stays good"),
        pytest.param(ONCE, 400.0, GOOD, id="a trial that went well"),
        pytest.param(ONCE, 100.0, GOOD, id="begun in the very instant"),
        pytest.param(ONCE, 99.9, ONCE, id="begun before, an account may be spent since"),
    ],
)
def test_a_proof(before: Key, began: float, after: Key) -> None:
    assert prove(before, began) == after


def test_the_words_of_the_last_refusal_are_kept() -> None:
    key = refuse(GOOD, 0.0, 402, "Insufficient Balance")
    assert (key.status, key.why) == (402, "Insufficient Balance")
    assert refuse(key, key.until, 401).why == ""


class Life(sm.RuleBasedStateMachine):
    """Whatever comes in whatever order: a key rests, and is tried again within the hour."""

    def __init__(self) -> None:
        super().__init__()
        self.key, self.now, self.refusals = GOOD, 0.0, 0
        self.attempts: list[float] = []

    @sm.rule(seconds=st.floats(0.0, 2 * KEY_REST_MAX))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @sm.precondition(lambda self: self.key.usable(self.now))
    @sm.rule()
    def begin(self) -> None:
        self.attempts.append(self.now)

    @sm.precondition(lambda self: self.attempts)
    @sm.rule()
    def is_refused(self) -> None:
        self.attempts.pop(0)
        before = self.key
        self.key = refuse(before, self.now, 401)
        if before.usable(self.now):
            self.refusals += 1
            assert self.key.rest == min(KEY_REST_MAX, KEY_REST * 2.0 ** (self.refusals - 1))
            assert not self.key.usable(self.now)
        else:
            assert self.key is before, "a burst counts as one"

    @sm.precondition(lambda self: self.attempts)
    @sm.rule()
    def is_answered(self) -> None:
        began, before = self.attempts.pop(0), self.key
        self.key = prove(before, began)
        if self.key is not before:
            self.refusals = 0
            assert self.key == GOOD
        if self.refusals:
            assert began < self.key.refused_at, "who began since has proven it"

    @sm.invariant()
    def rests_for_an_hour_at_most(self) -> None:
        assert self.key.until <= self.now + KEY_REST_MAX
        assert self.key.usable(self.key.until)
        assert (self.key == GOOD) == (self.refusals == 0)


TestLife = Life.TestCase
