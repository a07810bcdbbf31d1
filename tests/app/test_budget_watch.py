"""The core hears which day it is: at once, at each midnight, and again and again in between."""

from datetime import UTC
from pathlib import Path
from typing import NamedTuple

import pytest
from structlog.testing import capture_logs

from exo_supervisor.app.budgets import (
    AGAIN,
    LOOK,
    SALT,
    SOONEST,
    BudgetWatch,
    Past,
    SpentSince,
    session_salt,
)
from exo_supervisor.core.books import budgets
from exo_supervisor.core.books.budgets import KEPT, Payer
from exo_supervisor.core.events import CalendarRead, SpendingRead, SpendingUnread
from exo_supervisor.core.names import ProviderName
from exo_supervisor.views.booked import Spent

MIDNIGHT = 20_000 * 86_400.0


class Heard(NamedTuple):
    """What the core was told, and how long was slept in between."""

    events: list[Past]
    slept: list[float]


class _Over(Exception):  # noqa: N818 - it is the test that is over
    """Ends a service that has no end."""


async def heard_until(over: int, walls: list[float], spent: SpentSince | None = None) -> Heard:
    """Let it run until it has slept so many times."""
    heard, clock = Heard([], []), iter(walls)

    async def sleep(seconds: float) -> None:
        heard.slept.append(round(seconds, 2))
        if len(heard.slept) == over:
            raise _Over

    watch = BudgetWatch(UTC, heard.events.append, spent, lambda: next(clock), lambda: 7.0, sleep)
    with pytest.raises(_Over):
        await watch.run()
    return heard


async def test_a_day_ends_on_time_and_the_clock_is_looked_at_in_between() -> None:
    walls = [MIDNIGHT - 45.0, MIDNIGHT - 45.0, MIDNIGHT - 15.0, MIDNIGHT - 0.01, MIDNIGHT]
    heard = await heard_until(4, walls)
    assert heard.slept == [LOOK, 15.0, SOONEST, LOOK]
    pages = [each.calendar for each in heard.events if isinstance(each, CalendarRead)]
    assert [page.day for page in pages] == ["2024-10-03"] * 4 + ["2024-10-04"]
    assert [round(page.day_ends, 2) for page in pages[1:]] == [52.0, 22.0, 7.01, 7.0 + 86_400]
    assert pages[-1].utc_day == "2024-10-04"


async def test_nothing_is_told_before_it_is_known_what_was_spent() -> None:
    asked: list[float] = []

    async def spent(since: float) -> list[Spent] | str:
        asked.append(since)
        return "why" if len(asked) <= 2 else [Spent("anna", "p", 7, 5, 2)]

    with capture_logs() as logs:
        heard = await heard_until(3, [MIDNIGHT + 9.0] * 4, spent)
    assert heard.slept == [AGAIN, AGAIN, LOOK]
    assert [(each["event"], each["why"]) for each in logs] == [("budget_unread", "why")]
    month = MIDNIGHT - 3 * 86_400.0
    assert asked == [MIDNIGHT, MIDNIGHT, MIDNIGHT, month, MIDNIGHT + 9.0 - KEPT]
    names = [type(each).__name__ for each in heard.events]
    assert heard.events[0] == SpendingUnread(why="why")
    assert names == ["SpendingUnread", "CalendarRead", *["SpendingRead"] * 3, "CalendarRead"]
    row = budgets.Spent(Payer("anna", 7, ProviderName("p")), 5, 2)
    told = [each for each in heard.events if isinstance(each, SpendingRead)]
    assert told == [SpendingRead(span=span, paid=(row,)) for span in ("day", "month", "session")]


async def test_what_the_ledger_lacks_is_told_when_all_is_known() -> None:
    """Not each second for as long as a later span cannot be read."""
    asked = list[float]()

    async def spent(since: float) -> list[Spent] | str:
        asked.append(since)
        return [] if len(asked) % 2 or len(asked) > 6 else "why"

    async def sleep(_seconds: float) -> None:
        return

    watch = BudgetWatch(
        UTC, lambda _: None, spent, lambda: MIDNIGHT, lambda: 0.0, sleep,
        lambda span: [Spent("anna", "p", 0, 9, 0)] if span == "day" else [],
    )  # fmt: skip
    with capture_logs() as logs:
        while not await watch.restore():
            pass
    assert [each["event"] for each in logs].count("ledger_lacks") == 1


async def test_what_the_ledger_has_lost_is_taken_from_the_day_book() -> None:
    """Of each client at each provider the larger sum counts; what is alike is not told twice."""
    day = [Spent("anna", "p", 0, 9, 0), Spent("kids", "q", 0, 4, 0), Spent("anna", "q", 0, 1, 0)]
    month = [Spent("anna", "p", 0, 7, 0)]

    async def spent(_since: float) -> list[Spent] | str:
        return [
            Spent("anna", "p", 7, 5, 2),
            Spent("anna", "p", 8, 2, 1),
            Spent("anna", "q", 0, 3, 1),
        ]

    heard, slept = list[Past](), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        raise _Over

    watch = BudgetWatch(
        UTC, heard.append, spent, lambda: MIDNIGHT, lambda: 0.0, sleep,
        lambda span: day if span == "day" else month,
    )  # fmt: skip
    with capture_logs() as logs:
        assert await watch.restore()
    paid = {each.span: each.paid[3:] for each in heard if isinstance(each, SpendingRead)}
    anna, kids = (Payer("anna", 0, ProviderName("p")), Payer("kids", 0, ProviderName("q")))
    assert paid == {
        "day": (budgets.Spent(anna, 2), budgets.Spent(kids, 4)), "month": (), "session": (),
    }  # fmt: skip
    (told,) = logs
    assert (told["event"], told["span"], told["cost"]) == ("ledger_lacks", "day", "0.000000000006")


async def test_a_restarted_watch_tells_of_the_past_no_second_time() -> None:
    heard = Heard([], [])

    async def spent(_since: float) -> list[Spent] | str:
        return []

    async def sleep(_seconds: float) -> None:
        raise _Over

    watch = BudgetWatch(UTC, heard.events.append, spent, lambda: MIDNIGHT, lambda: 0.0, sleep)
    for _ in range(2):
        with pytest.raises(_Over):
            await watch.run()
    assert sum(isinstance(each, SpendingRead) for each in heard.events) == 3


@pytest.mark.real_time
async def test_sessions_are_named_alike_by_the_next_run(tmp_path: Path) -> None:
    first = await session_salt(tmp_path, kept=True)
    assert len(first) == SALT
    assert await session_salt(tmp_path, kept=True) == first
    assert await session_salt(tmp_path, kept=False) != first
    assert await session_salt(None, kept=True) != first
    (tmp_path / "session_salt").write_bytes(b"short")
    assert len(await session_salt(tmp_path, kept=True)) == SALT
    assert len(await session_salt(Path("/dev/null/none"), kept=True)) == SALT
