"""`python -m tests.price_book`: writes the shipped price book anew, from what genai-prices knows.

Pydantic's package (MIT) gathers what providers publish. Only what a text costs is taken; where a
price depends on the hour, the dearest hour's is.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import msgspec
from genai_prices.types import ConditionalPrice, TimeOfDateConstraint
from msgspec import structs

from exo_supervisor.core.books.book import Book, Dated, Match, Priced, Seller
from exo_supervisor.core.books.price import Price

FILE = Path(__file__).parent.parent / "exo_supervisor" / "config" / "price_book.json"
SELLERS = (
    "anthropic", "azure", "deepseek", "fireworks", "google", "groq", "mistral", "openai",
    "openrouter", "perplexity", "together", "x-ai",
)  # fmt: skip
PER_MILLION = 10**6
"""Pico-units a token in one unit a million tokens."""
CLASSES = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "reasoning": "output_reasoning_mtok",
}


def pico_of(amount: Decimal) -> int:
    """Return pico-units a token; what is finer is rounded up."""
    return int((amount * PER_MILLION).to_integral_value("ROUND_CEILING"))


def price_of(prices: Any) -> Price | None:  # noqa: ANN401 -- the library's own kinds, dynamic ones
    """Turn the library's price into ours; None: it tells no price of text."""
    told = {ours: getattr(prices, theirs, None) for ours, theirs in CLASSES.items()}
    if told["input"] is None:
        return None
    told["output"] = told["output"] or Decimal(0)  # of what only embeds
    known = {name: each for name, each in told.items() if each is not None}
    starts = sorted({tier.start for each in known.values() for tier in getattr(each, "tiers", ())})
    tiers = tuple(structs.replace(priced(known, start), above=start) for start in starts)
    return structs.replace(priced(known, 0), tiers=tiers)


def priced(known: dict[str, Any], start: int) -> Price:
    """Return what each class costs from so many tokens on."""
    return msgspec.convert({name: pico_of(at(each, start)) for name, each in known.items()}, Price)


def at(price: Any, start: int) -> Decimal:  # noqa: ANN401 -- as above
    """Return what is asked from so many tokens on."""
    reached = [tier.price for tier in getattr(price, "tiers", ()) if tier.start <= start]
    base = getattr(price, "base", price)
    return reached[-1] if reached and start else base


def dated(model: Any) -> Iterator[Dated]:  # noqa: ANN401 -- as above
    """Yield a model's prices with the days they begin on, each that of its dearest hour."""
    told = model.prices
    rows = cast("list[Any]", told) if isinstance(told, list) else [ConditionalPrice(prices=told)]
    for day in sorted({start_of(row) for row in rows}):
        known = [price for row in holding(rows, day) if (price := price_of(row.prices))]
        if known:
            yield Dated(max(known, key=lambda price: price.most(1, 1)), day)


def start_of(row: Any) -> str:  # noqa: ANN401 -- as above
    """Return the day a price begins on; "": it holds always, or at its hours of any day."""
    return str(getattr(row.constraint, "start_date", ""))


def holding(rows: list[Any], day: str) -> Iterator[Any]:
    """Yield what holds at some hour of a day: the last that fits goes before those above it."""
    for row in reversed(rows):
        if start_of(row) <= day:
            yield row
            if not isinstance(row.constraint, TimeOfDateConstraint):
                return


def matches(clause: Any) -> Iterator[Match]:  # noqa: ANN401 -- as above
    """Yield the rules any of which tells a model."""
    kind = type(clause).__name__
    if kind == "ClauseOr":
        for each in clause.or_:
            yield from matches(each)
    elif kind == "ClauseAnd":
        first, *others = [next(matches(each)) for each in clause.and_]
        yield Match(first.rule, first.text, tuple(others))
    else:
        rule = {
            "ClauseEquals": "equals",
            "ClauseStartsWith": "starts_with",
            "ClauseEndsWith": "ends_with",
            "ClauseContains": "contains",
            "ClauseRegex": "regex",
        }[kind]
        text = str(getattr(clause, rule))
        yield msgspec.convert([rule, text if rule == "regex" else text.lower(), []], Match)


def book() -> Book:
    """Make the book of today."""
    from genai_prices.data import providers  # noqa: PLC0415 -- half a second, and only here

    sellers: dict[str, Seller] = {}
    for provider in providers:
        if provider.id in SELLERS:
            models = [
                Priced(tuple(matches(model.match)), tuple(dated(model)))
                for model in provider.models
            ]
            known = tuple(model for model in models if model.prices)
            sellers[provider.id] = Seller(provider.api_pattern, known)
    source = (
        f"genai-prices {version('genai-prices')}, MIT, https://github.com/pydantic/genai-prices"
    )
    return Book(source, datetime.now(UTC).date().isoformat(), sellers)


if __name__ == "__main__":
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(book()), indent=0) + b"\n")
