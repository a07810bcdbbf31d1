"""What money may be spent stands in the file, to the last digit, and what is no money is told."""

import zoneinfo

import pytest

from exo_supervisor.app.policy import policy_of
from exo_supervisor.config.fault import ConfigError
from exo_supervisor.config.read import read
from exo_supervisor.config.render import render
from exo_supervisor.core.policy import BudgetRules, Limits

PICO = 10**12


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        read(text, file="f.toml", environ={})
    return [f"{each.line}: {each.message}; {each.hint}" for each in raised.value.faults]


def test_amounts_are_what_their_digits_say() -> None:
    text = """
[budget]
currency = "EUR"
day = 0.1
month = 30
session = 0.000001
session_requests = 200
time_zone = "Europe/Berlin"
unknown_price = "allow"
[[provider]]
name = "p"
base_url = "https://p.example/v1"
budget = { month = 1e-05 }
[[client]]
name = "kids"
budget = { day = 0.3, session = 2 }
"""
    settings = read(text, file="f.toml", environ={"EXO_SUPERVISOR_BUDGET__MONTH": "31.7"})
    assert read(render(settings), file="f.toml", environ={}).config == settings.config
    policy = policy_of(settings.config, {})
    assert policy.budgets == BudgetRules(
        Limits(PICO // 10, 31_700_000_000_000, 1_000_000), 200, denies_unknown=False, currency="EUR"
    )
    assert policy.clouds[0].budget == Limits(month=10_000_000)
    assert policy.clients[0].budget == Limits(300_000_000_000, 0, 2 * PICO)


def test_there_is_no_budget_unless_one_is_set() -> None:
    policy = policy_of(read(None, file="", environ={}).config, {})
    assert policy.budgets == BudgetRules()


def test_the_least_limit_is_no_freedom() -> None:
    settings = read("[budget]\nday = 1e-12\n", file="f.toml", environ={})
    assert policy_of(settings.config, {}).budgets.house.day == 1
    nothing = read("[budget]\nday = 0e-400\n", file="f.toml", environ={})
    assert policy_of(nothing.config, {}).budgets.house.day == 0


def test_a_variable_too_small_to_count_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        read(None, file="", environ={"EXO_SUPERVISOR_BUDGET__DAY": "1e-400"})
    assert [each.message for each in caught.value.faults] == ["budget.day is too small to count"]


WRONG = [
    ("day = -1", "budget.day wants an amount of money from 0 to 1000000000, got -1"),
    ("day = nan", "budget.day wants an amount of money"),
    ("day = inf", "budget.day wants an amount of money"),
    ("day = 1e10", "budget.day wants an amount of money from 0 to 1000000000"),
    ("day = 1e-400", "budget.day is too small to count; the least is 0.000000000001"),
    ("month = 1e-30", "budget.month is too small to count; the least is 0.000000000001"),
    ("session = -1e-400", "budget.session wants an amount of money"),
    ('day = "5"', "budget.day wants an amount of money"),
    ("day = true", "budget.day wants an amount of money"),
    ("session_requests = 1.5", "budget.session_requests wants a number of requests"),
    ("session_requests = -1", "budget.session_requests wants a number of requests"),
    ('currency = "usd"', "budget.currency wants a currency's three letters"),
    ('unknown_price = "ask"', "budget.unknown_price wants one of"),
    ('time_zone = "Europe/Berlln"', "got 'Europe/Berlln'; similar: \"Europe/Berlin\""),
    ('time_zone = "Xyzzy"', "budget.time_zone names no time zone, got 'Xyzzy'; for example"),
    ('time_zone = "America"', "budget.time_zone names no time zone"),
    ('time_zone = "../../etc/passwd"', "budget.time_zone names no time zone"),
    ('time_zone = ""', "budget.time_zone names no time zone"),
    ("week = 5", "unknown key `week` in [budget]"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "told"), WRONG)
def test_each_fault_is_told(line: str, told: str) -> None:
    [fault] = faults(f"[budget]\n{line}\n")
    assert told in fault
    assert fault.startswith("2: ")


OF_ROWS = [
    ("client", "budget = 5", "client.budget wants a table of amounts by day and month and session"),
    ("client", "budget = { week = 5 }", "client.budget has no `week`"),
    ("client", "budget = { day = -0.5 }", "client.budget.day wants an amount from 0 to"),
    ("client", "budget = { day = nan }", "client.budget.day wants an amount from 0 to"),
    ("client", "budget = { day = 1e-400 }", "client.budget.day is too small to count; the least"),
    ("client", 'budget = { day = "1" }', "client.budget.day wants an amount from 0 to"),
    ("client", "budget = { day = true }", "client.budget.day wants an amount from 0 to"),
    ("provider", "budget = { session = 1 }", "provider.budget has no `session`"),
    ("provider", "budget = { days = 1 }", "provider.budget has no `days`; similar key: `day`"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "line", "told"), OF_ROWS)
def test_each_fault_of_a_row_is_told(table: str, line: str, told: str) -> None:
    url = 'base_url = "https://p.example/v1"\n' if table == "provider" else ""
    [fault] = faults(f'[[{table}]]\nname = "x"\n{url}{line}\n')
    assert told in fault


def test_nobody_is_paid_for_what_serves_in_the_house() -> None:
    row = '[[provider]]\nname = "x"\nbase_url = "http://127.0.0.1:1/v1"\nlocal = true\n'
    [fault] = faults(row + "budget = { day = 1 }\n")
    assert "provider.local is of the house, which nobody pays" in fault
    read(row + "budget = { day = 0 }\n", file="f.toml", environ={})


def test_a_machine_without_zones_knows_utc_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a slim system: no folder of zones, and no package that brings them."""
    monkeypatch.setitem(__import__("sys").modules, "tzdata", None)
    was = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=())
    zoneinfo.ZoneInfo.clear_cache()
    try:
        read('[budget]\ntime_zone = "UTC"\n', file="f.toml", environ={})
        [fault] = faults('[budget]\ntime_zone = "Europe/Berlin"\n')
    finally:
        zoneinfo.reset_tzpath(to=was)
    assert "this machine has no time zones but UTC; install the package tzdata" in fault
