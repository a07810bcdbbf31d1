"""What may be spent, and what is."""

from math import inf

from msgspec import Struct

from exo_supervisor.core.books.amount import digits_of
from exo_supervisor.core.machine import Machine
from exo_supervisor.views.placement import Wall


class BudgetSeen(Struct):
    """One budget in `/supervisor/status`: of the house, a client or a provider, in this span.

    `held` is for attempts under way; amounts are decimal numbers of the `currency`. `why` says why
    it is not known what was spent before this run: until then no cloud is asked.
    """

    scope: str
    name: str | None
    span: str
    currency: str
    limit: str
    spent: str
    held: str
    until: str | None
    why: str | None = None


def budgets(machine: Machine, wall: Wall) -> list[BudgetSeen]:
    """List the budgets that have a limit, but for those of sessions."""
    table = machine.tables.budgets
    ends = {"day": table.calendar.day_ends, "month": table.calendar.month_ends}
    currency = table.rules.currency
    return [
        BudgetSeen(
            line.scope, line.name or None, line.span, currency,
            digits_of(limit), digits_of(account.spent), digits_of(account.held),
            wall(ends[line.span]) if ends[line.span] < inf else None, table.unread or None,
        )
        for line, limit, account in table.each()
    ]  # fmt: skip
