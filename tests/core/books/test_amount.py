"""Amounts of money are read by their digits, and what is none is none."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.books.amount import MOST, amount_of, digits_of, pico_of


@pytest.mark.parametrize("digits", ["-1", "NaN", "sNaN", "inf", "-Infinity", "", "free", "1e10"])
def test_what_is_no_amount_is_none(digits: str) -> None:
    assert amount_of(digits) is None


@pytest.mark.parametrize(
    ("digits", "pico"),
    [("0", 0), ("-0", 0), ("0.1", 10**11), ("1.4e-05", 14_000_000), ("4e-13", 1), ("1e-400", 1)],
)
def test_an_amount_is_what_its_digits_say(digits: str, pico: int) -> None:
    amount = amount_of(digits)
    assert amount is not None
    assert pico_of(amount) == pico


def test_the_most_is_exact() -> None:
    assert pico_of(Decimal(MOST)) == MOST * 10**12
    assert pico_of(Decimal(37756000), 10**10) == 3_775_600_000


@pytest.mark.parametrize(
    ("pico", "text"),
    [(0, "0.00"), (5 * 10**12, "5.00"), (10**11, "0.10"), (10**11 + 1, "0.100000000001")],
)
def test_people_read_two_decimals_or_all(pico: int, text: str) -> None:
    assert digits_of(pico) == text


@given(st.integers(0, MOST * 10**12))
def test_what_is_written_reads_back(pico: int) -> None:
    assert pico_of(Decimal(digits_of(pico))) == pico
