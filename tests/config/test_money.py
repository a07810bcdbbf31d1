"""What is said of money is read by its digits, and what is wrong with it is told at its place."""

from datetime import date

import pytest

from exo_supervisor.app.price_book import own_prices, reference_of
from exo_supervisor.config.fault import ConfigError
from exo_supervisor.config.read import read
from exo_supervisor.config.render import render
from exo_supervisor.config.schema import Config
from exo_supervisor.core.books.price import Price

PROVIDER = '[[provider]]\nname = "p"\nbase_url = "https://h/v1"\n'
ROW = '[[price]]\nprovider = "p"\nmodel = "Big"\n'
ASKS = "input = 0.1\noutput = 0.25\n"
TODAY = date(2026, 6, 1)


def faults_of(text: str) -> list[tuple[int | None, int | None, str]]:
    with pytest.raises(ConfigError) as caught:
        read(PROVIDER + text, file="f.toml", environ={}, today=TODAY)
    return [(each.line, each.column, each.message) for each in caught.value.faults]


def test_a_row_is_a_price_of_pico_units_a_token() -> None:
    rows = (
        f"{ROW}{ASKS}"
        f"{ROW}from = 2026-03-01\ninput = 3\noutput = 1.000001\ncached = 0.075\ncache_write = 0.2\n"
        "cache_write_1h = 0.4\nreasoning = 7\nrequest = 0.005\n"
        '[[price]]\nprovider = "p"\nmodel = "*"\ninput = 9\noutput = 9\n'
    )
    settings = read(PROVIDER + rows, file="f.toml", environ={}, today=TODAY)
    prices = own_prices(settings.config)
    assert prices.of("p", "big", "2026-02-28") == Price(input=100_000, output=250_000)
    assert prices.of("p", "BIG", "2026-03-01") == Price(
        input=3_000_000, output=1_000_001, cached=75_000, cache_write=200_000,
        cache_write_1h=400_000, reasoning=7_000_000, request=5_000_000_000,
    )  # fmt: skip
    assert prices.of("p", "other", "2026-02-28") == Price(input=9_000_000, output=9_000_000)
    assert prices.of("q", "big", "2026-02-28") is None
    again = read(render(settings), file="again", environ={}, today=TODAY)
    assert again.config == settings.config


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("input = -0.5\noutput = 1\n", "price.input wants an amount of money from 0 to 1000000"),
        ('input = "1"\noutput = 1\n', "price.input wants an amount of money from 0 to 1000000"),
        ("input = nan\noutput = 1\n", "price.input wants an amount of money from 0 to 1000000"),
        ("input = inf\noutput = 1\n", "price.input wants an amount of money from 0 to 1000000"),
        ("input = 1e7\noutput = 1\n", "price.input wants an amount of money from 0 to 1000000"),
        ("input = true\noutput = 1\n", "price.input wants an amount of money from 0 to 1000000"),
        ("input = 1e-7\noutput = 1\n", "price.input has more than 6 decimals, got 1e-07"),
        ("input = 1e-400\noutput = 1\n", "price.input is too small to count"),
        ("input = 1.0000001\noutput = 1\n", "price.input has more than 6 decimals, got 1.0000001"),
        ('input = 1\noutput = 1\nfrom = "2026-01-01"\n', "price.from wants a day without quotes"),
        ("input = 1\noutput = 1\nfrom = 2026-01-01T00:00:00\n", "price.from wants a day"),
        ("input = 1\noutput = 1\nfrom = 2026-06-02\n", 'the price of "Big" at p has a gap'),
        ("input = 1\n", "[[price]] has no `output`, which every one needs"),
        ("input = 1\noutput = 1\ncashed = 1\n", "unknown key `cashed` in [[price]]"),
    ],
)
def test_a_price_that_is_none_is_told_at_its_place(row: str, message: str) -> None:
    ((line, column, told),) = faults_of(ROW + row)
    assert told.startswith(message)
    assert line
    assert line >= 4
    assert column


def test_all_that_is_wrong_is_told_in_one_pass() -> None:
    text = (
        '[[price]]\nprovider = "x"\nmodel = "m"\ninput = -1\noutput = 1\n'
        f"{ROW}{ASKS}{ROW}{ASKS}"
        '[[price]]\ninput = 1\noutput = 1\nmodel = "m"\n'
    )
    assert [(line, message[:45]) for line, _, message in faults_of(text)] == [
        (5, 'price.provider names no [[provider]], got "x"'),
        (7, "price.input wants an amount of money from 0 t"),
        (14, 'the price of "Big" at p is given twice for th'),
        (19, "[[price]] has no `provider`, which every one "),
    ]


def test_a_row_that_will_begin_leaves_no_gap_where_another_has() -> None:
    text = f"{PROVIDER}{ROW}{ASKS}{ROW}from = 2027-01-01\n{ASKS}"
    assert len(read(text, file="f.toml", environ={}, today=TODAY).config.prices) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[power]\nwatts = -1", "power.watts wants watts, 0 or more, got -1"),
        ("[power]\nwatts = 60\nidle_watts = 61", "power.idle_watts wants at most power.watts (60"),
        ("[power]\nidle_watts = 61\nwatts = 60", "power.idle_watts wants at most power.watts (60"),
        ("[power]\nwatts = 1e-400", "power.watts is too small to count"),
        ("[power]\ntariff = 0.3", "power.tariff wants a list of at most 96 steps, got 0.3"),
        ('[power]\ntariff = [{ from = "24:00", price = 1 }]', "power.tariff[0] wants a time"),
        ('[power]\ntariff = [{ from = "00:00" }]', "power.tariff[0] wants a time"),
        ('[power]\ntariff = [{ from = "00:00", price = -1 }]', "power.tariff[0] wants a time"),
        ('[power]\ntariff = [{ from = "00:00", price = 1, x = 1 }]', "power.tariff[0] wants a"),
        (
            '[power]\ntariff = [{ from = "00:00", price = 1e-400 }]',
            "power.tariff[0].price is too small to count",
        ),
        ("[power]\ntariff = [1]", "power.tariff[0] wants a time"),
        (
            '[power]\ntariff = [{ from = "01:00", price = 1 }, { from = "01:00", price = 2 }]',
            'power.tariff[1].from "01:00" is given twice',
        ),
    ],
)
def test_what_else_is_said_of_money_is_checked(text: str, message: str) -> None:
    ((_, _, told),) = faults_of(text)
    assert told.startswith(message)


def test_what_a_machine_draws_anyway_may_stand_alone() -> None:
    """Nodes that read their own are told of it, too."""
    read("[power]\nidle_watts = 20\n", file="f.toml", environ={})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('[[price]]\nprovider = "p"\nmodel = "gpt-*"\n' + ASKS, "price.model holds a `*`"),
        ('[[price]]\nprovider = "p"\nmodel = "**"\n' + ASKS, "price.model holds a `*`"),
        ('[[provider]]\nname = "q"\nbase_url = "https://q/v1"\nmodels = ["gpt-*"]\n',
         "provider.models[0] holds a `*`"),
        ('[[provider]]\nname = "q"\nbase_url = "https://q/v1"\nmodels = ["*"]\n',
         "provider.models[0] holds a `*`"),
    ],
)  # fmt: skip
def test_a_pattern_is_refused_where_none_would_ever_match(row: str, message: str) -> None:
    ((line, column, told),) = faults_of(row)
    assert told.startswith(message)
    assert line
    assert column


def test_a_tariff_is_kept_in_the_order_of_the_day() -> None:
    text = '[power]\ntariff = [{ from = "22:00", price = 1 }, { from = "06:00", price = 0.3 }]\n'
    tariff = read(text, file="f.toml", environ={}).config.power.tariff
    assert tariff == [{"from": "06:00", "price": 0.3}, {"from": "22:00", "price": 1.0}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('reference = "gpt-4o"', "ledger.reference names no PROVIDER/MODEL whose price is known"),
        ('reference = "openai/nobody-has-it"', "ledger.reference names no PROVIDER/MODEL"),
        ('reference = "nobody/gpt-4o"', "ledger.reference names no PROVIDER/MODEL"),
        ('reference = "openai/gpt-4o"\n[budget]\ncurrency = "EUR"', "ledger.reference names no"),
        ("reference = 3", "ledger.reference wants a string"),
    ],
)
def test_a_reference_whose_price_nobody_knows_is_refused(text: str, message: str) -> None:
    ((line, _, told),) = faults_of(f"[ledger]\n{text}\n")
    assert line == 5
    assert told.startswith(message)


@pytest.mark.parametrize("named", ["openai/gpt-4o", "p/big", "o/gpt-4o"])
def test_a_reference_is_a_model_of_a_row_of_a_provider_or_of_the_book(named: str) -> None:
    other = '[[provider]]\nname = "o"\nbase_url = "https://api.openai.com/v1"\n'
    text = f'{PROVIDER}{other}{ROW}{ASKS}[ledger]\nreference = "{named}"\n'
    config = read(text, file="f.toml", environ={}, today=TODAY).config
    assert reference_of(config) == tuple(named.split("/"))
    assert reference_of(Config()) is None
