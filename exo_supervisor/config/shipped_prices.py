"""The price book that is shipped beside this."""

from importlib.resources import files

import msgspec

from exo_supervisor.core.books.book import Book

FILE = files("exo_supervisor.config") / "price_book.json"
CURRENCY = "USD"
"""Of the book, and of what providers list and report."""


def read_book(content: bytes) -> Book:
    """Read a book as it is shipped; raises DecodeError where any of it is no price."""
    return msgspec.json.decode(content, type=Book)
