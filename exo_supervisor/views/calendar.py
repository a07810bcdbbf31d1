"""Which day and month it is in a time zone, and from when to when these last, to the second."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

from msgspec import Struct


class Dates(Struct, frozen=True):
    """A day and its month, as `2026-01-31` and `2026-01`; instants are seconds since 1970.

    A day has 23 to 25 hours where clocks are changed, and one that a place left out has none.
    """

    day: str
    month: str
    day_began: float
    day_ends: float
    month_began: float
    month_ends: float


def dates_at(wall: float, zone: tzinfo) -> Dates:
    """Return the dates of an instant."""
    today = datetime.fromtimestamp(wall, zone).date()
    first = today.replace(day=1)
    next_month = (first + timedelta(days=31)).replace(day=1)
    return Dates(
        today.isoformat(),
        today.isoformat()[:7],
        _begin(today, zone),
        _begin(today + timedelta(days=1), zone),
        _begin(first, zone),
        _begin(next_month, zone),
    )


def utc_day(wall: float) -> str:
    """Return the day in UTC."""
    return datetime.fromtimestamp(wall, UTC).date().isoformat()


def _begin(day: date, zone: tzinfo) -> float:
    """Return when a day begins: the first midnight of two, or the change that leaves it out."""
    return datetime.combine(day, time(), zone).timestamp()
