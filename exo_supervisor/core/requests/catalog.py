"""What a client's model name stands for: which ids, at whom, in which order they are tried."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice, zip_longest
from typing import Literal

from msgspec import Struct, structs

from exo_supervisor.core.fleet.providers import Clouds
from exo_supervisor.core.fleet.registry import Registry
from exo_supervisor.core.names import ModelId, ProviderName, Side
from exo_supervisor.core.policy import ModelRule, Policy
from exo_supervisor.core.requests.near_names import SCAN, near


class Tier(Struct, frozen=True):
    """Targets of equal standing: all of Exo, or one provider."""

    side: Side
    models: tuple[ModelId, ...]
    provider: ProviderName | None = None


class Route(Struct, frozen=True):
    """The tiers of a name in order; `first` is where its traffic belongs when all is well.

    `known` is False for an id of a provider that does not list it: the provider may still have it.
    """

    name: str
    tiers: tuple[Tier, ...]
    first: Side
    local_only: bool
    known: bool = True
    on_demand: bool = False
    commit_at_answer: bool = False
    continues: bool = False
    plain: bool = False
    """Its first tier is one model, and nothing but the house's health decides where it goes."""

    def exo_models(self) -> tuple[ModelId, ...]:
        """List the ids under which Exo may serve the name."""
        return next((tier.models for tier in self.tiers if tier.side == "exo"), ())


Lookup = Route | Literal["unknown", "card"]


class Catalog:
    """Resolves names from the configuration and from what nodes and providers have told."""

    def __init__(self, policy: Policy, registry: Registry, clouds: Clouds) -> None:
        self._registry = registry
        self._clouds = clouds
        self.follow(policy)

    def follow(self, policy: Policy) -> None:
        """Resolve names by this policy from now on; who was given a route keeps it."""
        self._policy = policy
        self._rules = {rule.name: self._by_rule(rule) for rule in policy.models}
        self._row_of: dict[ModelId, str] = {}
        for rule in policy.models:
            for model in (*rule.exo, *(model for _, model in rule.cloud)):
                self._row_of.setdefault(model, rule.name)
        self._private = {
            model
            for rule in policy.models
            if rule.local_only
            for model in (*rule.exo, *(model for _, model in rule.cloud))
        }

    def lookup(self, name: str) -> Lookup:
        """Resolve a name: a configured one, then PROVIDER/ID, then an id as targets know it."""
        if (configured := self._rules.get(name)) is not None:
            return configured
        head, _, tail = name.partition("/")
        model = ModelId(name)
        provider = self._clouds.get(head)
        if provider is not None and tail:
            only = ModelId(tail)
            if provider.cloud.models and only not in provider.cloud.models:
                return "unknown"
            pair = (provider.cloud.name, only)
            route = self._route(name, (), (pair,), local_only=only in self._private)
            return structs.replace(route, known=provider.has(only))
        at_exo = model in self._registry.known
        at_clouds = self._clouds.with_model(model)
        if not at_exo and not at_clouds:
            return "card" if model in self._registry.cards else "unknown"
        pairs = tuple((provider_name, model) for provider_name in at_clouds)
        local_only = model in self._private  # what must stay stays under its other names, too
        return self._route(name, (model,) if at_exo else (), pairs, local_only=local_only)

    def names(self) -> Iterator[str]:
        """List every name that can be resolved, configured ones first, none twice."""
        seen: set[str] = set()
        for name in self._all_names():
            if name not in seen:
                seen.add(name)
                yield name

    def similar(self, name: str) -> list[str]:
        """Find at most three names near an unknown one."""
        return near(name, dict.fromkeys(_by_turns(self._sources())))

    def nearest(self, name: str) -> tuple[list[str], list[str]]:
        """Find what comes near an unknown name: what can be resolved, what Exo could place."""
        similar, known = self.similar(name), self._registry.known
        if any(each.casefold() == name.casefold() for each in similar):
            return similar, []
        cards = (card for card in self._registry.cards if card not in known)
        return similar, near(name, cards)

    def ready(self) -> set[str]:
        """Name what is ready on Exo, each by the row that stands for it, if one does."""
        return {self.row_of(model) or model for model in self._registry.ready_models()}

    def row_of(self, model: ModelId) -> str | None:
        """Name the configured row that stands for a target's id, the first of several."""
        return self._row_of.get(model)

    def _all_names(self) -> Iterator[str]:
        return chain.from_iterable(self._sources())

    def _sources(self) -> list[Iterable[str]]:
        """List who tells names: the configuration, the nodes, each provider."""
        listed = (provider.listed for provider in self._clouds.providers.values())
        return [self._rules, self._registry.known, *listed]

    def _by_rule(self, rule: ModelRule) -> Route:
        route = self._route(rule.name, rule.exo, rule.cloud, local_only=rule.local_only)
        return structs.replace(
            route,
            plain=route.plain and not rule.on_demand,
            on_demand=rule.on_demand,
            commit_at_answer=rule.commit_at_answer,
            continues=rule.continues,
        )

    def _route(
        self,
        name: str,
        exo: tuple[ModelId, ...],
        cloud: tuple[tuple[ProviderName, ModelId], ...],
        *,
        local_only: bool,
    ) -> Route:
        tiers: list[Tier] = []
        by_side: dict[Side, list[Tier]] = {
            "exo": [Tier("exo", exo)] if exo else [],
            "cloud": list(self._cloud_tiers(cloud)),
        }
        for side in self._policy.order:
            tiers += by_side[side]
        first: Side = tiers[0].side if tiers else self._policy.order[0]
        stays = local_only or self._policy.local_only
        plain = bool(tiers) and len(tiers[0].models) == 1 and not stays
        return Route(name, tuple(tiers), first, stays, plain=plain)

    def _cloud_tiers(self, pairs: tuple[tuple[ProviderName, ModelId], ...]) -> Iterator[Tier]:
        for name in self._clouds.providers:
            models = tuple(model for provider, model in pairs if provider == name)
            if models:
                yield Tier("cloud", models, name)


def _by_turns(sources: list[Iterable[str]]) -> Iterator[str]:
    """Take names from each source in turn, so that one that tells thousands hides no other's."""
    for names in islice(zip_longest(*sources), SCAN):
        yield from (name for name in names if name is not None)
