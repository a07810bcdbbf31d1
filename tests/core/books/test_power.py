"""What energy costs, against sums by hand: by the hour, and shared among who is at work."""

from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.books.power import MICRO, Mark, Meters, Tariff

DAY, NIGHT = 300_000_000_000, 100_000_000_000
"""0.30 from 06:00 and 0.10 from 22:00 for a kWh."""
STEPS = ((6 * 3600, DAY), (22 * 3600, NIGHT))


def tariff(*steps: tuple[int, int], zone: str = "UTC") -> Tariff:
    def second_of(instant: int) -> int:
        there = datetime.fromtimestamp(instant, ZoneInfo(zone))
        return there.hour * 3600 + there.minute * 60 + there.second

    return Tariff(steps, second_of)


FLAT = tariff((0, DAY))


def at(month: int, day: int, hour: int, minute: int = 0, zone: str = "UTC") -> int:
    return int(datetime(2026, month, day, hour, minute, tzinfo=ZoneInfo(zone)).timestamp())


def test_the_price_is_that_of_each_hour() -> None:
    prices = tariff(*STEPS)
    begin = at(6, 1, 21, 50) * MICRO
    assert prices.worth(begin, begin + 1200 * MICRO) == (DAY + NIGHT) * 600 * MICRO
    assert prices.worth(begin, begin) == 0


def test_the_last_step_of_a_day_goes_on_to_the_first_of_the_next() -> None:
    prices = tariff(*STEPS)
    begin = at(6, 1, 22) * MICRO
    day = 24 * 3600 * MICRO
    assert prices.worth(begin, begin + day) == (NIGHT * 8 + DAY * 16) * 3600 * MICRO


def test_the_hour_is_that_of_the_zone_also_when_its_clock_is_changed() -> None:
    """On 2026-10-25 Berlin has the hour from 2 to 3 twice: its night has 9 hours."""
    prices = tariff(*STEPS, zone="Europe/Berlin")
    begin = at(10, 24, 22, zone="Europe/Berlin") * MICRO
    assert prices.worth(begin, begin + 10 * 3600 * MICRO) == (NIGHT * 9 + DAY) * 3600 * MICRO


def test_one_attempt_costs_what_was_drawn() -> None:
    meters = Meters(FLAT)
    mark = meters.begin("c", 10.0, 1000.0, None)
    assert meters.end("c", mark, 3610.0, 4600.0, 60_000) == 18_000_000_000, "60 Wh at 0.30"
    assert len(meters) == 0


def test_those_of_one_time_share() -> None:
    """Alone for 10 s, together for 10 s, the other alone for 10 s: 15 s each, of 36 W."""
    meters = Meters(FLAT)
    first = meters.begin("c", 0.0, 0.0, 36_000)
    other = meters.begin("c", 10.0, 10.0, 36_000)
    assert meters.end("c", first, 20.0, 20.0, 36_000) == 45_000_000
    assert meters.end("c", other, 30.0, 30.0, 36_000) == 45_000_000


def test_what_nobody_knows_in_part_is_not_known() -> None:
    meters = Meters(FLAT)
    first = meters.begin("c", 0.0, 0.0, 1)
    other = meters.begin("c", 1.0, 1.0, None)
    assert meters.end("c", first, 2.0, 2.0, 36_000) is None
    assert meters.end("c", other, 3.0, 3.0, 36_000) == 4_500_000, "its own part is known"


def test_a_wall_clock_that_jumps_adds_no_hour() -> None:
    meters = Meters(FLAT)
    mark = meters.begin("c", 0.0, 0.0, None)
    assert meters.end("c", mark, 10.0, 90_000.0, 36_000) == 30_000_000


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(1, 50), st.sampled_from("ab")),
        min_size=1,
        max_size=12,
    )
)
def test_the_shares_are_all_that_was_drawn_while_any_was_at_work(
    attempts: list[tuple[int, int, str]],
) -> None:
    meters, marks, costs = Meters(FLAT), dict[int, Mark](), 0
    moments = sorted(
        [(begin, 1, n) for n, (begin, _, _) in enumerate(attempts)]
        + [(begin + length, 0, n) for n, (begin, length, _) in enumerate(attempts)]
    )
    for now, begins, n in moments:
        cluster = attempts[n][2]
        if begins:
            marks[n] = meters.begin(cluster, float(now), float(now), 3_600)
        else:
            cost = meters.end(cluster, marks[n], float(now), float(now), 3_600)
            costs += cost or 0
    busy = sum(
        any(begin <= second < begin + length and which == cluster
            for begin, length, which in attempts)
        for cluster in "ab"
        for second in range(100)
    )  # fmt: skip
    assert busy * 300_000 - len(attempts) <= costs <= busy * 300_000
    assert len(meters) == 0
