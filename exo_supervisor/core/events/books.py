"""What budgets have to be told: which day it is, and what was spent before."""

from exo_supervisor.core.books.account import Span
from exo_supervisor.core.books.budgets import Calendar, Spent
from exo_supervisor.core.events.base import BaseEvent


class CalendarRead(BaseEvent, frozen=True, kw_only=True):
    """Which day it is where budgets are reckoned; its instants are the core's."""

    calendar: Calendar


class SpendingUnread(BaseEvent, frozen=True, kw_only=True):
    """What earlier runs paid cannot be read: why, where, and what to do."""

    why: str


class SpendingRead(BaseEvent, frozen=True, kw_only=True):
    """What earlier runs paid in this day or month, or for sessions of late."""

    span: Span
    paid: tuple[Spent, ...]
