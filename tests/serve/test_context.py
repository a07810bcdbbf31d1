"""What every exchange shares: today's prices, and a number for each conversation."""

from exo_supervisor.core.books.book import Dated, Match, Priced, Prices
from exo_supervisor.core.books.price import Price
from exo_supervisor.serve.context import Context
from tests.serve.virtual import House

DAY = 86_400
OLD, NEW = Price(1, 1), Price(2, 2)
PRICED = Priced((Match("equals", "m"),), (Dated(OLD), Dated(NEW, "2026-03-01")))


def context(wall: float = 0.0, salt: bytes = b"salt") -> Context:
    shared = House().ingress.context
    return Context(
        shared.ask, shared.upstream, 1.0, 1.0, wall=lambda: wall, salt=salt,
        prices=Prices({}, {"p": [PRICED]}),
    )  # fmt: skip


def test_a_price_holds_from_the_first_second_of_its_day_in_utc() -> None:
    begins = 20_513 * DAY  # 2026-03-01
    assert context(begins - 0.001).price_of("p", "m") == OLD
    assert context(begins).price_of("p", "m") == NEW
    assert context(begins + DAY - 1).price_of("p", "m") == NEW
    assert context(begins).price_of("p", "x") is None


def test_a_conversation_has_one_number_and_a_client_its_own() -> None:
    numbers = [
        context().number_of("s", "a"), context().number_of("s", "b"), context().number_of("t", "a"),
        context(salt=b"other").number_of("s", "a"), context().number_of("\ud800", "a"),
    ]  # fmt: skip
    assert len(set(numbers)) == len(numbers)
    assert all(0 < number <= 2**56 for number in numbers)
    assert context().number_of("s", "a") == numbers[0]
