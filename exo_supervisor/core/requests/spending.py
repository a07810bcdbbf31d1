"""What an attempt at a cloud can cost at most, whether budgets have that, what to say if not."""

from collections.abc import Iterator
from math import ceil, inf

from exo_supervisor.core.books.amount import digits_of
from exo_supervisor.core.books.budgets import Lack, Payer
from exo_supervisor.core.events import RequestArrived
from exo_supervisor.core.names import ModelId, ProviderName
from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.core.requests.candidate import Candidate
from exo_supervisor.core.requests.catalog import Tier
from exo_supervisor.core.tables import Tables

UNSAID = 32_768
"""Tokens that an answer is taken to have at most, where neither its client nor its model sets a
limit: few models write more in one answer. One that does overdraws the budget by what is above."""
_READ_AGAIN = 5.0
"""Seconds after which books that could not be read are worth another try: a person has to act."""
_SOON = 1.0
"""Seconds after which attempts under way may have given back what is held for them."""


def most_of(
    event: RequestArrived, provider: ProviderName, model: ModelId, tables: Tables
) -> int | None:
    """Return the most that an attempt can cost; None where nobody knows the price.

    A token of a text has one byte at least, so that all of a request's bytes are more tokens than
    its prompt can have, templates and tools included; and no prompt and no answer is longer than
    what its model takes. Not foreseen: pictures that are named by an URL alone, and what a provider
    charges beyond tokens and requests.
    """
    price = tables.prices.of(provider, model, tables.budgets.calendar.utc_day)
    body, max_tokens, answers, unpriced = event.extent
    if price is None or unpriced:
        return None
    context = tables.context(provider, model)
    limits = [limit for limit in (max_tokens, context) if limit > 0]
    answer = 0 if "embeddings" in event.demands else min(limits, default=UNSAID)
    prompt = min(body, context) if context else body
    return price.most(prompt, answer * max(1, answers))


def lacks_of(
    event: RequestArrived, provider: ProviderName, model: ModelId, tables: Tables, *, counted: bool
) -> list[Lack]:
    """List why budgets have nothing for an attempt at a cloud; nothing: they have."""
    most = most_of(event, provider, model, tables)
    return tables.budgets.lacks(payer_of(event, provider), most, counted=counted)


def hold(
    event: RequestArrived, attempt: int, candidate: Candidate, tables: Tables, now: float,
    *, counted: bool,
) -> int:  # fmt: skip
    """Hold the most that an attempt at a cloud can cost, and return how much that is."""
    provider = ProviderName(candidate.target)
    most = most_of(event, provider, candidate.model, tables)
    key = event.request, attempt
    tables.budgets.hold(key, payer_of(event, provider), most, now, counted=counted)
    return most or 0


def payer_of(event: RequestArrived, provider: ProviderName) -> Payer:
    """Say who pays whom."""
    return Payer(event.client, event.session, provider)


def over_budget(
    event: RequestArrived, tiers: tuple[Tier, ...], tables: Tables, now: float, *, counted: bool
) -> Refusal:
    """Say what keeps a request from the clouds: that of the one that could take it soonest."""
    found = list(_worst(event, tiers, tables, counted=counted))
    if not found:  # what attempts held has come back while others were looked at
        return _busy(tables)
    lack, model, provider = min(found, key=lambda each: each[0].until)
    if lack.until == -inf:
        return _busy(tables)
    retry_after = None if lack.until == inf else float(max(1, ceil(lack.until - now)))
    text = (
        _unknown(model, provider, event.extent[3])
        if lack.most is None
        else _short(lack, event, tables)
    )
    return Refusal(402, "budget_spent", text, retry_after=retry_after)


def _worst(
    event: RequestArrived, tiers: tuple[Tier, ...], tables: Tables, *, counted: bool
) -> Iterator[tuple[Lack, ModelId, ProviderName]]:
    for tier in tiers:
        if tier.provider is None or tier.side != "cloud":
            continue
        for model in tier.models:
            lacks = lacks_of(event, tier.provider, model, tables, counted=counted)
            if lacks:
                yield max(lacks, key=lambda each: each.until), model, tier.provider


def shortage(
    event: RequestArrived, provider: ProviderName, model: ModelId, tables: Tables, *, counted: bool
) -> str:
    """Say in a few words why budgets have nothing for an attempt."""
    lacks = lacks_of(event, provider, model, tables, counted=counted)
    if not tables.budgets.calendar.day:
        why = tables.budgets.unread
        return f"what was spent is not known: {why}" if why else "what was spent is not known yet"
    if not lacks or (lack := max(lacks, key=lambda each: each.until)).until == -inf:
        return "what is left is held for requests under way"
    if lack.most is None:
        return "nobody knows its price"
    spent = lack.account.spent
    if lack.line.span == "requests":
        return f"{spent} of {lack.limit} requests of the session are spent"
    if lack.most > lack.limit:
        return "this request is too large for it"
    currency = tables.budgets.rules.currency
    return f"{digits_of(spent)} of {digits_of(lack.limit)} {currency} are spent"


def _busy(tables: Tables) -> Refusal:
    if why := tables.budgets.unread:
        text = (
            f"what was spent is not known, and there is a budget, so that no cloud is asked: {why}"
        )
        return Refusal(503, "ledger_unreadable", text, retry_after=_READ_AGAIN)
    text = "what is left of the budget is held for requests under way, or not known yet: try again"
    return Refusal(503, "overloaded", text, retry_after=_SOON)


def _unknown(model: ModelId, provider: ProviderName, field: str) -> str:
    if field:
        return (
            f"nobody knows the price of what {field} asks for at {provider}, and there is a "
            f'budget: leave {field} out, or set budget.unknown_price = "allow"'
        )
    return (
        f"nobody knows the price of {model!r} at {provider}, and there is a budget: "
        'add a [[price]] for it, or set budget.unknown_price = "allow"'
    )


def _short(lack: Lack, event: RequestArrived, tables: Tables) -> str:
    line, most = lack.line, lack.most or 0
    if line.span == "requests":
        return f"this session has sent as many requests to clouds as it may ({lack.limit})"
    currency = tables.budgets.rules.currency
    whose = {"house": "the budget", "session": "the budget of this session"}
    budget = whose.get(line.scope, f"the budget of {line.scope} {line.name}")
    span = "" if line.scope == "session" else f" a {line.span}"
    spent, limit = digits_of(lack.account.spent), digits_of(lack.limit)
    text = f"{budget} is spent: {spent} of {limit} {currency}{span}"
    if most > lack.limit:
        text = f"{budget} is too small for this request: {limit} {currency}{span}"
    text += f", and this request could cost up to {digits_of(most)}"
    return text + f" ({'a lower' if event.extent[1] > 0 else 'a'} max_tokens makes that less)"
