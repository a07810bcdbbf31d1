"""A client asks for no more than its rates in any minute, and is told when it may ask again."""

import pytest
from hypothesis import stateful as sm
from hypothesis import strategies as st

from exo_supervisor.core.names import RequestId
from exo_supervisor.core.policy import ClientRule
from exo_supervisor.core.requests.rates import MINUTE, Minute, Rates, admit, settle

TWO = ClientRule("kids", requests=2)
HUNDRED = ClientRule("kids", tokens=100)
BOTH = ClientRule("kids", requests=2, tokens=100)
FULL = Minute(((0, 1, 40), (10, 1, 50)))

TABLE = [
    # rule, what was let through, estimate, now, the wait (None: none)
    (TWO, Minute(), 9, 0.0, None),
    (TWO, Minute(((0, 1, 0),)), 9, 0.5, None),
    (TWO, Minute(((0, 2, 0),)), 9, 0.5, 60.5),
    (TWO, FULL, 9, 10.0, 51.0),  # the first second leaves at 61
    (TWO, FULL, 9, 61.0, None),
    (HUNDRED, FULL, 10, 10.0, None),
    (HUNDRED, FULL, 11, 10.0, 51.0),
    (HUNDRED, FULL, 51, 10.0, 61.0),  # both seconds have to go
    (HUNDRED, FULL, 1000, 10.0, 61.0),
    (HUNDRED, Minute(), 1000, 0.0, None),  # alone it may be larger than the limit
    (HUNDRED, Minute(((0, 9, 0),)), 1000, 1.0, None),
    (BOTH, FULL, 10, 10.0, 51.0),
    (BOTH, Minute(((0, 1, 99),)), 10, 1.0, 60.0),
    (BOTH, Minute(((0, 1, 40),)), 10, 1.0, None),
]


@pytest.mark.parametrize(("rule", "minute", "estimate", "now", "wait"), TABLE)
def test_who_is_let_through(
    rule: ClientRule, minute: Minute, estimate: int, now: float, wait: float | None
) -> None:
    after, told = admit(minute, rule, estimate, now)
    assert told == wait
    before = sum(each[1] for each in minute.seconds if each[0] + 61 > now)
    assert sum(each[1] for each in after.seconds) == before + (wait is None)


def test_what_was_used_takes_the_place_of_the_estimate() -> None:
    assert settle(FULL, 10, 50, 20, 10.5) == Minute(((0, 1, 40), (10, 1, 20)))
    assert settle(FULL, 0, 40, 20, 20.0) == Minute(((0, 1, 0), (10, 1, 50), (20, 0, 20)))
    assert settle(FULL, 0, 40, 500, 100.0) == Minute(((100, 0, 500),)), "long ago, but used now"


def test_a_request_without_any_attempt_takes_no_tokens() -> None:
    rates = Rates()
    assert rates.take(RequestId("r"), HUNDRED, 4 * 100, 0.0) is None
    assert rates.take(RequestId("s"), HUNDRED, 4, 0.0) == 61.0
    rates.end(RequestId("r"), 1.0)
    assert rates.take(RequestId("s"), HUNDRED, 4, 1.0) is None
    rates.used(RequestId("nobody's"), 5)
    assert rates.take(RequestId("t"), ClientRule("free"), 4, 1.0) is None
    assert list(rates.taken) == ["s"]


def test_a_picture_is_not_expected_to_have_as_many_tokens_as_a_text_of_its_bytes() -> None:
    rates, rule = Rates(), ClientRule("kids", tokens=50_000)
    for name in ("r", "s"):
        assert rates.take(RequestId(name), rule, 400_000, 0.0) is None
        rates.used(RequestId(name), 800)
        rates.end(RequestId(name), 1.0)


def test_whoever_has_no_rate_any_more_is_forgotten() -> None:
    rates = Rates()
    rates.take(RequestId("r"), TWO, 4, 0.0)
    rates.follow([ClientRule("kids"), HUNDRED])
    assert rates.take(RequestId("s"), TWO, 4, 0.0) is None
    rates.follow([ClientRule("kids")])
    rates.end(RequestId("r"), 1.0)
    assert [rates.take(RequestId(each), TWO, 4, 0.0) for each in "tuv"] == [None, None, 61.0]


class AnyTraffic(sm.RuleBasedStateMachine):
    """Requests of one client, which ask, use tokens and end in any order."""

    requests: sm.Bundle[str] = sm.Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.rates, self.now, self.names = Rates(), 0.0, 0
        self.let_through, self.under_way = list[float](), set[str]()
        self.used = list[tuple[float, int]]()

    @sm.rule(target=requests, wait=st.floats(0, 40), size=st.integers(0, 600))
    def ask(self, wait: float, size: int) -> sm.MultipleResults[str]:
        self.now += wait
        self.names += 1
        name = str(self.names)
        told = self.rates.take(RequestId(name), BOTH, size, self.now)
        if told is not None:
            assert told > 0
            assert admit(self._minute(), BOTH, max(1, size // 4), self.now + told)[1] is None
            return sm.multiple()
        last = self.now - MINUTE
        assert sum(at > last for at in self.let_through) < BOTH.requests
        used = sum(tokens for at, tokens in self.used if at > last)
        assert not used or used + max(1, size // 4) <= BOTH.tokens
        self.let_through.append(self.now)
        self.under_way.add(name)
        return sm.multiple(name)

    @sm.rule(request=sm.consumes(requests), used=st.lists(st.integers(0, 90), max_size=3))
    def end(self, request: str, used: list[int]) -> None:
        for each in used:
            self.rates.used(RequestId(request), each)
        self.rates.end(RequestId(request), self.now)
        self.under_way.remove(request)
        self.used.append((self.now, sum(used)))

    @sm.invariant()
    def it_holds_what_is_under_way_and_one_minute(self) -> None:
        assert set(self.rates.taken) == self.under_way
        assert len(self._minute().seconds) <= MINUTE + 2
        assert all(tokens >= 0 for _, _, tokens in self._minute().seconds)

    def _minute(self) -> Minute:
        return vars(self.rates)["_minutes"].get("kids", Minute())


TestAnyTraffic = AnyTraffic.TestCase
