"""The configuration as the core wants it: plain values, every default in its place."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

import msgspec
from msgspec import Raw, structs

from exo_supervisor.config.presets import preset_of
from exo_supervisor.config.schema import Budget, Client, Config, Model, Provider, Timeouts
from exo_supervisor.core.books.amount import pico_of
from exo_supervisor.core.breakers.automaton import Rules
from exo_supervisor.core.effects import Timers
from exo_supervisor.core.names import Generation, ModelId, ProviderName
from exo_supervisor.core.policy import (
    WAITS,
    BudgetRules,
    ClientRule,
    Cloud,
    Limits,
    ModelRule,
    PeerRules,
    Policy,
    Waits,
)
from exo_supervisor.discovery.static import address_of
from exo_supervisor.wire.anthropic.outbound import IGNORED as ANTHROPIC_IGNORED
from exo_supervisor.wire.exo.traits import PEERS

_IGNORED = {"anthropic": ANTHROPIC_IGNORED}
CLOUD_CONNECT = 10.0
CLOUD_FIRST_CONTENT = 120.0
CLOUD_STALL = 60.0
"""Seconds, at least: a cloud's TLS and queue take their time."""


def policy_of(
    config: Config,
    why_off: Mapping[str, str],
    *,
    keys: Mapping[str, int] = MappingProxyType({}),
    waits: Waits = WAITS,
) -> Policy:
    """Make the core's policy; `why_off` names the providers that are off, and says why.

    `keys` are how many each has; where nothing is said one, or none if one is missing.
    """
    timeouts, routing = config.timeouts, config.routing
    off = off_by_privacy(config)
    why_off, keys = {**why_off, **off}, {**keys, **dict.fromkeys(off, 0)}
    return Policy(
        order=tuple(routing.order),
        balance=routing.policy,
        local_only=routing.privacy == "local_only",
        patience=routing.patience,
        attempts=config.retry.attempts,
        budget=config.retry.budget,
        rules=Rules(config.breaker.trip_after, config.breaker.rest, config.breaker.rest_max),
        trust=config.discovery.trust,
        seeds=tuple((address_of(url), url) for url in config.discovery.static),
        clouds=tuple(_cloud(each, config, why_off, keys) for each in config.providers),
        models=tuple(_rule(each) for each in config.models),
        clients=tuple(_client(each) for each in config.clients),
        budgets=_budgets(config.budget),
        peers=_peers(timeouts, waits),
        ready_interval=config.health.ready_interval,
        load_wait=timeouts.first_content_max,
        first_look=config.health.timeout + timeouts.connect,
        waits=waits,
    )


def off_by_privacy(config: Config) -> dict[str, str]:
    """Say why providers are off in a house that nothing may leave: not even their lists are asked.

    A key would leave it, and with it the word that somebody is at work here.
    """
    if config.routing.privacy != "local_only":
        return {}
    away = (each.name for each in config.providers if not each.local)
    return dict.fromkeys(away, 'routing.privacy is "local_only"')


def _peers(timeouts: Timeouts, waits: Waits) -> dict[Generation, PeerRules]:
    return {
        kind: structs.replace(peer, timers=_exo_timers(peer, timeouts, waits))
        for kind, peer in PEERS.items()
    }


def _exo_timers(peer: PeerRules, timeouts: Timeouts, waits: Waits) -> Timers:
    headers: float | None = timeouts.headers
    first, longest = timeouts.first_content, timeouts.first_content_max
    if peer.loads_late:
        headers, first = None, max(first, waits.legacy_first_content)
        longest = first
    return Timers(timeouts.connect, headers, first, longest, timeouts.stall)


def cloud_timers(provider: Provider, timeouts: Timeouts) -> Timers:
    """Return a provider's own timers, and a cloud's where it has none."""
    connect = max(timeouts.connect, CLOUD_CONNECT)
    first = CLOUD_FIRST_CONTENT if provider.first_content is None else provider.first_content
    return Timers(
        connect=connect if provider.connect is None else provider.connect,
        headers=timeouts.headers if provider.headers is None else provider.headers,
        first_content=first,
        first_content_max=first,
        stall=CLOUD_STALL if provider.stall is None else provider.stall,
    )


def _cloud(
    provider: Provider, config: Config, why_off: Mapping[str, str], keys: Mapping[str, int]
) -> Cloud:
    preset = preset_of(provider.preset)
    return Cloud(
        name=ProviderName(provider.name),
        url=provider.base_url,
        priority=provider.priority,
        models=tuple(ModelId(model) for model in provider.models),
        timers=cloud_timers(provider, config.timeouts),
        learns_head=provider.headers is None,
        keys=keys.get(provider.name, int(provider.name not in why_off)),
        streams=provider.stream,
        why_off=why_off.get(provider.name, ""),
        dialect=provider.dialect,
        local=provider.local,
        ignored=preset.ignored | _IGNORED.get(provider.dialect, frozenset()),
        quirks=preset.quirks,
        budget=_limits(provider.budget),
    )


def _budgets(budget: Budget) -> BudgetRules:
    amounts = {"day": budget.day, "month": budget.month, "session": budget.session}
    return BudgetRules(
        house=_limits(amounts),
        session_requests=budget.session_requests,
        denies_unknown=budget.unknown_price == "deny",
        currency=budget.currency,
    )


def _limits(amounts: Mapping[str, float]) -> Limits:
    return Limits(**{name: picos(each) for name, each in amounts.items()})


def picos(amount: float, per: int = 1) -> int:
    """Return pico-units of an amount by its digits: a float is only how TOML hands them over."""
    return pico_of(Decimal(repr(amount)), per)


def _client(client: Client) -> ClientRule:
    return ClientRule(
        name=client.name,
        models=client.models,
        local_only=client.privacy == "local_only",
        route=client.route or None,
        profile=client.profile,
        admin=client.admin,
        budget=_limits(client.budget),
        **client.rate,
    )


def fields_of(model: Model) -> dict[str, Raw]:
    """Return the fields that a row fills in, as a request has them."""
    return {name: Raw(msgspec.json.encode(value)) for name, value in model.defaults.items()}


def _rule(model: Model) -> ModelRule:
    pairs = (entry.partition("/") for entry in model.cloud)
    return ModelRule(
        name=model.name,
        exo=tuple(ModelId(each) for each in model.exo),
        cloud=tuple((ProviderName(provider), ModelId(rest)) for provider, _, rest in pairs),
        local_only=model.privacy == "local_only",
        keep=model.keep,
        on_demand=model.on_demand,
        continues=model.continue_,
        commit_at_answer=model.commit == "answer",
        aliases=model.aliases,
        any_of=model.any_of,
        fallback=model.fallback,
        context=model.context,
        defaults=fields_of(model),
    )
