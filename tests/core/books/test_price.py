"""What a request costs: exact, by classes of tokens, and never more than what was reckoned with."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.books.price import MOST, Price, Tokens

PICO = 10**12
PLAIN = Price(input=3_000_000, output=15_000_000)
FULL = Price(
    input=3_000_000, output=15_000_000, cached=300_000, cache_write=3_750_000,
    cache_write_1h=6_000_000, reasoning=20_000_000, request=PICO // 1000,
    tiers=(
        Price(input=6_000_000, output=22_500_000, above=200_000),
        Price(input=9_000_000, output=30_000_000, above=500_000),
    ),
)  # fmt: skip
COUNTS = st.integers(0, 10**9)


@pytest.mark.parametrize(
    ("price", "tokens", "dollars"),
    [
        (PLAIN, Tokens(1_000_000, 0), 3.0),
        (PLAIN, Tokens(0, 1_000_000), 15.0),
        (PLAIN, Tokens(1_000_000, 0, cached=500_000, cache_write=100_000), 3.0),
        (FULL, Tokens(0, 0), 0.001),
        (FULL, Tokens(100_000, 0, cached=100_000), 0.03 + 0.001),
        (FULL, Tokens(100_000, 0, cache_write=100_000, cache_write_1h=50_000), 0.4885),
        (FULL, Tokens(0, 1000, reasoning=1000), 0.02 + 0.001),
        (FULL, Tokens(200_000, 0), 0.601),
        (FULL, Tokens(200_001, 0), 1.200006),
        (FULL, Tokens(1_000_000, 0), 9.0),
        (FULL, Tokens(10, 0, cached=90), 0.001003),
    ],
)
def test_an_attempt_costs_what_a_person_reckons(
    price: Price, tokens: Tokens, dollars: float
) -> None:
    assert price.cost(tokens) == round(dollars * PICO)


@pytest.mark.parametrize(
    ("prompt", "dollars"), [(200_000, 21.201), (200_001, 23.700006), (500_001, 34.500009)]
)
def test_the_most_is_that_of_the_dearest_tier_that_is_reached(prompt: int, dollars: float) -> None:
    assert FULL.most(prompt, 1_000_000) == round(dollars * PICO)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_no_use_of_so_many_tokens_costs_more_than_the_most(
    prompt: int, completion: int, cached: int, write: int, hour: int, reasoning: int
) -> None:
    tokens = Tokens(prompt, completion, cached, write, hour, reasoning)
    assert 0 <= FULL.cost(tokens) <= FULL.most(prompt, completion)
    assert 0 <= PLAIN.cost(tokens) == PLAIN.most(prompt, completion)


FEW = st.integers(0, 9)


@given(FEW, FEW, FEW, FEW, FEW, FEW)
def test_each_token_costs_what_its_class_does(
    prompt: int, completion: int, cached: int, write: int, hour: int, reasoning: int
) -> None:
    """Of a prompt the cached tokens come first, then those that a cache takes."""
    price = Price(input=1, output=10, cached=100, cache_write=1000, cache_write_1h=10_000)
    price = msgspec.structs.replace(price, reasoning=100_000, request=1_000_000)
    written = min(hour, write) * [10_000] + max(write - hour, 0) * [1000]
    of_prompt = (cached * [100] + written + prompt * [1])[:prompt]
    of_answer = (reasoning * [100_000] + completion * [10])[:completion]
    used = Tokens(prompt, completion, cached, write, hour, reasoning)
    assert price.cost(used) == 1_000_000 + sum(of_prompt) + sum(of_answer)


def test_what_costs_nothing_costs_nothing_at_most() -> None:
    assert Price(input=0, output=0).most(100, 100) == 0


def test_a_price_has_a_bound_to_the_last_pico_unit() -> None:
    assert msgspec.convert({"input": MOST, "output": 0}, Price).input == MOST
    for wrong in (MOST + 1, -1):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"input": wrong, "output": 0}, Price)
