"""Which price holds: the user's own first, then the shipped book, by provider, model and day."""

import re
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct, field, structs

from exo_supervisor.core.books.price import Price
from exo_supervisor.core.bounded import Bounded

MOST_FOUND = 4096
"""Models whose price is remembered: a provider's list has hundreds."""

Rule = Literal["equals", "starts_with", "ends_with", "contains", "regex"]


class Match(Struct, frozen=True, array_like=True):
    """How a model's id is told: by this rule, and each of `also`."""

    rule: Rule
    text: str
    also: tuple["Match", ...] = ()

    def fits(self, model: str) -> bool:
        """Say whether an id, in lower case, is one of these."""
        text = self.text
        if self.rule == "regex":
            fits = re.search(text, model) is not None
        elif self.rule == "contains":
            fits = text in model
        elif self.rule == "equals":
            fits = model == text
        else:
            fits = model.startswith(text) if self.rule == "starts_with" else model.endswith(text)
        return fits and all(each.fits(model) for each in self.also)


class Dated(Struct, frozen=True, rename={"since": "from"}, omit_defaults=True):
    """A price, and since which day (`2026-01-01`, in UTC) it holds; "": always."""

    price: Price
    since: str = ""


class Priced(Struct, frozen=True):
    """A model of a provider: any of `match` tells its ids; `prices` from the oldest on."""

    match: tuple[Match, ...]
    prices: tuple[Dated, ...]

    def on(self, day: str) -> Price | None:
        """Return what holds on a day: the newest price that has begun; None: none has."""
        begun = [each for each in self.prices if each.since <= day]
        return max(begun, key=lambda each: each.since).price if begun else None


class Seller(Struct, frozen=True):
    """A provider in the shipped book, told by its URL."""

    url: str
    """A regular expression."""
    models: tuple[Priced, ...]


class Book(Struct, frozen=True):
    """The shipped book: where its figures come from, of which day, and what each provider asks."""

    source: str
    date: str
    sellers: dict[str, Seller] = field(default_factory=dict[str, Seller])

    def part(self, urls: Collection[str], names: Container[str]) -> "Book":
        """Leave out who is neither at one of these URLs nor of these names: nearly all."""
        kept = {
            name: seller
            for name, seller in self.sellers.items()
            if name in names or any(re.match(seller.url, url) for url in urls)
        }
        return structs.replace(self, sellers=kept)


NO_BOOK = Book("", "")

Listed = Mapping[str, Price | None]
"""Prices by a model's id, in lower case."""


class Prices:
    """Tells prices by a provider's name: the user's own first, what it lists itself, the book's.

    `urls` say where each is; one that is nowhere is a seller by the book's own name.
    """

    def __init__(
        self, urls: Mapping[str, str], own: Mapping[str, Sequence[Priced]], book: Book = NO_BOOK
    ) -> None:
        self._urls, self._own, self._book = urls, own, book
        self._listed: dict[str, Listed] = {}
        self._found = Bounded[tuple[str, str], tuple[Priced, ...]](MOST_FOUND)

    def update(self, book: Book) -> None:
        """Take the shipped book in, once it has been read."""
        self._book = book
        self._found.clear()

    def list(self, provider: str, listed: Listed) -> None:
        """Take in what a provider itself asks for its models; None: nobody can know beforehand."""
        if listed != self._listed.get(provider):
            self._listed[provider] = listed
            self._found.clear()

    def of(self, provider: str, model: str, day: str) -> Price | None:
        """Return what a model costs at a provider on a day, None where nobody knows."""
        key = provider, model
        rows = self._found.get(key)
        if rows is None:
            rows = self._found[key] = tuple(self._find(provider, model.lower()))
        for row in rows:
            if (price := row.on(day)) is not None:
                return price
        return None

    def _find(self, provider: str, model: str) -> Iterator[Priced]:
        yield from _fitting(self._own.get(provider, ()), model)
        listed = self._listed.get(provider, {})
        if model in listed:
            price = listed[model]
            yield from () if price is None else (Priced((), (Dated(price),)),)
        elif (shipped := self._seller(provider)) is not None:
            yield from _fitting(shipped.models, model)

    def _seller(self, provider: str) -> Seller | None:
        sellers = self._book.sellers
        url = self._urls.get(provider)
        if url is None:
            return sellers.get(provider)
        return next((each for each in sellers.values() if re.match(each.url, url)), None)


def _fitting(rows: Sequence[Priced], model: str) -> Iterator[Priced]:
    return (row for row in rows if any(match.fits(model) for match in row.match))
