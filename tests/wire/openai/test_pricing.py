"""What a list of models says that they cost is read by its digits, and never taken for nothing."""

import pytest
from msgspec import UNSET

from exo_supervisor.core.books.price import Price
from exo_supervisor.wire.openai.pricing import price_of

FULL = {
    "prompt": "0.000003", "completion": "0.000015", "request": "0.005", "image": "0.0048",
    "input_cache_read": "0.0000003", "input_cache_write": "0.00000375",
    "internal_reasoning": "0.00002", "web_search": "0.01",
}  # fmt: skip


def test_each_class_has_its_price() -> None:
    assert price_of({"pricing": FULL}) == Price(
        input=3_000_000, output=15_000_000, cached=300_000, cache_write=3_750_000,
        reasoning=20_000_000, request=5_000_000_000,
    )  # fmt: skip


def test_a_part_for_nothing_costs_what_the_whole_does() -> None:
    told = FULL | {"input_cache_read": "0", "internal_reasoning": "0", "input_cache_write": None}
    price = price_of({"pricing": told})
    assert isinstance(price, Price)
    assert (price.cached, price.reasoning, price.cache_write) == (None, None, None)


def test_what_is_free_costs_nothing() -> None:
    free = price_of({"pricing": dict.fromkeys(FULL, "0")})
    assert isinstance(free, Price)
    assert free.most(1_000, 1_000) == 0


@pytest.mark.parametrize("bad", ["-1", "-0.5", "NaN", "inf", "free", "", "1e10", 0.1])
@pytest.mark.parametrize("name", ["request", "input_cache_read"])
def test_what_is_no_price_makes_none(name: str, bad: object) -> None:
    assert price_of({"pricing": FULL | {name: bad}}) is None
    if isinstance(bad, str):
        assert price_of({"pricing": FULL | {"prompt": bad}}) is None


@pytest.mark.parametrize(
    "card",
    [
        {},
        {"pricing": None},
        {"pricing": "free"},
        {"pricing": {"prompt": "0.1"}},
        {"pricing": {"prompt": 0.18, "completion": 0.18}},
    ],
)
def test_another_form_tells_none(card: dict[str, object]) -> None:
    assert price_of(card) is UNSET
