"""The shipped price book, beside the package that its figures come from."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast

import msgspec
import pytest
from genai_prices import Usage, calc_price
from genai_prices.data import providers

from exo_supervisor.core.books.book import Book, Prices
from exo_supervisor.core.books.price import Tokens
from tests.price_book import FILE, SELLERS

PICO = 10**12
BOOK = msgspec.json.decode(FILE.read_bytes(), type=Book)
URLS = {
    "anthropic": "https://api.anthropic.com",
    "deepseek": "https://api.deepseek.com",
    "groq": "https://api.groq.com/openai/v1",
    "mistral": "https://api.mistral.ai/v1",
    "openai": "https://api.openai.com/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "x-ai": "https://api.x.ai/v1",
}
HOURS = [time(hour, 45, tzinfo=UTC) for hour in range(24)]


def test_the_book_says_where_it_comes_from() -> None:
    assert BOOK.source.startswith("genai-prices ")
    assert "MIT" in BOOK.source
    assert "2026-11-01" <= BOOK.date <= datetime.now(UTC).date().isoformat()
    assert set(SELLERS) == set(BOOK.sellers)
    assert sum(len(seller.models) for seller in BOOK.sellers.values()) > 1000


@pytest.mark.parametrize("seller", sorted(URLS))
@pytest.mark.parametrize("prompt", [1000, 600_000])
def test_our_sums_are_the_package_s_of_the_dearest_hour(seller: str, prompt: int) -> None:
    """Of models spread over the list, and of all whose price depends on the hour."""
    prices = Prices(URLS, {}, BOOK)
    (provider,) = [each for each in providers if each.id == seller]
    usage = Usage(
        input_tokens=prompt, output_tokens=500, cache_read_tokens=200, cache_write_tokens=100
    )
    spread = len(provider.models) // 40 or 1
    compared = 0
    for place, model in enumerate(provider.models):
        hourly = "TimeOfDateConstraint" in kinds(model.prices)
        if (place % spread and not hourly) or provider.find_model(model.id) is not model:
            continue
        for day in days(model.prices):
            ours = prices.of(seller, model.id, day.isoformat())
            if ours is None:
                continue
            moments = [datetime.combine(day, hour) for hour in HOURS[:: 1 if hourly else 23]]
            theirs = max(
                calc_price(
                    usage, model.id, provider_id=seller, genai_request_timestamp=each
                ).total_price
                for each in moments
            )
            cost = ours.cost(Tokens(prompt, 500, 200, 100)) / PICO
            assert cost == pytest.approx(float(theirs), rel=1e-6), (model.id, day)
            compared += 1
    assert compared > 5


def kinds(prices: object) -> set[str]:
    """Return the kinds of what a price of the package depends on."""
    return {type(each.constraint).__name__ for each in rows(prices)}


def days(prices: object) -> Iterator[date]:
    """Yield a day before and one after each change of a price, and the book's own."""
    yield date.fromisoformat(BOOK.date)
    for each in rows(prices):
        start = getattr(each.constraint, "start_date", None)
        if isinstance(start, date):
            yield from (start, start - timedelta(days=1))


def rows(prices: object) -> list[Any]:
    return cast("list[Any]", prices) if isinstance(prices, list) else []
