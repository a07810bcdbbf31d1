"""Which providers there are, which models they list, and whether their keys still work."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field, structs

from exo_supervisor.core.fleet.provider_keys import GOOD, Key, prove, refuse
from exo_supervisor.core.names import ModelId, ProviderName
from exo_supervisor.core.near_names import near, similar_clause
from exo_supervisor.core.outcomes import TELLING, Fault
from exo_supervisor.core.policy import Cloud

_UNREACHED = frozenset({Fault.CONNECT, Fault.CONNECT_TIMEOUT, Fault.TLS, Fault.NOT_LOCAL})
_ANSWERED = frozenset(
    {
        Fault.NONE, Fault.SERVER_ERROR, Fault.BAD_STATUS, Fault.CONTENT_TYPE, Fault.ERROR_EVENT,
        Fault.BUSY, Fault.NOT_PLACED, *TELLING,
    }
)  # fmt: skip
"""Ends of an attempt that only an HTTP answer can bring."""

State = Literal["off", "unknown", "ready", "unreachable", "bad_key"]


class Provider(Struct):
    """One provider and what was last heard of it.

    `listed` are the models that it may be asked for by their own ids, `own` those of its own list.
    `contexts` are the tokens that they take, where it told, and `capabilities` what they can.
    `reached` is whether it gave any HTTP answer since it last could not be reached.
    """

    cloud: Cloud
    listed: dict[ModelId, None]
    own: dict[ModelId, None] = field(default_factory=dict[ModelId, None])
    contexts: Mapping[ModelId, int] = {}
    capabilities: Mapping[ModelId, tuple[str, ...]] = {}
    looked: bool = False
    why: str = ""
    keys: list[Key] = field(default_factory=list[Key])
    """One for each of `cloud.keys`, in their order."""
    reached: bool | None = None
    vetted: bool = False
    """One of the house was asked which models it serves itself: it may hand others on."""
    housed: frozenset[ModelId] | None = None
    """Those that it named; None: it hands none on."""

    def serves(self, model: ModelId) -> bool:
        """Say whether it may be asked for a model: one of the house for what stays in it.

        Ollama serves models of its own cloud beside those on its disk, under names that end so, or
        under any name that was given to one; until it has told of which, it is asked for none.
        """
        if not self.cloud.local:
            return True
        if not self.vetted or model.casefold().endswith("cloud"):
            return False
        return self.housed is None or not self.housed.isdisjoint((model, f"{model}:latest"))

    def usable(self, now: float) -> bool:
        """Say whether it may be asked: it has a key that was not refused of late."""
        return self.first_key(now) is not None

    def first_key(self, now: float) -> int | None:
        """Return the place of the first key that may be tried."""
        if self.keys and self.keys[0] is GOOD:  # nearly always
            return 0
        for place, key in enumerate(self.keys):
            if key.usable(now):
                return place
        return None

    def key_why(self) -> str:
        """Say in its own words why it refuses a key, where it told."""
        return next((key.why for key in self.keys if key.why), "")

    def stands_by(self, now: float) -> bool:
        """Say whether it may be asked and was reached since its last failure."""
        return self.usable(now) and self.reached is True

    def lacks(self, model: ModelId) -> bool:
        """Say whether its own list, where it gave one, does not name a model."""
        return bool(self.own) and model not in self.own

    def has(self, model: ModelId) -> bool:
        """Say whether the provider lists a model, or was configured to have it."""
        return model in self.listed

    def state(self, now: float) -> State:
        """Name its state for people."""
        if not self.keys:
            return "off"
        if not self.usable(now):
            return "bad_key"
        if self.reached is None:
            return "unknown"
        return "ready" if self.reached else "unreachable"


class Clouds:
    """Owns the providers, in order of priority: those of the configuration, and no other.

    What is told of one that left the configuration meanwhile changes nothing.
    """

    def __init__(self, clouds: tuple[Cloud, ...]) -> None:
        self.providers: dict[ProviderName, Provider] = {}
        self.follow(clouds)

    def follow(self, clouds: tuple[Cloud, ...]) -> list[ProviderName]:
        """Take other providers in, and name those that are no longer who they were.

        Who stays where it is keeps what was heard of it, but for a refused key: it may be a new
        one, and asking costs one attempt.
        """
        before, self.providers = self.providers, {}
        for cloud in sorted(clouds, key=lambda cloud: cloud.priority):
            known = before.get(cloud.name)
            keys = [GOOD] * cloud.keys
            provider = Provider(cloud, dict.fromkeys(cloud.models), keys=keys)
            if known is not None and _stayed(known, provider):
                provider = structs.replace(known, cloud=cloud, keys=keys)
                provider.listed = dict.fromkeys(cloud.models) or known.own
            self.providers[cloud.name] = provider
        return [name for name, was in before.items() if not _stayed(was, self.get(name))]

    def get(self, name: str) -> Provider | None:
        """Look a provider up by its name."""
        return self.providers.get(ProviderName(name))

    def count_keys(self, name: str) -> int:
        """Return how many keys a provider has; none where it is off, or left the configuration."""
        provider = self.get(name)
        return 0 if provider is None else len(provider.keys)

    def with_model(self, model: ModelId) -> list[ProviderName]:
        """List the providers that have a model under this very id, the preferred one first."""
        return [name for name, provider in self.providers.items() if provider.has(model)]

    def unlisted(self, name: ProviderName, model: ModelId) -> str:
        """Say that a provider's own list does not name a model, and what comes near; else empty."""
        provider = self.providers.get(name)
        if provider is None or not provider.lacks(model):
            return ""
        return f"{name} does not list {model}" + similar_clause(near(model, provider.own))

    def listed(
        self,
        name: ProviderName,
        models: tuple[ModelId, ...],
        contexts: Mapping[ModelId, int] | None = None,
        capabilities: Mapping[ModelId, tuple[str, ...]] | None = None,
    ) -> None:
        """Take a provider's own list in; what was configured for it limits the list."""
        provider = self.providers[name]
        provider.looked, provider.reached, provider.why = True, True, ""
        models = tuple(model for model in models if provider.serves(model))
        provider.own, provider.contexts = dict.fromkeys(models), contexts or {}
        provider.capabilities = capabilities or {}
        if not provider.cloud.models:
            provider.listed = provider.own

    def vetted(self, name: ProviderName, housed: frozenset[ModelId] | None) -> None:
        """Note which models one of the house serves itself; None: it hands none on."""
        provider = self.providers.get(name)
        if provider is not None:
            provider.vetted, provider.housed = True, housed

    def failed(self, name: ProviderName, why: str, *, answered: bool = False) -> None:
        """Note that a provider did not give its list; what it listed before still stands.

        One that `answered` has refused its list, but was reached.
        """
        provider = self.providers[name]
        provider.looked, provider.reached, provider.why = True, answered, why

    def attempted(self, name: ProviderName, fault: Fault) -> None:
        """Note what an attempt's end says of whether the provider can be reached."""
        provider = self.providers.get(name)
        if provider is None:
            return
        if fault in _UNREACHED:
            provider.reached, provider.why = False, f"the last request failed: {fault.value}"
        elif fault in _ANSWERED and provider.reached is not True:
            provider.reached, provider.why = True, ""

    def refused_key(
        self, name: str, place: int, now: float, status: int, why: str = ""
    ) -> Key | None:
        """Leave a key of a provider alone for a while; None if it is left alone already."""
        provider = self.get(name)
        if provider is None or place >= len(provider.keys):  # the configuration has changed
            return None
        before = provider.keys[place]
        after = provider.keys[place] = refuse(before, now, status, why)
        provider.looked = True
        if not provider.usable(now):
            provider.reached = None
        return None if after is before else after

    def took_key(self, name: ProviderName, place: int, began: float) -> None:
        """Note that a provider answered with content, which proves the key."""
        provider = self.providers.get(name)
        if provider is None or place >= len(provider.keys):
            return
        if (key := provider.keys[place]) is not GOOD:
            provider.keys[place] = prove(key, began)
        if provider.why or not provider.reached:
            provider.reached, provider.why = True, ""


def _stayed(was: Provider, now: Provider | None) -> bool:
    """Say whether a provider is who it was, in the house or out of it."""
    return now is not None and (now.cloud.url, now.cloud.local) == (was.cloud.url, was.cloud.local)
