"""Budgets: how much money may be spent, how much is, and how much is held for what is under way.

What an attempt costs is known at its end. So the most that it can cost is held before it begins, in
every account that it counts in, and its end puts the cost in the place of that. An account is of
one budget and one span of time: of the house, a client or a provider, in a day or a month; or of a
session, for as long as that is remembered. Days and months are names that are handed in, since no
time zone is known here.

However attempts come and end, what is spent and held stays within a limit, but for what was held
when the limit was lowered, and for costs above what was held. Those count in full when they are
told: they may overdraw an account, which then refuses everything.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from math import inf
from typing import NamedTuple

from msgspec import Struct, structs

from exo_supervisor.core.books.account import (
    EMPTY,
    Account,
    BudgetScope,
    Line,
    Span,
    fits,
    hold,
    reached,
    settle,
)
from exo_supervisor.core.bounded import Bounded
from exo_supervisor.core.effects import Announce, say
from exo_supervisor.core.names import ProviderName, RequestId
from exo_supervisor.core.policy import NO_LIMITS, Limits, Policy

MAX_SESSIONS = 4096
"""Sessions that are remembered; the one that was used longest ago makes room."""
MAX_DAYS = 7
"""Days whose accounts are remembered; one that comes again later begins anew."""
KEPT = 7 * 86_400.0
"""Seconds after its last attempt for which a session is remembered."""


class Calendar(Struct, frozen=True):
    """The day and the month where the budgets are reckoned, when they end, and the day in UTC."""

    day: str = ""
    month: str = ""
    day_ends: float = inf
    month_ends: float = inf
    utc_day: str = ""


class Payer(NamedTuple):
    """Who an attempt is made for, and whom it pays; `session` is 0 where there is none."""

    client: str
    session: int
    provider: ProviderName


class Spent(NamedTuple):
    """What was paid earlier, for whom: a sum of attempts. `requests` are those of the session."""

    payer: Payer
    cost: int
    requests: int = 0


class Lack(Struct, frozen=True):
    """What does not fit: `most` into which account; None: nobody knows how much it is.

    `until` is when there may be room: -inf where that hangs on attempts under way only, inf where
    time alone brings none.
    """

    line: Line
    limit: int
    account: Account
    most: int | None
    until: float


class _Hold(NamedTuple):
    number: int
    most: int
    lines: tuple[tuple[Line, int], ...]


class Budgets:
    """Owns the accounts of those budgets that have a limit, and what is held in them."""

    def __init__(self, policy: Policy) -> None:
        self.calendar = Calendar()
        self.unread = ""
        """Why it is not known what was spent; no day is told before it is."""
        self.accounts: dict[Line, Account] = {}
        self.holds: dict[tuple[RequestId, int], _Hold] = {}
        self.news: list[Announce] = []
        """What is to be told, until somebody takes it."""
        self._sessions: dict[str, float] = {}
        self._days: list[tuple[str, str]] = []
        """The last days that it was, each with its month."""
        self._last = 0
        self._dropped = Bounded[Line, int](MAX_SESSIONS)
        """The last hold that was in an account when that was forgotten."""
        self.follow(policy)

    def follow(self, policy: Policy) -> None:
        """Keep to these limits from now on; what is spent and held stays."""
        self.rules = rules = policy.budgets
        self._clients = {each.name: each.budget for each in policy.clients}
        self._providers = {each.name: each.budget for each in policy.clouds}
        limits = rules.house, *self._clients.values(), *self._providers.values()
        self.active = bool(rules.session_requests) or any(each != NO_LIMITS for each in limits)

    def turn(self, calendar: Calendar) -> None:
        """Take in which day it is; accounts of the last few stay: a clock may be set back."""
        was, self.calendar, self.unread = self.calendar, calendar, ""
        if (was.day, was.month) != (today := (calendar.day, calendar.month)):
            self._days = [*(each for each in self._days if each != today), today][-MAX_DAYS:]
            keep = {"", *chain.from_iterable(self._days)}
            self._drop([line for line in self.accounts if line.period not in keep])

    def restore(self, span: Span, paid: Iterable[Spent], now: float) -> None:
        """Take in what earlier runs paid in this day, this month, or for sessions.

        Whoever was to be told of a mark was told then.
        """
        limits: dict[Line, int] = {}
        for spent in paid:
            for line, limit in self._lines(spent.payer):
                if line.span == span:
                    limits[line] = limit
                    self.accounts[line] = settle(self.accounts.get(line, EMPTY), 0, spent.cost)
            if span == "session" and spent.payer.session:
                self._touch(spent.payer, now)
                self._count(spent.payer, spent.requests)
        for line, limit in limits.items():
            was = self.accounts[line]
            full = was.refused or was.spent >= limit
            self.accounts[line] = Account(was.spent, was.held, reached(was, limit), full)

    def lacks(self, payer: Payer, most: int | None, *, counted: bool) -> list[Lack]:
        """List why an attempt cannot be paid; nothing: it can. Before any day is told, none can.

        `most` is what it may cost, None where nobody knows; `counted`: its request is one of its
        session's already.
        """
        found: list[Lack] = []
        lines = tuple(self._lines(payer)) if most != 0 else ()
        if most is None and lines and self.rules.denies_unknown:
            line, limit = lines[0]
            return [Lack(line, limit, self.accounts.get(line, EMPTY), None, inf)]
        if lines and not self.calendar.day:
            line, limit = lines[0]
            return [Lack(line, limit, EMPTY, most, -inf)]
        for line, limit in lines:
            account = self.accounts.get(line, EMPTY)
            if not fits(account, limit, most or 1):  # of an unknown price something
                found.append(Lack(line, limit, account, most, self._until(line, limit, most or 1)))
        line, limit = _requests_of(payer), self.rules.session_requests
        account = self.accounts.get(line, EMPTY)
        if limit and payer.session and not counted and not fits(account, limit, 1):
            found.append(Lack(line, limit, account, 1, inf))
        return found

    def refuse(self, lacks: Iterable[Lack]) -> None:
        """Have it told, once, of each account that refuses what it had room for when it began."""
        for lack in lacks:
            line, was, most = lack.line, lack.account, lack.most
            if was.refused or most is None or most > lack.limit or lack.until == -inf:
                continue
            self.accounts[line] = Account(was.spent, was.held, was.told, refused=True)
            asked = line.shown(most)
            self.news.append(self._say("budget_spent", line, lack.limit, was, asked=asked))

    def hold(
        self, attempt: tuple[RequestId, int], payer: Payer, most: int | None, now: float,
        *, counted: bool,
    ) -> None:  # fmt: skip
        """Hold the most that an attempt can cost, wherever it counts; None: nobody knows it."""
        if payer.session:
            self._touch(payer, now)
            if not counted:
                self._count(payer, 1)
        lines, held = tuple(self._lines(payer)) if most != 0 else (), most or 0
        for line, _ in lines:
            self.accounts[line] = hold(self.accounts.get(line, EMPTY), held)
        if lines:
            self._last += 1
            self.holds[attempt] = _Hold(self._last, held, lines)

    def settle(self, attempt: tuple[RequestId, int], cost: int) -> None:
        """Put what an attempt cost in the place of what was held; once, and of a past day nowhere.

        An attempt for which nothing is held has been settled, or counts nowhere.
        """
        if (held := self.holds.pop(attempt, None)) is None:
            return
        for line, limit in held.lines:
            was = self.accounts.get(line)
            if was is None or self._dropped.get(line, 0) >= held.number:
                continue
            self.accounts[line] = account = settle(was, held.most, cost)
            mark = reached(account, limit)
            if mark > was.told:
                self.accounts[line] = structs.replace(account, told=mark)
                self.news.append(self._say("budget_warned", line, limit, account, percent=mark))

    def take_news(self) -> list[Announce]:
        """Return what is to be told."""
        news, self.news = self.news, []
        return news

    def follows_sessions(self) -> bool:
        """Say whether anything is limited by sessions."""
        limits = self.rules.house, *self._clients.values()
        return bool(self.rules.session_requests) or any(each.session for each in limits)

    def prune(self, now: float) -> None:
        """Forget the sessions that were not used for long."""
        for session in [name for name, at in self._sessions.items() if now >= at + KEPT]:
            self._forget(session)

    def each(self) -> Iterator[tuple[Line, int, Account]]:
        """List the budgets that have a limit, as they stand now, but for those of sessions."""
        lines = list(self._periods("house", "", self.rules.house))
        for name, limits in self._clients.items():
            lines += self._periods("client", name, limits)
        for name, limits in self._providers.items():
            lines += self._periods("provider", name, limits)
        for line, limit in lines:
            yield line, limit, self.accounts.get(line, EMPTY)

    def _lines(self, payer: Payer) -> Iterator[tuple[Line, int]]:
        """List the accounts that an attempt counts in, with their limits."""
        of_client = self._clients.get(payer.client, NO_LIMITS)
        yield from self._periods("house", "", self.rules.house)
        yield from self._periods("client", payer.client, of_client)
        of_provider = self._providers.get(payer.provider, NO_LIMITS)
        yield from self._periods("provider", payer.provider, of_provider)
        both = [each for each in (self.rules.house.session, of_client.session) if each]
        if both and payer.session:
            yield Line("session", str(payer.session), "session"), min(both)

    def _periods(self, scope: BudgetScope, name: str, limits: Limits) -> Iterator[tuple[Line, int]]:
        if limits.day:
            yield Line(scope, name, "day", self.calendar.day), limits.day
        if limits.month:
            yield Line(scope, name, "month", self.calendar.month), limits.month

    def _until(self, line: Line, limit: int, most: int) -> float:
        if self.accounts.get(line, EMPTY).spent + most <= limit:
            return -inf
        if most > limit:
            return inf
        ends = {"day": self.calendar.day_ends, "month": self.calendar.month_ends}
        return ends.get(line.span, inf)

    def _say(self, name: str, line: Line, limit: int, account: Account, **more: object) -> Announce:
        of = {"name": line.name or None} if line.scope != "session" else {}
        return say(
            "warning", name, scope=line.scope, span=line.span, **of, **more,
            spent=line.shown(account.spent), limit=line.shown(limit),
        )  # fmt: skip

    def _touch(self, payer: Payer, now: float) -> None:
        """Note that a session is used; make room for it if it is new."""
        session = str(payer.session)
        if self._sessions.pop(session, None) is None and len(self._sessions) >= MAX_SESSIONS:
            self._forget(next(iter(self._sessions)))
        self._sessions[session] = now

    def _forget(self, session: str) -> None:
        del self._sessions[session]
        self._drop([Line("session", session, "session"), Line("session", session, "requests")])

    def _drop(self, lines: Iterable[Line]) -> None:
        """Forget accounts, and that anything is held there: one of the same name begins empty."""
        for line in lines:
            if self.accounts.pop(line, EMPTY).held:
                self._dropped.renew(line, self._last)

    def _count(self, payer: Payer, requests: int) -> None:
        if self.rules.session_requests:
            line = _requests_of(payer)
            self.accounts[line] = settle(self.accounts.get(line, EMPTY), 0, requests)


def _requests_of(payer: Payer) -> Line:
    return Line("session", str(payer.session), "requests")
