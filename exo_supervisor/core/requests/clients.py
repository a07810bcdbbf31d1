"""What each client may ask for: a request is narrowed by the rule of whoever asks.

The strictest holds of what a row says, what a client's rule says and what the request says itself.
"""

from collections.abc import Iterable
from math import ceil

from msgspec import structs

from exo_supervisor.core.events import RequestArrived
from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.core.policy import DEFAULT_CLIENT, ClientRule
from exo_supervisor.core.requests.rates import Rates
from exo_supervisor.core.requests.rows import is_within

OF_OTHERS = frozenset({"models", "fallback_models", "fallbacks", "preset"})
"""Fields by which a broker is told to ask other models than `model`."""


class Clients:
    """Owns the rules that ask for less than all, and the rates of whoever has some."""

    def __init__(self, rules: Iterable[ClientRule]) -> None:
        self.rates = Rates()
        self.follow(rules)

    def follow(self, rules: Iterable[ClientRule]) -> None:
        """Narrow by these rules from now on."""
        self._rules = {rule.name: rule for rule in rules if not rule.is_free()}
        self.rates.follow(self._rules.values())

    def rule_of(self, client: str) -> ClientRule:
        """Return the rule of a client."""
        return self._rules.get(client, DEFAULT_CLIENT)

    def enter(self, event: RequestArrived, now: float) -> RequestArrived | Refusal:
        """Narrow a request that comes to what its client may, or refuse it."""
        rule = self._rules.get(event.client)
        if rule is None:
            return event
        if event.route is not None and rule.route is not None and event.route != rule.route:
            text = f"client {rule.name!r} may ask for route {rule.route} only"
            return Refusal(403, "not_allowed", text, param="x-supervisor-route")
        if (wait := self.rates.take(event.request, rule, event.size, now)) is not None:
            text = f"client {rule.name!r} has asked for as much as it may in a minute"
            return Refusal(429, "rate_limited", text, retry_after=float(ceil(wait)))
        return structs.replace(
            event,
            route=event.route or rule.route,
            local_only=event.local_only or rule.local_only,
        )


def may_ask(rule: ClientRule, name: str) -> bool:
    """Say whether a client may ask for a name."""
    return is_within(rule.models, name)


def names_others(rule: ClientRule, fields: Iterable[str]) -> Refusal | None:
    """Refuse a request of a client held to some models that has brokers choose among others."""
    named = sorted(OF_OTHERS.intersection(fields)) if rule.models else []
    if not named:
        return None
    text = f"client {rule.name!r} may ask for some models only, and {named[0]} can name any"
    return Refusal(403, "not_allowed", text, param=named[0])


def not_its_own(rule: ClientRule) -> Refusal:
    """Say that a client may not ask for a model."""
    text = f"client {rule.name!r} may not ask for this model; GET /v1/models lists those it may"
    return Refusal(403, "not_allowed", text, param="model")
