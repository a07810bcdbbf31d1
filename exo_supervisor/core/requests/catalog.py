"""What a client's model name stands for: which ids, at whom, in which order they are tried."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice, zip_longest
from typing import Literal

from msgspec import Raw, Struct, structs

from exo_supervisor.core.fleet.providers import Clouds
from exo_supervisor.core.fleet.registry import Registry
from exo_supervisor.core.names import ModelId, ProviderName, Side
from exo_supervisor.core.near_names import SCAN, near
from exo_supervisor.core.policy import ModelRule, Policy
from exo_supervisor.core.requests.rows import Link, Rows, is_within


class Tier(Struct, frozen=True):
    """Targets of equal standing: all of Exo, or one provider, which may be one of the house."""

    side: Side
    models: tuple[ModelId, ...]
    provider: ProviderName | None = None
    row: str = ""
    """The configured row that it serves, one that stands in for another included."""


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
    exo: tuple[ModelId, ...] = ()
    """The ids of the name itself at Exo, under which it may be placed."""


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
        self._rows = Rows(policy.models)
        self._by_row = {rule.name: self._by_rule(rule) for rule in policy.models}
        self._within: dict[tuple[str, tuple[str, ...]], Route] = {}
        self._rules = {name: self._by_row[rule.name] for name, rule in self._rows.named.items()}
        self.defaults = {rule.name: rule.defaults for rule in policy.models if rule.defaults}
        self._row_of: dict[ModelId, str] = {}
        for rule in policy.models:
            for model in (*rule.exo, *(model for _, model in rule.cloud)):
                self._row_of.setdefault(model, rule.name)
        for name, rule in self._rows.named.items():
            self._row_of.setdefault(ModelId(name), rule.name)
        self._private = {
            model
            for rule in policy.models
            if rule.local_only
            for model in (*rule.exo, *(model for _, model in rule.cloud))
        }

    def lookup(self, name: str) -> Lookup:
        """Resolve a name: a configured one, then PROVIDER/ID, then an id as targets know it.

        At last come the patterns. What must stay stays under its other names, too; a pattern that
        keeps what it fits does so wherever that is listed, and whatever longer one fits it.
        """
        if (configured := self._rules.get(name)) is not None:
            return configured
        head, _, tail = name.partition("/")
        model = ModelId(name)
        provider = self._clouds.get(head)
        if provider is not None and tail:
            only = ModelId(tail)
            if provider.cloud.models and only not in provider.cloud.models:
                return self._by_pattern(name, only) or "unknown"
            link = Link("", (), ((provider.cloud.name, only),))
            route = self._route(name, (link,), local_only=self._stays(only, name))
            return structs.replace(route, known=provider.has(only))
        at_exo = model in self._registry.known
        at_clouds = self._clouds.with_model(model)
        if not at_exo and not at_clouds:
            missing = "card" if model in self._registry.cards else "unknown"
            return self._by_pattern(name) or missing
        pairs = tuple((provider_name, model) for provider_name in at_clouds)
        link = Link("", (model,) if at_exo else (), pairs)
        others = [f"{provider_name}/{model}" for provider_name in at_clouds]
        stays = self._stays(model, *others)
        if stays and not at_exo and (route := self._by_pattern(name, *others)) is not None:
            return route  # whoever lists it is not asked, but the row that keeps it may serve
        return self._route(name, (link,), local_only=stays)

    def lookup_within(self, name: str, models: tuple[str, ...]) -> Lookup | None:
        """Resolve a name for one who may ask only for what these patterns fit; None: not for it.

        A row may be asked for by its aliases, too; those that stand in for it have to fit as well.
        """
        found = self.lookup(name)
        if not models:
            return found
        row = name if isinstance(found, str) else found.name
        if not is_within(models, name, row):
            return None
        if isinstance(found, str) or (rule := self._rows.rule(row)) is None:
            return found
        if (within := self._within.get((row, models))) is None:
            barred = [
                each.name
                for each in self._policy.models
                if each.name != row and not is_within(models, each.name)
            ]
            self._within[row, models] = within = self._by_rule(rule, barred)
        return structs.replace(
            within, local_only=found.local_only, plain=within.plain and found.plain
        )

    def may_be_local_only(self, name: str) -> bool:
        """Say whether what is asked by a name must stay here; of one nobody knows yet it may be."""
        route = self.lookup(name)
        return isinstance(route, str) or route.local_only

    def _stays(self, *names: str) -> bool:
        """Say whether what goes by these names must stay: one row that keeps it is enough."""
        return any(name in self._private or self._rows.keeps(name) for name in names)

    def _by_pattern(self, name: str, *others: str) -> Route | None:
        rule = self._rows.matching(name)
        if rule is None:
            return None
        route = self._by_row[rule.name]
        if self._stays(name, *others):
            return structs.replace(route, local_only=True, plain=False)
        return route

    def defaults_of(self, name: str) -> dict[str, Raw]:
        """Return what the row of a name fills in; ask only where `defaults` holds anything."""
        route = self.lookup(name)
        return {} if isinstance(route, str) else self.defaults.get(route.name, {})

    def name_of(self, name: str) -> str:
        """Return the name under which a name's traffic is counted: that of its row, or itself."""
        route = self.lookup(name)
        return name if isinstance(route, str) else route.name

    def names(self, models: tuple[str, ...] = ()) -> Iterator[str]:
        """List every name that can be resolved, configured ones first, none twice.

        With `models`, those for which one may ask who is held to them.
        """
        seen: set[str] = set()
        for name in self._all_names():
            if name not in seen:
                seen.add(name)
                rule = self._rows.named.get(name)
                if is_within(models, name, name if rule is None else rule.name):
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

    def _by_rule(self, rule: ModelRule, barred: Iterable[str] = ()) -> Route:
        local_only = self._rows.is_local(rule)
        route = self._route(rule.name, self._rows.chain(rule, barred), local_only=local_only)
        return structs.replace(
            route,
            exo=rule.exo,
            plain=route.plain and not rule.on_demand,
            on_demand=rule.on_demand,
            commit_at_answer=rule.commit_at_answer,
            continues=rule.continues,
        )

    def _route(self, name: str, links: tuple[Link, ...], *, local_only: bool) -> Route:
        tiers = [tier for link in links for tier in self._tiers(link)]
        first: Side = tiers[0].side if tiers else self._policy.order[0]
        stays = local_only or self._policy.local_only
        plain = bool(tiers) and len(tiers[0].models) == 1 and not stays
        return Route(name, tuple(tiers), first, stays, plain=plain, exo=links[0].exo)

    def _tiers(self, link: Link) -> Iterator[Tier]:
        for side in self._policy.order:
            if side == "exo" and link.exo:
                yield Tier("exo", link.exo, row=link.name)
            yield from self._provider_tiers(link, side)

    def _provider_tiers(self, link: Link, side: Side) -> Iterator[Tier]:
        """List the providers of a side; those of the house come behind Exo's nodes."""
        for name, provider in self._clouds.providers.items():
            models = tuple(model for at, model in link.cloud if at == name)
            if models and provider.cloud.side == side:
                yield Tier(side, models, name, row=link.name)


def _by_turns(sources: list[Iterable[str]]) -> Iterator[str]:
    """Take names from each source in turn, so that one that tells thousands hides no other's."""
    for names in islice(zip_longest(*sources), SCAN):
        yield from (name for name in names if name is not None)
