"""The energy of an attempt at Exo is priced by the hour of the house's own clock."""

from datetime import UTC, datetime

from exo_supervisor.app.energy import energy_of
from exo_supervisor.config.read import read
from exo_supervisor.core.fleet.registry import Registry

TEXT = """
[budget]
time_zone = "Europe/Berlin"
[power]
watts = 100
idle_watts = 28
tariff = [{ from = "06:00", price = 0.34 }, { from = "22:00", price = 0.22 }]
"""


def test_an_attempt_over_the_hour_s_end_costs_a_part_of_either() -> None:
    """72 W for 100 s are 0.002 kWh, half of them at 0.34 and half at 0.22."""
    ten = datetime(2026, 6, 1, 20, tzinfo=UTC).timestamp()  # 22:00 in Berlin
    now = [ten - 50.0]
    config = read(TEXT, file="f.toml", environ={}).config
    begin = energy_of(config, Registry(), lambda: now[0], lambda: now[0])
    assert begin
    end = begin("n:1")
    now[0] = ten + 50.0
    assert end() == 560_000_000


def test_without_a_tariff_nothing_is_metered() -> None:
    config = read("[power]\nwatts = 60\n", file="f.toml", environ={}).config
    assert energy_of(config, Registry()) is None
