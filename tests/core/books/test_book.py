"""Which price holds: the user's before the book's, the newest that has begun, by the id's rule."""

import msgspec
import pytest

from exo_supervisor.core.books.book import Book, Dated, Match, Priced, Prices, Rule, Seller
from exo_supervisor.core.books.price import Price

DEAR, CHEAP = Price(input=9, output=9), Price(input=1, output=1)


def a_book(*models: Priced) -> Book:
    return Book("somebody", "2026-01-01", {"cloud": Seller(r"https://api\.cloud\.example", models)})


def priced(text: str, price: Price, rule: Rule = "equals", since: str = "") -> Priced:
    return Priced((Match(rule, text),), (Dated(price, since),))


@pytest.mark.parametrize(
    ("rule", "text", "fits", "fits_not"),
    [
        ("equals", "gpt-4o", ["gpt-4o"], ["gpt-4o-mini", "x-gpt-4o"]),
        ("starts_with", "gpt-4o", ["gpt-4o", "gpt-4o-mini"], ["x-gpt-4o"]),
        ("ends_with", "gpt-4o", ["gpt-4o", "x-gpt-4o"], ["gpt-4o-mini"]),
        ("contains", "gpt-4o", ["x-gpt-4o-mini"], ["gpt-4"]),
        ("regex", r"^gpt-4o(-\d+)?$", ["gpt-4o", "gpt-4o-2024"], ["gpt-4o-mini"]),
    ],
)
def test_a_rule_tells_a_models_ids(
    rule: Rule, text: str, fits: list[str], fits_not: list[str]
) -> None:
    match = Match(rule, text)
    assert [id_ for id_ in (*fits, *fits_not) if match.fits(id_)] == fits


def test_all_rules_of_a_match_have_to_fit() -> None:
    match = Match("starts_with", "gpt", (Match("ends_with", "mini"),))
    assert match.fits("gpt-4o-mini")
    assert not match.fits("gpt-4o")


def test_one_of_several_matches_of_a_row_is_enough() -> None:
    row = Priced((Match("equals", "a"), Match("equals", "b")), (Dated(CHEAP),))
    prices = Prices({}, {"p": (row,)})
    assert [prices.of("p", model, "2026-01-01") for model in "abc"] == [CHEAP, CHEAP, None]


def test_the_newest_price_that_has_begun_holds() -> None:
    dates = Dated(DEAR, "2026-02-01"), Dated(CHEAP, "2026-06-01")
    prices = Prices(
        {"c": "https://api.cloud.example/v1"}, {}, a_book(Priced((Match("equals", "m"),), dates))
    )
    days = ("2026-01-31", "2026-02-01", "2026-05-31", "2026-06-01")
    assert [prices.of("c", "M", day) for day in days] == [None, DEAR, DEAR, CHEAP]


def test_what_the_user_says_comes_first() -> None:
    own = {"c": [priced("m", CHEAP, since="2026-03-01")]}
    prices = Prices({"c": "https://api.cloud.example"}, own, a_book(priced("m", DEAR)))
    assert prices.of("c", "m", "2026-03-01") == CHEAP
    assert prices.of("c", "m", "2026-02-28") == DEAR, "before it holds, the book's does"


def test_who_is_not_in_the_book_has_no_price() -> None:
    urls = {"near": "http://192.168.1.3:8000", "c": "https://api.cloud.example"}
    prices = Prices(urls, {}, a_book(priced("m", DEAR)))
    asked = [("near", "m"), ("c", "n"), ("nobody", "m")]
    assert [prices.of(provider, model, "2026-01-01") for provider, model in asked] == [None] * 3


def test_a_book_that_is_read_late_tells_what_was_not_known() -> None:
    prices = Prices({"c": "https://api.cloud.example"}, {})
    assert prices.of("c", "m", "2026-01-01") is None
    prices.update(a_book(priced("m", DEAR)))
    assert prices.of("c", "m", "2026-01-01") == DEAR


def test_a_part_of_a_book_has_whom_it_is_asked_for_by_url_or_by_name() -> None:
    sellers = {name: Seller(f"https://{name}\\.example", ()) for name in "abc"}
    book = Book("s", "2026-01-01", sellers)
    assert list(book.part(["http://x", "https://b.example/v1"], {"c"}).sellers) == ["b", "c"]
    assert book.part([], ()) == Book("s", "2026-01-01")


def test_a_book_reads_back_as_it_was_written() -> None:
    book = a_book(priced("m", DEAR, since="2026-01-01"))
    assert msgspec.json.decode(msgspec.json.encode(book), type=Book) == book


def test_what_a_provider_lists_itself_goes_before_the_book_and_may_be_unknown() -> None:
    prices = Prices({"c": "https://api.cloud.example/v1"}, {}, a_book(priced("m", DEAR)))
    assert prices.of("c", "M", "2026-06-01") == DEAR
    for _ in range(2):  # the same list again changes nothing
        prices.list("c", {"m": CHEAP, "varies": None})
        assert prices.of("c", "M", "2026-06-01") == CHEAP
    assert prices.of("c", "varies", "2026-06-01") is None
    prices.list("c", {"m": None})
    assert prices.of("c", "M", "2026-06-01") is None, "the book does not stand in for it"
