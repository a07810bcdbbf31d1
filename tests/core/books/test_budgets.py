"""A budget holds what may be spent, books what was, and refuses what does not fit."""

from collections import Counter
from math import inf
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import stateful as sm
from hypothesis import strategies as st
from msgspec import structs

from exo_supervisor.core.books.account import EMPTY, Account, Line, fits, hold, reached, settle
from exo_supervisor.core.books.budgets import (
    KEPT,
    MAX_DAYS,
    MAX_SESSIONS,
    Budgets,
    Calendar,
    Payer,
    Spent,
)
from exo_supervisor.core.names import ProviderName, RequestId
from exo_supervisor.core.policy import NO_LIMITS, BudgetRules, ClientRule, Cloud, Limits, Policy

P, Q = ProviderName("p"), ProviderName("q")
JAN = Calendar("2026-01-31", "2026-01", 100.0, 100.0, "2026-01-31")
FEB = Calendar("2026-02-01", "2026-02", 200.0, 2000.0, "2026-02-01")
ANNA = Payer("anna", 7, P)
HOUSE_DAY = Line("house", "", "day", "2026-01-31")
SESSION = Line("session", "7", "session")


def policy(
    house: Limits = NO_LIMITS,
    *,
    client: Limits = NO_LIMITS,
    provider: Limits = NO_LIMITS,
    session_requests: int = 0,
    denies_unknown: bool = True,
) -> Policy:
    return Policy(
        budgets=BudgetRules(house, session_requests, denies_unknown),
        clients=(ClientRule("anna", budget=client),),
        clouds=(Cloud(P, "https://p.example", budget=provider), Cloud(Q, "https://q.example")),
    )


def opened(house: Limits = NO_LIMITS, **others: object) -> Budgets:
    budgets = Budgets(policy(house, **others))  # pyright: ignore[reportArgumentType] - its own words
    budgets.turn(JAN)
    return budgets


def pay(budgets: Budgets, most: int | None, name: str = "r", payer: Payer = ANNA) -> bool:
    """Hold for an attempt if it fits; say whether it did."""
    lacks = budgets.lacks(payer, most, counted=False)
    budgets.refuse(lacks)
    if not lacks:
        budgets.hold((RequestId(name), 1), payer, most, 0.0, counted=False)
    return not lacks


def end(budgets: Budgets, cost: int, name: str = "r") -> None:
    budgets.settle((RequestId(name), 1), cost)


@pytest.mark.parametrize(
    ("account", "most", "does"),
    [
        (EMPTY, 100, True),
        (EMPTY, 101, False),
        (Account(60, 40), 0, True),
        (Account(60, 40), 1, False),
        (Account(59, 40), 1, True),
        (Account(101, 0), 0, False),
    ],
)
def test_what_is_spent_and_held_stays_within_the_limit(
    account: Account, most: int, *, does: bool
) -> None:
    assert fits(account, 100, most) is does


def test_an_attempts_cost_takes_the_place_of_what_was_held() -> None:
    account = settle(hold(Account(10, 5, 50, refused=True), 20), 20, 3)
    assert account == Account(13, 5, 50, refused=True)


@pytest.mark.parametrize(
    ("spent", "mark"), [(0, 0), (49, 0), (50, 50), (79, 50), (80, 80), (95, 95), (300, 95)]
)
def test_marks(spent: int, mark: int) -> None:
    assert reached(Account(spent), 100) == mark


LIMITED = [
    # which budgets there are, whose attempt of 6 does not fit after one of 5, where it ends
    (policy(Limits(day=10)), ("house", "day", 100.0)),
    (policy(Limits(month=10)), ("house", "month", 100.0)),
    (policy(client=Limits(day=10)), ("client", "day", 100.0)),
    (policy(client=Limits(month=10)), ("client", "month", 100.0)),
    (policy(provider=Limits(day=10)), ("provider", "day", 100.0)),
    (policy(Limits(session=10)), ("session", "session", inf)),
    (policy(Limits(session=99), client=Limits(session=10)), ("session", "session", inf)),
    (policy(Limits(session=10), client=Limits(session=99)), ("session", "session", inf)),
]


@pytest.mark.parametrize(("rules", "told"), LIMITED)
def test_each_budget_refuses_what_it_has_not(rules: Policy, told: tuple[object, ...]) -> None:
    budgets = Budgets(rules)
    budgets.turn(JAN)
    assert pay(budgets, 5)
    assert [lack.until for lack in budgets.lacks(ANNA, 6, counted=False)] == [-inf], "only held"
    end(budgets, 5)
    [lack] = budgets.lacks(ANNA, 6, counted=False)
    assert (lack.line.scope, lack.line.span, lack.until) == told
    assert not budgets.lacks(ANNA, 5, counted=False)
    assert not budgets.lacks(ANNA, 0, counted=False), "what costs nothing can be paid"


@pytest.mark.parametrize(
    ("rules", "payer"),
    [
        (policy(client=Limits(day=10)), Payer("bert", 0, P)),
        (policy(provider=Limits(day=10)), Payer("anna", 0, Q)),
        (policy(Limits(session=10)), Payer("anna", 0, P)),
        (policy(Limits(session=10)), Payer("anna", 8, P)),
    ],
)
def test_who_has_no_part_in_a_budget_is_not_kept_by_it(rules: Policy, payer: Payer) -> None:
    budgets = Budgets(rules)
    budgets.turn(JAN)
    assert pay(budgets, 10)
    assert not budgets.lacks(payer, 10, counted=False)


def test_without_a_limit_there_is_nothing_to_ask() -> None:
    assert not Budgets(policy()).active
    assert not Budgets(policy(Limits(day=1))).follows_sessions()
    assert Budgets(policy(session_requests=1)).follows_sessions()
    assert Budgets(policy(client=Limits(session=1))).follows_sessions()
    assert Budgets(policy(session_requests=1)).active
    for limits in (Limits(day=1), Limits(month=1), Limits(session=1)):
        assert Budgets(policy(limits)).active
        assert Budgets(policy(client=limits)).active
        assert Budgets(policy(provider=limits)).active


def test_a_request_larger_than_a_budget_never_fits() -> None:
    budgets = opened(Limits(day=10))
    assert [lack.until for lack in budgets.lacks(ANNA, 11, counted=False)] == [inf]
    assert not pay(budgets, 11)
    assert budgets.take_news() == [], "the budget is not spent"


def test_a_price_that_nobody_knows_is_refused_where_a_budget_holds() -> None:
    assert not pay(opened(Limits(day=10)), None)
    assert pay(opened(session_requests=5), None), "requests have no price"
    assert pay(opened(Limits(session=10)), None, payer=Payer("anna", 0, P)), "it is in no session"
    allowing = opened(Limits(day=10), denies_unknown=False)
    assert pay(allowing, None)
    end(allowing, 10)
    assert allowing.accounts[HOUSE_DAY] == Account(10, 0, 95), "what was told in the end counts"
    assert not pay(allowing, None, "s")


def test_who_is_told_late_twice_or_of_strangers_changes_nothing() -> None:
    budgets = opened(Limits(day=10, month=100))
    assert pay(budgets, 9)
    end(budgets, 3)
    end(budgets, 3)
    end(budgets, 3, "stranger")
    assert budgets.accounts[HOUSE_DAY] == Account(3)
    assert budgets.holds == {}


def test_a_new_day_begins_empty_and_an_old_one_is_booked_in_its_own() -> None:
    budgets = opened(Limits(day=10, month=100))
    assert pay(budgets, 9)
    budgets.turn(FEB)
    assert pay(budgets, 10, "s")
    end(budgets, 9)
    assert budgets.accounts[HOUSE_DAY] == Account(9, 0, 80)
    assert budgets.accounts[Line("house", "", "day", "2026-02-01")] == Account(0, 10)
    assert budgets.accounts[Line("house", "", "month", "2026-01")] == Account(9)
    budgets.turn(JAN)
    assert not pay(budgets, 2, "t"), "a clock that was set back finds what was spent"
    for day in range(1, 1 + MAX_DAYS):
        assert HOUSE_DAY in budgets.accounts
        budgets.turn(structs.replace(FEB, day=f"2026-02-{day:02}"))
    assert {line.period for line in budgets.accounts} == {"2026-02-01", "2026-02"}


def test_a_day_that_is_told_again_changes_no_account() -> None:
    budgets = opened(Limits(day=10, month=100))
    assert pay(budgets, 9)
    before = dict(budgets.accounts)
    budgets.turn(structs.replace(JAN, day_ends=JAN.day_ends + 1.0))
    assert budgets.accounts == before
    assert not pay(budgets, 2, "s")


def test_a_clock_that_crosses_midnights_forth_and_back_gives_nothing_back() -> None:
    budgets = opened(Limits(day=10, month=100))
    assert pay(budgets, 9)
    end(budgets, 9)
    march = Calendar("2026-03-01", "2026-03", 300.0, 3000.0, "2026-03-01")
    for day in (FEB, march, FEB, march, FEB, JAN):
        budgets.turn(day)
    assert budgets.accounts[HOUSE_DAY] == Account(9, 0, 80)
    assert not pay(budgets, 2, "t")


def test_marks_are_told_once_each_and_again_on_the_next_day() -> None:
    budgets = opened(Limits(day=100), client=Limits(day=1000))
    heard: list[object] = []
    for cost in (40, 10, 20, 25, 4):
        assert pay(budgets, cost)
        end(budgets, cost)
        heard.append([(said.name, said.facts.get("percent")) for said in budgets.take_news()])
    assert heard == [[], [("budget_warned", 50)], [], [("budget_warned", 95)], []]
    assert not pay(budgets, 2)
    assert not pay(budgets, 2)
    [spent] = budgets.take_news()
    assert spent.facts == {
        "scope": "house", "span": "day", "name": None, "asked": "0.000000000002",
        "spent": "0.000000000099", "limit": "0.0000000001",
    }  # fmt: skip
    budgets.turn(FEB)
    assert pay(budgets, 50)
    end(budgets, 50)
    assert [said.facts["percent"] for said in budgets.take_news()] == [50]


def test_what_is_held_only_for_now_is_not_told_as_spent() -> None:
    budgets = opened(Limits(day=10))
    assert pay(budgets, 10)
    assert not pay(budgets, 1, "s")
    assert budgets.take_news() == []


def test_a_cost_above_what_was_held_counts_in_full() -> None:
    budgets = opened(Limits(day=10))
    assert pay(budgets, 5)
    end(budgets, 25)
    assert budgets.accounts[HOUSE_DAY].spent == 25
    assert not pay(budgets, 1)
    assert pay(budgets, 0), "what costs nothing goes on"


def test_a_runaway_loop_ends_after_so_many_requests_of_its_session() -> None:
    budgets = opened(session_requests=3)
    assert [pay(budgets, 1, f"r{number}") for number in range(5)] == [True] * 3 + [False] * 2
    [told] = budgets.take_news()
    assert told.facts == {
        "scope": "session", "span": "requests", "asked": 1, "spent": 3, "limit": 3
    }  # fmt: skip
    assert not budgets.lacks(ANNA, 1, counted=True), "one of those may try once more"
    budgets.hold((RequestId("r0"), 2), ANNA, 1, 0.0, counted=True)
    assert budgets.accounts[Line("session", "7", "requests")].spent == 3
    assert pay(budgets, 1, payer=Payer("anna", 8, P)), "another session"
    assert pay(budgets, 1, payer=Payer("anna", 0, P)), "no session"


def test_sessions_are_bounded_and_forgotten_in_time() -> None:
    budgets = opened(Limits(session=10), session_requests=9)
    for session in range(1, MAX_SESSIONS + 2):
        assert pay(budgets, 1, f"r{session}", Payer("anna", session, P))
    assert len(budgets.accounts) == 2 * MAX_SESSIONS
    assert Line("session", "1", "session") not in budgets.accounts
    end(budgets, 1, "r1")
    assert Line("session", "1", "session") not in budgets.accounts, "it was forgotten"
    budgets.hold((RequestId("s"), 1), Payer("anna", 2, P), 1, 5.0, counted=True)
    budgets.prune(KEPT)
    assert {line.name for line in budgets.accounts} == {"2"}
    budgets.prune(KEPT + 5.0)
    assert budgets.accounts == {}


def test_what_was_held_in_an_account_that_is_forgotten_is_not_given_back_to_its_next() -> None:
    budgets = opened(Limits(session=100, day=10**6))
    assert pay(budgets, 90)
    for session in range(100, 100 + MAX_SESSIONS):
        assert pay(budgets, 1, "s", Payer("kids", session, P))
        end(budgets, 1, "s")
    assert pay(budgets, 50, "t")
    end(budgets, 90)
    assert budgets.accounts[SESSION] == Account(spent=0, held=50)


def test_what_was_held_on_a_day_that_comes_again_is_not_given_back_twice() -> None:
    budgets = opened(Limits(day=100))
    assert pay(budgets, 90)
    for day in range(1, 1 + MAX_DAYS):
        budgets.turn(structs.replace(FEB, day=f"2026-02-{day:02}"))
    budgets.turn(JAN)
    assert pay(budgets, 50, "t")
    end(budgets, 90)
    assert budgets.accounts[HOUSE_DAY] == Account(spent=0, held=50)


def test_what_earlier_runs_spent_counts_and_is_not_told_again() -> None:
    budgets = opened(Limits(day=10, month=100, session=50), session_requests=4)
    paid = (Spent(ANNA, 6), Spent(Payer("bert", 0, Q), 2))
    budgets.restore("day", paid, 0.0)
    budgets.restore("month", paid, 0.0)
    budgets.restore("session", (Spent(ANNA, 6, 3), Spent(Payer("bert", 0, Q), 2, 9)), 0.0)
    assert budgets.accounts == {
        HOUSE_DAY: Account(8, 0, 80),
        Line("house", "", "month", "2026-01"): Account(8),
        SESSION: Account(6),
        Line("session", "7", "requests"): Account(3),
    }
    assert not pay(budgets, 3)
    assert pay(budgets, 2)
    end(budgets, 2)
    assert [said.name for said in budgets.take_news()] == ["budget_spent", "budget_warned"]
    again = opened(Limits(day=10))
    again.restore("day", (Spent(ANNA, 10),), 0.0)
    assert not pay(again, 1)
    assert again.take_news() == [], "it was told before"


def test_what_stands_where_is_listed() -> None:
    budgets = opened(Limits(day=10), client=Limits(month=20), provider=Limits(day=30))
    assert pay(budgets, 4)
    assert list(budgets.each()) == [
        (HOUSE_DAY, 10, Account(0, 4)),
        (Line("client", "anna", "month", "2026-01"), 20, Account(0, 4)),
        (Line("provider", "p", "day", "2026-01-31"), 30, Account(0, 4)),
    ]


class _Out(NamedTuple):
    most: int
    day: int
    who: Payer


class AnyHistory(sm.RuleBasedStateMachine):
    """Attempts that are held, settled, doubled, lost and overdrawn, days that turn, new limits."""

    names: sm.Bundle[RequestId] = sm.Bundle("names")

    def __init__(self) -> None:
        super().__init__()
        self.limits = {"day": 100, "client": 60}
        self.budgets = Budgets(self.policy())
        self.day, self.number = 1, 0
        self.out: dict[RequestId, _Out] = {}
        self.paid: Counter[tuple[object, ...]] = Counter()
        self.slack: Counter[tuple[object, ...]] = Counter()
        self.turn(0)

    def policy(self) -> Policy:
        house, client = Limits(day=self.limits["day"]), Limits(day=self.limits["client"])
        return policy(house, client=client)

    def keys(self, day: int, payer: Payer) -> list[tuple[object, ...]]:
        return [("house", "", day), *[("client", "anna", day)] * (payer.client == "anna")]

    @sm.rule(days=st.integers(-2, 2))
    def turn(self, days: int) -> None:
        self.day = min(MAX_DAYS, max(1, self.day + days))
        self.budgets.turn(Calendar(f"d{self.day}", "m", 1.0, 2.0))

    @sm.rule(target=names, most=st.integers(0, 60), client=st.sampled_from(["anna", "bert"]))
    def ask(self, most: int, client: str) -> sm.MultipleResults[RequestId]:
        payer, self.number = Payer(client, 0, P), self.number + 1
        name = RequestId(f"r{self.number}")
        if not pay(self.budgets, most, name, payer):
            return sm.multiple()
        self.out[name] = _Out(most, self.day, payer)
        return sm.multiple(name)

    @sm.rule(name=names, cost=st.integers(0, 70))
    def settle(self, name: RequestId, cost: int) -> None:
        """Settle one, for the first time or again."""
        end(self.budgets, cost, name)
        if (was := self.out.pop(name, None)) is not None and was.most:
            for key in self.keys(was.day, was.who):
                self.paid[key] += cost
                self.slack[key] += max(0, cost - was.most)

    @sm.rule(which=st.sampled_from(["day", "client"]), limit=st.integers(1, 150))
    def limit(self, which: str, limit: int) -> None:
        self.limits[which] = limit
        self.budgets.follow(self.policy())
        for day in range(1, MAX_DAYS + 1):
            for key, name in ((("house", "", day), "day"), (("client", "anna", day), "client")):
                self.slack[key] = max(self.slack[key], self.sum_of(key) - self.limits[name])

    def held(self, key: tuple[object, ...]) -> int:
        return sum(each.most for each in self.out.values() if key in self.keys(each.day, each.who))

    def sum_of(self, key: tuple[object, ...]) -> int:
        return self.paid[key] + self.held(key)

    @sm.invariant()
    def sums_are_those_of_a_naive_model(self) -> None:
        for line, account in self.budgets.accounts.items():
            key = line.scope, line.name, int(line.period[1:])
            assert (account.spent, account.held) == (self.paid[key], self.held(key))

    @sm.invariant()
    def nothing_is_overspent(self) -> None:
        for line, limit, account in self.budgets.each():
            key = line.scope, line.name, self.day
            assert account.spent + account.held <= limit + self.slack[key]


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=60, stateful_step_count=30)
