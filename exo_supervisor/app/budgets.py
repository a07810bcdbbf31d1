"""Tells the core what earlier runs spent, and which day it is where the budgets are reckoned."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import tzinfo
from pathlib import Path
from secrets import token_bytes
from typing import Literal

import structlog

from exo_supervisor.app.kept_file import read_file, writes_to
from exo_supervisor.core.books import budgets
from exo_supervisor.core.books.account import Span
from exo_supervisor.core.books.amount import digits_of
from exo_supervisor.core.books.budgets import KEPT, Calendar, Payer
from exo_supervisor.core.events import CalendarRead, SpendingRead, SpendingUnread
from exo_supervisor.core.names import ProviderName
from exo_supervisor.errors import why_failed
from exo_supervisor.views.booked import Spent
from exo_supervisor.views.calendar import dates_at, utc_day

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("budgets")

LOOK = 30.0
"""Seconds, at most, between two looks at the clock: it may be set, and this machine may sleep."""
SOONEST = 0.05
"""And at least, lest the last moment of a day be looked at again and again."""
AGAIN = 1.0
"""Seconds between two tries to learn what was spent."""
SALT = 16
"""Bytes of it."""

SpentSince = Callable[[float], Awaitable[list[Spent] | str]]
"""Sums up what was paid since an instant, or says why nobody can now."""
DayBookSpent = Callable[[Literal["day", "month"]], Sequence[Spent]]
"""Tells what was paid today or this month, if the ledger has lost some of that."""
Past = CalendarRead | SpendingRead | SpendingUnread


def calendar_read(wall: float, now: float, zone: tzinfo) -> CalendarRead:
    """Say which day it is; `now` is the same instant on the core's clock."""
    dates, since = dates_at(wall, zone), now - wall
    ends = dates.day_ends + since, dates.month_ends + since
    return CalendarRead(calendar=Calendar(dates.day, dates.month, *ends, utc_day(wall)))


class BudgetWatch:
    """A service that tells of the past once, and then of each day when the last one ends.

    Before the core has heard of a day it spends nothing of a budget. So where the ledger cannot be
    read at the start, clouds under a budget wait until it can, and Exo goes on: from nothing, each
    restart would bring the whole budget back. Where no ledger is kept at all that is what happens,
    and is said. One that fails later takes nothing away: what this run spent is known here.
    """

    name = "budgets"

    def __init__(
        self,
        zone: tzinfo,
        tell: Callable[[Past], None],
        spent: SpentSince | None,
        wall: Callable[[], float],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        of_day_book: DayBookSpent = lambda _: (),
    ) -> None:
        self._zone, self._tell, self._spent = zone, tell, spent
        self._wall, self._clock, self._sleep, self._of_day_book = wall, clock, sleep, of_day_book
        self._restored = False
        self._unread = ""

    async def restore(self) -> bool:
        """Tell of the past, if it is known; True: that is done."""
        if self._restored:
            return True
        wall, found = self._wall(), dict[Span, list[Spent]]()
        dates = dates_at(wall, self._zone)
        since: Sequence[tuple[Span, float]] = (
            ("day", dates.day_began), ("month", dates.month_began), ("session", wall - KEPT)
        )  # fmt: skip
        if self._spent is None:
            log.warning("budget_not_kept", advice="give the service a state directory")
            since = ()
        for span, begin in since:
            rows = [] if self._spent is None else await self._spent(begin)
            if isinstance(rows, str):
                self._miss(rows)
                return False
            found[span] = rows
        self._tell(calendar_read(wall, self._clock(), self._zone))
        for span, rows in found.items():
            paid = map(_paid, [*rows, *self._lacked(span, rows)])
            self._tell(SpendingRead(span=span, paid=tuple(paid)))
        self._restored = True
        return True

    def _lacked(self, span: Span, rows: Sequence[Spent]) -> list[Spent]:
        """List what the day book knows to have been paid, where the ledger has lost rows.

        Elsewhere the two rightly differ: the day book knows when requests ended, not when attempts
        began, and counts an answer that a provider tells of twice.
        """
        if span not in ("day", "month"):
            return []
        booked = Counter[tuple[str, str]]()
        for row in rows:
            booked[row.client, row.provider] += row.cost
        lacks = [
            Spent(each.client, each.provider, 0, lack, 0)
            for each in self._of_day_book(span)
            if (lack := each.cost - booked[each.client, each.provider]) > 0
        ]
        if lacks:
            more = digits_of(sum(each.cost for each in lacks))
            log.warning("ledger_lacks", span=span, taken_from="day_book.json", cost=more)
        return lacks

    def _miss(self, why: str) -> None:
        """Tell, once for each reason, why it is not known what was spent."""
        if why != self._unread:
            self._unread = why
            advice = "until that is mended no cloud is asked that has a budget"
            log.error("budget_unread", why=why, advice=advice)
            self._tell(SpendingUnread(why=why))

    async def run(self) -> None:
        while not await self.restore():
            await self._sleep(AGAIN)
        while True:
            wall = self._wall()
            self._tell(calendar_read(wall, self._clock(), self._zone))
            left = dates_at(wall, self._zone).day_ends - wall
            await self._sleep(max(SOONEST, min(LOOK, left)))


async def session_salt(state: Path | None, *, kept: bool) -> bytes:
    """Return what sessions are named with: where a budget looks back at them, that of the last run.

    It is kept beside the ledger, whose rows could else be told of whom they are.
    """
    path = state / "session_salt" if state is not None and kept else None
    salt = await read_file(path, "session_salt", bytes, b"")
    if len(salt) != SALT:
        salt = token_bytes(SALT)
        try:
            await writes_to(path)(salt)
        except OSError as fault:
            log.warning("session_salt_unwritable", why=why_failed(fault))
    return salt


def _paid(row: Spent) -> budgets.Spent:
    payer = Payer(row.client, row.session, ProviderName(row.provider))
    return budgets.Spent(payer, row.cost, row.requests)
