"""The shipped price book, beside the package that its figures come from."""

from datetime import UTC, datetime
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
NOW = datetime.now(UTC)


def test_the_book_says_where_it_comes_from() -> None:
    assert BOOK.source.startswith("genai-prices ")
    assert "MIT" in BOOK.source
    assert "2026-11-01" <= BOOK.date <= NOW.date().isoformat()
    assert set(SELLERS) == set(BOOK.sellers)
    assert sum(len(seller.models) for seller in BOOK.sellers.values()) > 1000


@pytest.mark.parametrize("seller", sorted(URLS))
@pytest.mark.parametrize("prompt", [1000, 600_000])
def test_our_sums_are_the_package_s(seller: str, prompt: int) -> None:
    """Of models spread over the list; of a price that depends on the hour ours is no less."""
    prices = Prices(URLS, {}, BOOK)
    (provider,) = [each for each in providers if each.id == seller]
    compared = 0
    for model in provider.models[:: len(provider.models) // 40 or 1]:
        ours = prices.of(seller, model.id, NOW.date().isoformat())
        if ours is None or provider.find_model(model.id) is not model:
            continue
        usage = Usage(
            input_tokens=prompt, output_tokens=500, cache_read_tokens=200, cache_write_tokens=100
        )
        theirs = calc_price(usage, model.id, provider_id=seller, genai_request_timestamp=NOW)
        cost = ours.cost(Tokens(prompt, 500, 200, 100)) / PICO
        if hours(model.prices):
            assert cost >= float(theirs.total_price), model.id
        else:
            assert cost == pytest.approx(float(theirs.total_price), rel=1e-6), model.id
        compared += 1
    assert compared > 5


def hours(prices: object) -> list[str]:
    """Return the constraints of a price that are of the hour."""
    rows = cast("list[Any]", prices) if isinstance(prices, list) else []
    kinds = [type(each.constraint).__name__ for each in rows]
    return [kind for kind in kinds if kind == "TimeOfDateConstraint"]
