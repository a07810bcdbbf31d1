"""What providers ask: the user's rows, what a provider lists itself, and the shipped book.

Nobody has to wait for the book: a first answer comes later.
"""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import msgspec
import structlog
from anyio import to_thread

from exo_supervisor.app.policy import picos
from exo_supervisor.config.schema import Config, PriceRow, Provider
from exo_supervisor.config.shipped_prices import CURRENCY, FILE, read_book
from exo_supervisor.core.books.book import Book, Dated, Match, Priced, Prices
from exo_supervisor.core.books.price import Price
from exo_supervisor.core.names import ModelId
from exo_supervisor.fleet_io.provider_models import TakePrices

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")

_MILLION = 10**6


class PriceBook:
    """A service that reads what a house can need of the book, in a thread, and is done."""

    name = "price_book"

    def __init__(
        self, prices: Prices, config: Config, content: Callable[[], bytes] = FILE.read_bytes
    ) -> None:
        self._prices, self._config, self._content = prices, config, content

    async def run(self) -> None:
        """Read the book, and have its prices hold from then on."""
        try:
            self._prices.update(await to_thread.run_sync(self._read))
        except (OSError, msgspec.DecodeError) as fault:
            # A price that nobody knows is not 0: budgets refuse what costs an unknown sum.
            log.warning("price_book_refused", file=str(FILE), why=str(fault))

    def _read(self) -> Book:
        urls = [each.base_url for each in self._config.providers]
        reference = reference_of(self._config)
        return read_book(self._content()).part(urls, () if reference is None else reference[:1])


def needs_book(config: Config) -> bool:
    """Say whether anything is priced by the book: nothing is exchanged."""
    return config.budget.currency == CURRENCY and bool(config.providers or config.ledger.reference)


def own_prices(config: Config) -> Prices:
    """Make the table of prices, with the user's own in it."""
    rows: dict[str, dict[str, list[Dated]]] = {}
    for row in config.prices:
        since = "" if row.from_ is None else row.from_.isoformat()
        models = rows.setdefault(row.provider, {})
        models.setdefault(row.model.lower(), []).append(Dated(_price(row), since))
    own = {
        provider: sorted(
            (Priced((_match(model),), tuple(dated)) for model, dated in models.items()),
            key=lambda priced: priced.match[0].rule,  # `equals` goes before `starts_with`
        )
        for provider, models in rows.items()
    }
    return Prices({each.name: each.base_url for each in config.providers}, own)


def _match(model: str) -> Match:
    return Match("starts_with", "") if model == "*" else Match("equals", model)


def _price(row: PriceRow) -> Price:
    classes = ("input", "output", "cached", "cache_write", "cache_write_1h", "reasoning")
    told = {name: getattr(row, name) for name in classes}
    prices = {name: picos(each, _MILLION) for name, each in told.items() if each is not None}
    return msgspec.convert({**prices, "request": picos(row.request)}, Price)


def list_of(prices: Prices, provider: Provider, currency: str) -> TakePrices | None:
    """Return what takes in the prices that a provider lists; None: its list tells none.

    Only OpenRouter's is known to say what its account will be charged.
    """
    host = urlsplit(provider.base_url).hostname or ""
    if currency != CURRENCY or not (provider.preset == "openrouter" or host == "openrouter.ai"):
        return None
    told = -1, -1

    def take(listed: Mapping[ModelId, Price | None]) -> None:
        nonlocal told
        prices.list(provider.name, {model.lower(): price for model, price in listed.items()})
        found = len(listed), sum(price is None for price in listed.values())
        if found != told:
            told = found
            known, unknown = found[0] - found[1], found[1]
            log.info("prices_listed", provider=provider.name, known=known, unknown=unknown)

    return take


def reference_of(config: Config) -> tuple[str, str] | None:
    """Return the provider and the model whose price savings are counted by."""
    provider, _, model = config.ledger.reference.partition("/")
    return (provider, model) if model else None
