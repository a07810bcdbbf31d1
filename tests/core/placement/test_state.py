"""A placement goes from asked to ready, or fails and is tried later, whatever comes between."""

from math import inf

from hypothesis import stateful as sm
from hypothesis import strategies as st

from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.names import ClusterKey, ModelId
from exo_supervisor.core.placement import state
from exo_supervisor.core.placement.state import (
    ANSWERS,
    FIRST_PAUSE,
    GIVES_UP,
    LOADS,
    LONGEST_PAUSE,
    Asked,
    Awaited,
    GivenUp,
    Loading,
    Placing,
    Resting,
    Told,
)
from exo_supervisor.core.policy import WAITS

HERE = ClusterKey("a:1")
READY = Placed(ModelId("m"), ready=True)
SLOW = Placed(ModelId("m"), ready=False, why="loading", progress="1 of 4 layers loaded")
FURTHER = Placed(ModelId("m"), ready=False, why="loading", progress="2 of 4 layers loaded")
HOW = ("loading", "1 of 4 layers loaded")


def test_a_download_that_failed_is_given_up_at_once_for_exo_never_tries_it_again() -> None:
    failed = Placed(ModelId("m"), ready=False, why="download_failed", detail="no space left")
    p = state.stands(Loading(0, HERE, 1.0, 1.0, HOW), failed, HERE, 5.0)
    assert p == GivenUp(1, "its download failed: no space left", ("download_failed", None))
    assert state.stands(p, failed, HERE, 9.0) is p
    assert isinstance(state.stands(p, SLOW, HERE, 9.0), Loading), "somebody mended it"


def test_the_good_way() -> None:
    p: Placing = state.ask(Resting(2, 5.0), HERE, 10.0)
    assert p == Asked(2, HERE, 10.0)
    p = state.answered(p, "accepted", "", 11.0)
    assert p == Awaited(2, HERE, 11.0)
    p = state.stands(p, SLOW, HERE, 12.0)
    assert p == Loading(2, HERE, 12.0, 12.0, HOW)
    p = state.stands(p, FURTHER, HERE, 20.0)
    assert p == Loading(2, HERE, 12.0, 20.0, ("loading", "2 of 4 layers loaded"))
    assert state.stands(p, FURTHER, HERE, 25.0) == p
    assert state.stands(p, READY, HERE, 30.0) == Resting()


def test_every_answer_but_a_failure_is_waited_for() -> None:
    asked = Asked(0, HERE, 10.0)
    answers: list[Told] = ["accepted", "stands", "lost"]
    for told in answers:
        assert state.answered(asked, told, "", 11.0) == Awaited(0, HERE, 11.0)
    assert state.answered(asked, "failed", "why", 11.0) == Resting(1, 11.0 + FIRST_PAUSE, "why")


def test_a_late_answer_changes_nothing() -> None:
    told: list[Told] = ["accepted", "stands", "lost", "failed"]
    for p in (Resting(), Awaited(0, HERE, 1.0), Loading(0, HERE, 1.0, 1.0, HOW), GivenUp(6, "")):
        assert [state.answered(p, each, "", 2.0) for each in told] == [p] * 4


def test_an_answer_that_never_comes_counts_as_lost() -> None:
    asked = Asked(1, HERE, 10.0)
    assert state.passed(asked, 10.0 + ANSWERS - 0.1) is asked
    assert state.passed(asked, 10.0 + ANSWERS) == Awaited(1, HERE, 10.0 + ANSWERS)
    resting = Resting(1, 5.0)
    assert state.passed(resting, 1_000.0) is resting


def test_what_was_accepted_must_appear_in_a_state_that_was_read_late_enough() -> None:
    awaited = Awaited(0, HERE, 10.0)
    assert state.lacks(awaited, 10.0 + WAITS.appears - 0.1, 99.0) is awaited
    gone = state.lacks(awaited, 10.0 + WAITS.appears, 99.0)
    assert gone == Resting(1, 99.0 + FIRST_PAUSE, "it was accepted and never appeared")


def test_what_vanishes_while_it_loads_has_failed() -> None:
    gone = state.lacks(Loading(0, HERE, 1.0, 1.0, HOW), 5.0, 5.0)
    assert gone == Resting(1, 5.0 + FIRST_PAUSE, "its instance vanished while it loaded")
    for p in (Resting(1, 5.0, "x"), Asked(0, HERE, 1.0), GivenUp(6, "x")):
        assert state.lacks(p, 99.0, 99.0) is p


def test_a_load_that_stands_still_is_given_up_but_not_placed_again() -> None:
    p: Placing = Loading(1, HERE, 10.0, 10.0, HOW)
    assert state.stands(p, SLOW, HERE, 10.0 + LOADS - 0.1) is p
    p = state.stands(p, SLOW, HERE, 10.0 + LOADS)
    assert p == GivenUp(2, "it loads without progress (loading)", HOW)
    assert state.stands(p, SLOW, HERE, 9_000.0) is p
    further = state.stands(p, FURTHER, HERE, 9_000.0)
    assert further == Loading(0, HERE, 9_000.0, 9_000.0, ("loading", "2 of 4 layers loaded"))
    why = "it loads without progress (loading)"
    assert state.lacks(p, 9_000.0, 9_000.0) == Resting(2, 9_000.0 + FIRST_PAUSE, why)


def test_rests_double_up_to_a_cap_and_end_in_giving_up() -> None:
    p: Placing = Resting()
    pauses: list[float] = []
    for _ in range(GIVES_UP - 1):
        p = state.fail(p, "x", 100.0)
        assert isinstance(p, Resting)
        pauses.append(p.until - 100.0)
    assert pauses == [30.0, 60.0, 120.0, 240.0, 480.0]
    assert max(pauses) <= LONGEST_PAUSE
    assert state.fail(p, "x", 100.0) == GivenUp(GIVES_UP, "x")


def test_when_time_alone_moves_it_on() -> None:
    assert state.due(Resting()) is None
    assert state.due(Resting(1, 7.0)) == 7.0
    assert state.due(Asked(0, HERE, 1.0)) == 1.0 + ANSWERS
    assert state.due(Awaited(0, HERE, 1.0)) == 1.0 + WAITS.appears
    assert state.due(Loading(0, HERE, 1.0, 2.0, HOW)) == 2.0 + LOADS
    assert state.due(GivenUp(6, "")) is None


class AnyHistory(sm.RuleBasedStateMachine):
    """Random waits, answers and states: at most one placement is out, and none is sent on hope."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.p: Placing = Resting()

    @sm.rule(wait=st.floats(0, 2_000))
    def wait(self, wait: float) -> None:
        self.now += wait
        self.p = state.passed(self.p, self.now)

    @sm.precondition(lambda self: isinstance(self.p, Resting) and self.p.until <= self.now)
    @sm.rule()
    def ask(self) -> None:
        assert isinstance(self.p, Resting)
        self.p = state.ask(self.p, HERE, self.now)

    @sm.rule(told=st.sampled_from(["accepted", "stands", "lost", "failed"]))
    def answer(self, told: Told) -> None:
        self.p = state.answered(self.p, told, "why", self.now)

    @sm.rule(placed=st.sampled_from([READY, SLOW, FURTHER]))
    def stand(self, placed: Placed) -> None:
        self.p = state.stands(self.p, placed, HERE, self.now)
        assert (self.p == Resting()) == placed.ready

    @sm.rule(age=st.floats(0, 30))
    def lack(self, age: float) -> None:
        before = self.p
        self.p = state.lacks(self.p, self.now - age, self.now)
        if isinstance(before, Asked):
            assert self.p is before, "an answer is still out"

    @sm.invariant()
    def failures_are_bounded_and_rests_end(self) -> None:
        assert 0 <= self.p.failures <= GIVES_UP
        if isinstance(self.p, Resting):
            assert -inf <= self.p.until <= self.now + LONGEST_PAUSE
        assert isinstance(self.p, GivenUp) or self.p.failures < GIVES_UP


TestAnyHistory = AnyHistory.TestCase
