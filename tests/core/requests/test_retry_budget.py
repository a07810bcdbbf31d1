"""Retries are a share of the traffic, and a quiet house may still retry a little."""

from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.requests.retry_budget import FLOOR, WINDOW, RetryBudget


def spent(budget: RetryBudget, now: float) -> int:
    """Spend until the budget is empty."""
    times = 0
    while budget.spend(now):
        times += 1
    return times


def test_a_quiet_house_has_the_floor() -> None:
    budget = RetryBudget(0.2)
    assert spent(budget, 0.0) == FLOOR
    assert spent(budget, 5.0) == 0
    assert spent(budget, WINDOW) == FLOOR


def test_traffic_widens_the_budget() -> None:
    budget = RetryBudget(0.2)
    for _ in range(50):
        budget.saw_request(3.5)
    assert spent(budget, 4.0) == 10


def test_the_traffic_of_a_second_takes_one_row() -> None:
    budget = RetryBudget(0.2)
    for _ in range(50):
        budget.saw_request(3.5)
    budget.saw_request(4.0)
    assert len(vars(budget)["_seconds"]) == 2


def test_old_traffic_counts_no_more() -> None:
    budget = RetryBudget(0.5)
    for second in range(20):
        budget.saw_request(float(second))
        budget.saw_request(second + 0.5)
    assert spent(budget, 19.9) == 10
    assert spent(budget, 40.0) == FLOOR


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=80))
def test_no_window_allows_more_than_its_share(story: list[tuple[float, bool]]) -> None:
    budget, now = RetryBudget(0.2), 0.0
    asked: list[float] = []
    granted: list[float] = []
    for wait, retries in story:
        now += wait
        if retries:
            if budget.spend(now):
                granted.append(now)
        else:
            budget.saw_request(now)
            asked.append(now)
        window = now - WINDOW + 1.0  # whole seconds are counted
        lately = sum(at > window for at in granted)
        assert lately <= max(FLOOR, 0.2 * len(asked) + 1)
