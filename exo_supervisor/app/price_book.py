"""Brings the shipped price book, which nobody has to wait for: a first answer comes later."""

from importlib.resources import files

import msgspec
from anyio import to_thread

from exo_supervisor.core.books.book import Book, Prices

FILE = files("exo_supervisor.config") / "price_book.json"


class PriceBook:
    """A service that reads the book in a thread, and is done."""

    name = "price_book"

    def __init__(self, prices: Prices) -> None:
        self._prices = prices

    async def run(self) -> None:
        """Read the book, and have its prices hold from then on."""
        self._prices.update(await to_thread.run_sync(_read))


def _read() -> Book:
    return msgspec.json.decode(FILE.read_bytes(), type=Book)
