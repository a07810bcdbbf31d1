"""Whether what is said of money names what there is, and leaves no gap."""

from datetime import date
from typing import cast

from exo_supervisor.config.builder import Builder
from exo_supervisor.config.literal import shown
from exo_supervisor.config.shipped_prices import CURRENCY, FILE, read_book
from exo_supervisor.config.similar import similar
from exo_supervisor.core.books.book import NO_BOOK, Prices

_ALWAYS = date.min


def check_money(builder: Builder, today: date) -> None:
    """Promise a fault for each row of a price that holds for nobody, or too late, or twice."""
    begun: dict[tuple[str, str], bool] = {}
    first: dict[tuple[str, str, date], int | None] = {}
    refused = {fault.key for fault in builder.faults}
    for label in builder.listed("price"):
        row = builder.values[label]
        if "provider" not in row or "model" not in row or f"{label}.from" in refused:
            continue
        provider, model = str(row["provider"]), str(row["model"])
        since = cast("date", row.get("from", _ALWAYS))
        key = provider, model.lower()
        begun[key] = begun.get(key, False) or since <= today
        if provider not in builder.provider_names:
            _refuse_provider(builder, label, provider)
        line = builder.tables[label].line
        if (*key, since) in first:
            before = first[*key, since]
            hint = f"first on line {before}" if before else "take one of them out"
            message = f"the price of {shown(model)} at {provider} is given twice for the same day"
            builder.refuse(builder.tables[label], label, "bad_value", message, hint)
        first.setdefault((*key, since), line)
    for label in builder.listed("price"):
        row = builder.values[label]
        key = str(row.get("provider")), str(row.get("model")).lower()
        if not begun.pop(key, True):
            message = f"the price of {shown(row['model'])} at {key[0]} has a gap: no row has begun"
            hint = "add a row without `from` for what holds before"
            builder.refuse(builder.places[f"{label}.from"](None), label, "bad_value", message, hint)
    _check_reference(builder, today)


def _check_reference(builder: Builder, today: date) -> None:
    """Refuse a price that nobody knows: nothing would be saved, as if nothing had been answered."""
    named = str(builder.get("ledger", "reference"))
    provider, _, model = named.partition("/")
    own = {
        (str(builder.get(label, "provider")), str(builder.get(label, "model")).lower())
        for label in builder.listed("price")
    }
    if not named or {(provider, model.lower()), (provider, "*")} & own:
        return
    urls = {
        str(builder.get(label, "name")): str(builder.get(label, "base_url"))
        for label in builder.listed("provider")
    }
    in_dollars = builder.get("budget", "currency") == CURRENCY
    book = read_book(FILE.read_bytes()) if in_dollars else NO_BOOK
    if Prices(urls, {}, book).of(provider, model, today.isoformat()) is None:
        key = "ledger.reference"
        message = f"{key} names no PROVIDER/MODEL whose price is known, got {shown(named)}"
        hint = 'add a [[price]] for it, or name another, for example "openai/gpt-4o"'
        builder.refuse_value(key, message, hint)


def _refuse_provider(builder: Builder, label: str, provider: str) -> None:
    message = f"price.provider names no [[provider]], got {shown(provider)}"
    hint = similar(provider, builder.provider_names, "name", "add the [[provider]] of that name")
    builder.refuse_value(f"{label}.provider", message, hint)
