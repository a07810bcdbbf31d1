"""What `check` says of money: which budgets there are, and whose price nobody knows."""

import time
from collections.abc import Iterator

from exo_supervisor.app.policy import policy_of
from exo_supervisor.app.price_book import needs_book, own_prices
from exo_supervisor.app.trial import Finding
from exo_supervisor.config.schema import Config
from exo_supervisor.config.shipped_prices import CURRENCY, FILE, read_book
from exo_supervisor.core.books.amount import digits_of
from exo_supervisor.core.books.budgets import Budgets
from exo_supervisor.views.calendar import utc_day

OPENROUTER = "openrouter"
"""Its list tells prices, which are not known before it is asked."""


def of_money(config: Config, *, running: bool) -> Iterator[Finding]:
    """Tell of the budgets, unless a `running` service tells of them; warn of missing prices."""
    budgets, currency = Budgets(policy_of(config, {})), config.budget.currency
    for line, limit, _ in () if running else budgets.each():
        text = f"{line.name or line.scope}: {digits_of(limit)} {currency} a {line.span}"
        yield Finding("ok", "budget", text)
    priced = {row.provider for row in config.prices}
    lacking = [each.name for each in config.providers if not each.local and each.name not in priced]
    if currency != CURRENCY and lacking:
        text = f"nothing is exchanged from {CURRENCY} to {currency}: without a [[price]] nobody"
        yield Finding("warn", "price", f"{text} knows what these ask: {', '.join(lacking)}")
    elif budgets.active and budgets.rules.denies_unknown:
        yield from _refused(config)


def _refused(config: Config) -> Iterator[Finding]:
    """Warn of models that are refused under a budget, since nobody knows their price."""
    prices, day = own_prices(config), utc_day(time.time())
    if needs_book(config):
        prices.update(read_book(FILE.read_bytes()))
    paid = {x.name for x in config.providers if not x.local and x.preset != OPENROUTER}
    for entry in (entry for model in config.models for entry in model.cloud):
        provider, _, model = entry.partition("/")
        if provider in paid and prices.of(provider, model, day) is None:
            text = f"{entry}, nobody knows its price, and under a budget it is refused"
            yield Finding("warn", "price", f"{text}: add a [[price]]")
