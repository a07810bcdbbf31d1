"""The price book that is shipped beside this."""

from pathlib import Path

import msgspec

from exo_supervisor.core.books.book import Book

FILE = Path(__file__).with_name("price_book.json")
CURRENCY = "USD"
"""Of the book, and of what providers list and report."""


def read_book(content: bytes) -> Book:
    """Read a book as it is shipped; raises DecodeError where any of it is no price."""
    return msgspec.json.decode(content, type=Book)
