"""Which price holds, and what becomes of a list or a book that is none."""

import json
from typing import cast

import msgspec
import pytest
from structlog.testing import capture_logs

from exo_supervisor.app.price_book import PriceBook, list_of, needs_book, own_prices
from exo_supervisor.config.read import read
from exo_supervisor.config.schema import Config
from exo_supervisor.config.shipped_prices import read_book
from exo_supervisor.core.books.book import Book, Dated, Match, Priced, Prices, Seller
from exo_supervisor.core.books.price import Price
from exo_supervisor.core.names import ModelId

DAY = "2026-06-01"
TEXT = (
    '[[provider]]\nname = "or"\npreset = "openrouter"\n'
    '[[price]]\nprovider = "or"\nmodel = "mine"\ninput = 1\noutput = 2\n'
)
LISTED = Price(input=7, output=7)


def a_config(reference: str = "") -> Config:
    text = '[[provider]]\nname = "c"\nbase_url = "https://api.anthropic.com"\n'
    text += f'[ledger]\nreference = "{reference}"\n'
    return read(text, file="f.toml", environ={}).config


def prices_of(text: str = TEXT) -> tuple[Prices, object]:
    config = read(text, file="f.toml", environ={}).config
    prices = own_prices(config)
    return prices, list_of(prices, config.providers[0], config.budget.currency)


def test_a_providers_own_list_goes_over_the_book_and_the_users_rows_over_both() -> None:
    prices, take = prices_of()
    assert callable(take)
    row = Priced((Match("contains", "m"),), (Dated(Price(input=9, output=9)),))
    prices.update(Book("", "", {"x": Seller("https://openrouter", (row,))}))
    assert prices.of("or", "some", DAY) == Price(input=9, output=9)
    with capture_logs() as lines:
        for _ in range(2):
            take({ModelId("Some"): LISTED, ModelId("mine"): LISTED, ModelId("m/auto"): None})
    assert prices.of("or", "some", DAY) == LISTED
    assert prices.of("or", "mine", DAY) == Price(input=1_000_000, output=2_000_000)
    assert prices.of("or", "m/auto", DAY) is None, "what varies has no price, not the book's"
    assert prices.of("or", "more", DAY) == Price(input=9, output=9)
    assert prices.of("x", "more", DAY) == Price(input=9, output=9), "a seller by the book's name"
    told = {"event": "prices_listed", "log_level": "info", "provider": "or"}
    assert lines == [told | {"known": 2, "unknown": 1}]


def test_without_dollars_nothing_is_exchanged() -> None:
    text = f'[budget]\ncurrency = "EUR"\n{TEXT}'
    assert prices_of(text)[1] is None
    assert not needs_book(read(text, file="f.toml", environ={}).config)
    assert needs_book(read(TEXT, file="f.toml", environ={}).config)


def test_the_list_of_another_says_nothing_of_what_is_charged() -> None:
    assert prices_of(TEXT.replace('preset = "openrouter"', 'base_url = "https://h"'))[1] is None


@pytest.mark.parametrize("price", [-1, "1", 1.5, None, 10**19])
def test_a_book_with_what_is_no_price_is_refused(price: object) -> None:
    text = (
        '{"source":"","date":"","sellers":{"x":{"url":"","models":[{"match":[],"prices":[%s]}]}}}'
    )
    row = f'{{"price":{{"input":{json.dumps(price)},"output":1}}}}'
    with pytest.raises(msgspec.ValidationError):
        read_book((text % row).encode())


@pytest.mark.parametrize("content", [b"", b'{"source":', b"[]", b"\xff"])
async def test_a_torn_book_is_told_of_and_knows_no_price(content: bytes) -> None:
    prices = Prices({"c": "https://c"}, {})
    with capture_logs() as lines:
        await PriceBook(prices, a_config(), lambda: content).run()
    assert [(each["event"], each["log_level"]) for each in lines] == [
        ("price_book_refused", "warning")
    ]
    assert prices.of("c", "m", DAY) is None


async def test_a_book_that_is_gone_is_told_of() -> None:
    def gone() -> bytes:
        raise FileNotFoundError(2, "gone")

    with capture_logs() as lines:
        await PriceBook(Prices({}, {}), a_config(), gone).run()
    assert "gone" in cast("str", lines[0]["why"])


@pytest.mark.parametrize(
    ("provider", "reference", "model"),
    [("c", "", "claude-3-opus"), ("openai", "openai/gpt-4o", "gpt-4o")],
)
async def test_of_the_shipped_book_is_kept_what_a_house_can_ask_for(
    provider: str, reference: str, model: str
) -> None:
    config = a_config(reference)
    prices = own_prices(config)
    await PriceBook(prices, config).run()
    assert prices.of(provider, model, DAY)
    assert prices.of("groq", "llama-3.3-70b-versatile", DAY) is None
