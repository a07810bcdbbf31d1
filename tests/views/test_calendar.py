"""Days and months begin where a place says so: over changes of its clocks, too."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.views.calendar import dates_at, utc_day

HOUR = 3600.0
ZONES = [
    "Europe/Berlin", "America/New_York", "America/Havana", "America/Sao_Paulo", "Africa/Cairo",
    "Asia/Beirut", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati",
]  # fmt: skip


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("zone", "noon", "hours"),
    [
        ("Europe/Berlin", "2026-03-28 12:00", 24),
        ("Europe/Berlin", "2026-03-29 12:00", 23),
        ("Europe/Berlin", "2026-10-25 12:00", 25),
        ("Australia/Lord_Howe", "2026-04-05 12:00", 24.5),
        ("Africa/Cairo", "2026-04-24 12:00", 23),  # its midnight is left out
        ("America/Havana", "2026-11-01 12:00", 25),  # its midnight comes twice
        ("UTC", "2026-03-29 12:00", 24),
    ],
)
def test_a_day_is_as_long_as_clocks_have_it(zone: str, noon: str, hours: float) -> None:
    dates = dates_at(at(noon, zone), ZoneInfo(zone))
    assert dates.day == noon[:10]
    assert dates.day_ends - dates.day_began == hours * HOUR


@pytest.mark.parametrize(
    ("now", "day", "month", "ends"),
    [
        ("2026-01-31 23:59:59", "2026-01-31", "2026-01", "2026-02-01"),
        ("2026-02-28 00:00:00", "2026-02-28", "2026-02", "2026-03-01"),
        ("2028-02-29 12:00:00", "2028-02-29", "2028-02", "2028-03-01"),
        ("2026-12-31 23:59:59", "2026-12-31", "2026-12", "2027-01-01"),
        ("2026-11-30 23:59:59", "2026-11-30", "2026-11", "2026-12-01"),
    ],
)
def test_months_end_on_their_last_day(now: str, day: str, month: str, ends: str) -> None:
    dates = dates_at(at(now), UTC)
    assert (dates.day, dates.month) == (day, month)
    assert dates.month_ends == at(f"{ends} 00:00:00")
    assert dates.month_began == at(f"{month}-01 00:00:00")


def test_an_instant_is_another_day_elsewhere() -> None:
    evening = at("2026-01-31 23:30", "America/New_York")
    assert dates_at(evening, ZoneInfo("America/New_York")).month == "2026-01"
    assert dates_at(evening, ZoneInfo("Europe/Berlin")).month == "2026-02"
    assert utc_day(evening) == "2026-02-01"


@given(st.sampled_from(ZONES), st.floats(at("2000-01-01 00:00"), at("2037-01-01 00:00")))
def test_pages_hold_their_instants_and_follow_each_other(zone: str, wall: float) -> None:
    place = ZoneInfo(zone)
    dates = dates_at(wall, place)
    assert dates.month_began <= dates.day_began <= wall < dates.day_ends <= dates.month_ends
    following = dates_at(dates.day_ends, place)
    assert following.day > dates.day
    assert following.day_began == dates.day_ends
    assert dates_at(dates.day_ends - 0.5, place).day == dates.day
    assert dates_at(dates.month_ends, place).month > dates.month
