"""Restarts slow down, run out, and come back only after a calm minute of running."""

import pytest
from hypothesis import stateful as sm
from hypothesis import strategies as st

from exo_supervisor.runtime.restarts import (
    CALM,
    DEGRADED_PAUSE,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MOST,
    WINDOW,
    Restarts,
)


def pauses(crashes: list[float], *, essential: bool) -> list[float | None]:
    restarts, seen = Restarts(essential=essential), list[float | None]()
    for now in crashes:
        restarts, pause = restarts.spend(now)
        seen.append(pause)
    return seen


@pytest.mark.parametrize(
    ("essential", "crashes", "expected"),
    [
        pytest.param(True, [0, 1, 3, 6, 11], [0.5, 1, 2, 4, 5], id="doubles up to its cap"),
        pytest.param(True, [0, 1, 3, 6, 11, 17], [0.5, 1, 2, 4, 5, None], id="sixth gives up"),
        pytest.param(False, [0, 1, 3, 6, 11, 17], [0.5, 1, 2, 4, 5, 60], id="sixth is degraded"),
        pytest.param(True, [0, 1, 3, 6, 11, 60], [0.5, 1, 2, 4, 5, 5], id="first has aged out"),
        pytest.param(
            True, [0, 1, 3, 6, 11, 59.9], [0.5, 1, 2, 4, 5, None], id="first still counts"
        ),
        pytest.param(
            False,
            [0, 1, 2, 3, 4, 5, 65, 125, 185],
            [0.5, 1, 2, 4, 5, 60, 60, 60, 60],
            id="a pause is not calm",
        ),
        pytest.param(
            False,
            [0, 1, 2, 3, 4, 5, 124.9, 244.7, 364.7],
            [0.5, 1, 2, 4, 5, 60, 60, 60, 0.5],
            id="a minute of running is",
        ),
        pytest.param(True, [0, 1, 62], [0.5, 1, 0.5], id="calm resets the pause"),
        pytest.param(True, [0, 20, 40, 60, 80], [0.5, 1, 2, 2, 2], id="a slow crasher lives on"),
    ],
)
def test_pauses(*, essential: bool, crashes: list[float], expected: list[float | None]) -> None:
    assert pauses(crashes, essential=essential) == expected


def test_a_value_is_spent_when_its_last_crash_found_no_restart_left() -> None:
    restarts = Restarts(essential=False)
    for now in range(MOST):
        restarts, _ = restarts.spend(float(now))
        assert not restarts.spent
    assert restarts.spend(10.0)[0].spent


class AnyCrashes(sm.RuleBasedStateMachine):
    """A service runs for any time, crashes, waits its pause, and runs again."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.restarts = Restarts(essential=False)
        self.pause: float | None = None
        self.history: list[float] = []

    @sm.rule(eighths=st.one_of(st.integers(0, 40), st.integers(0, 1040)))
    def crash(self, eighths: int) -> None:
        ran = eighths / 8  # exact in binary, so that a minute is a minute
        was_spent = self.restarts.spent
        self.now += ran
        twin = Restarts(
            essential=True, crashes=self.restarts.crashes, resumes=self.restarts.resumes
        )
        self.restarts, self.pause = self.restarts.spend(self.now)
        self.history.append(self.now)
        assert self.pause is not None, "an optional service never gives up"
        recent = [crash for crash in self.history if self.now - crash < WINDOW]
        if ran >= CALM:
            assert self.pause == FIRST_PAUSE
        elif was_spent:
            assert self.pause == DEGRADED_PAUSE, "degraded until a calm minute"
        else:
            assert (self.pause == DEGRADED_PAUSE) == (len(recent) > MOST)
        essential = twin.spend(self.now)[1]
        assert essential == (None if self.restarts.spent else self.pause)
        self.now += self.pause

    @sm.invariant()
    def memory_is_bounded_and_pauses_are_known(self) -> None:
        assert len(self.restarts.crashes) <= MOST + 1
        if self.pause is not None:
            assert FIRST_PAUSE <= self.pause <= LONGEST_PAUSE or self.pause == DEGRADED_PAUSE


TestAnyCrashes = AnyCrashes.TestCase
