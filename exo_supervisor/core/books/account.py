"""One account of a budget: a frozen value, and how what is spent and held changes it."""

from typing import Literal, NamedTuple

from msgspec import Struct

from exo_supervisor.core.books.amount import digits_of

MARKS = (50, 80, 95)
"""Percents of a limit at which somebody is warned."""


BudgetScope = Literal["house", "client", "provider", "session"]
Span = Literal["day", "month", "session", "requests"]


class Line(NamedTuple):
    """Which account: whose, and of which day or month; `name` is a client's, or a provider's."""

    scope: BudgetScope
    name: str
    span: Span
    period: str = ""

    def shown(self, amount: int) -> object:
        """Write what is counted here as people read it: money, or a number of requests."""
        return amount if self.span == "requests" else digits_of(amount)


class Account(Struct, frozen=True, gc=False):
    """What is spent, and what is held for attempts under way.

    `told` is the last mark that somebody was told of; `refused`: and that it refused an attempt.
    """

    spent: int = 0
    held: int = 0
    told: int = 0
    refused: bool = False


EMPTY = Account()


def fits(account: Account, limit: int, most: int) -> bool:
    """Say whether an attempt that may cost so much can be paid."""
    return account.spent + account.held + most <= limit


def hold(account: Account, most: int) -> Account:
    """Keep what an attempt may cost from all others."""
    return Account(account.spent, account.held + most, account.told, account.refused)


def settle(account: Account, held: int, cost: int) -> Account:
    """Put what an attempt did cost in the place of what was held for it."""
    spent, held = account.spent + cost, account.held - held
    return Account(spent, held, account.told, account.refused)


def reached(account: Account, limit: int) -> int:
    """Return the highest mark that was reached, 0 for none."""
    return max((mark for mark in MARKS if 100 * account.spent >= mark * limit), default=0)
