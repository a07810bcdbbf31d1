"""Is it well? One sentence says so, what is wrong before what goes on."""

import pytest
from msgspec import structs

from exo_supervisor.core.books.budgets import Calendar, Payer, Spent
from exo_supervisor.core.events import CalendarRead, SpendingRead, SpendingUnread
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import BudgetRules, Limits, Policy
from exo_supervisor.views.day_book import Today
from exo_supervisor.views.verdict import amount, verdict
from tests.core.story import BOTH, LOCAL, P, Q, Story

QUIET = Today(0, 0, 0)
NO_REQUEST = "no request today"


def told(story: Story, today: Today = QUIET, shift: str | None = None) -> tuple[str, str]:
    said = verdict(story.machine, story.now, today, shift)
    return said.level, " | ".join(said.parts)


def test_a_house_at_work_says_who_serves_and_what_today_took_and_let_out() -> None:
    story = Story(BOTH, "n:1")
    for request in "abc":
        story.ask(request)
    level, text = told(story, Today(200, 6, 12_345), "14:02 breaker_open")
    assert level == "well"
    assert text.startswith("ready | Exo serves, cloud stands by | 3 now | cloud 3 % today | ")
    assert text.endswith("| 12.3 kB left, 0 B of it private | last shift 14:02 breaker_open")


def test_what_is_wrong_comes_before_what_goes_on() -> None:
    story = Story(BOTH, "n:1", "n:2")
    story.down("n:2")
    for request in "abc":
        story.ask(request)
        story.fail(request, Fault.CONNECT)
        story.leave(request)
    level, text = told(story)
    assert level == "weak"
    assert "Exo serves, cloud stands by | 1 node down | 1 breaker open | 0 now" in text


def test_a_house_that_only_clouds_serve_is_weak_and_one_that_wants_no_exo_is_well() -> None:
    assert told(Story(BOTH))[0] == "weak"
    cloud_only = Policy(clouds=BOTH.clouds, models=BOTH.models, order=("cloud",))
    assert told(Story(cloud_only))[0] == "well"


def test_a_house_that_cannot_serve_is_bad_and_one_that_has_not_looked_is_not_yet() -> None:
    level, text = told(Story(LOCAL))
    assert (level, text) == (
        "bad", f"not ready | no Exo node found, no provider is configured | 0 now | {NO_REQUEST}",
    )  # fmt: skip
    early = verdict(Machine(BOTH, 0.0), 0.0, QUIET, None)
    assert (early.level, early.parts[:2]) == (
        "weak", ("not ready", "still looking at nodes and providers"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("requests", "to_cloud", "said"), [(1000, 1, "under 1"), (3, 2, "67"), (9, 0, "0")]
)
def test_a_share_is_not_rounded_to_nothing(requests: int, to_cloud: int, said: str) -> None:
    text = told(Story(BOTH, "n:1"), Today(requests, to_cloud, 0))[1]
    assert f"| cloud {said} % today | 0 B left, 0 B of it private" in text


def test_a_budget_that_refuses_is_amiss() -> None:
    budgets = BudgetRules(Limits(day=100, month=1000))
    clouds = (structs.replace(BOTH.clouds[0], budget=Limits(month=50)), BOTH.clouds[1])
    story = Story(structs.replace(BOTH, budgets=budgets, clouds=clouds), "n:1")
    story.tell(SpendingUnread(why="it is shut"))
    level, text = told(story)
    assert level == "weak"
    assert "| what was spent is not known |" in text
    story.tell(CalendarRead(calendar=Calendar("2026-01-31", "2026-01", 1e9, 1e9, "2026-01-31")))
    assert told(story)[0] == "well"
    spent = Spent(Payer("anna", 0, P), 50)
    for span in ("day", "month"):
        story.tell(SpendingRead(span=span, paid=(spent,)))
    assert "| the month's budget of p is spent | 0 now" in told(story)[1]
    table = story.machine.tables.budgets
    table.refuse(table.lacks(Payer("anna", 0, Q), 60, counted=False))
    level, text = told(story)
    assert level == "weak"
    assert "| the day's budget has refused requests | the month's budget of p is spent |" in text


def test_private_bytes_that_left_are_as_bad_as_can_be() -> None:
    level, text = told(Story(BOTH, "n:1"), Today(3, 1, 2000, 1000))
    assert level == "bad"
    assert "2.0 kB left, 1.0 kB of it private" in text


def test_bytes_are_written_in_three_digits_or_so() -> None:
    sizes = (0, 999, 1000, 2_500_000, 3_000_000_000)
    assert [amount(size) for size in sizes] == ["0 B", "999 B", "1.0 kB", "2.5 MB", "3.0 GB"]
