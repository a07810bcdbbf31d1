"""Which providers there are, which models they list, and whether their keys still work."""

from typing import Literal

from msgspec import Struct, field, structs

from exo_supervisor.core.names import ModelId, ProviderName
from exo_supervisor.core.near_names import near, similar_clause
from exo_supervisor.core.outcomes import TELLING, Fault
from exo_supervisor.core.policy import Cloud

KEY_REST = 300.0
KEY_REST_MAX = 3600.0
"""Seconds for which a refused key is left alone: first, doubling, at most; it may be mended."""

_UNREACHED = frozenset({Fault.CONNECT, Fault.CONNECT_TIMEOUT, Fault.TLS})
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
    `contexts` are the tokens that they take, where it told. `reached` is whether it gave any HTTP
    answer since it last could not be reached.
    """

    cloud: Cloud
    listed: dict[ModelId, None]
    own: dict[ModelId, None] = field(default_factory=dict[ModelId, None])
    contexts: dict[ModelId, int] = field(default_factory=dict[ModelId, int])
    looked: bool = False
    why: str = ""
    bad_key_until: float | None = None
    key_rest: float = 0.0
    key_why: str = ""
    """Why it refused the key, in its own words, where they are of money and not of the key."""
    reached: bool | None = None

    def usable(self, now: float) -> bool:
        """Say whether it may be asked: it has a key that was not refused of late."""
        return self.cloud.keyed and (self.bad_key_until is None or now >= self.bad_key_until)

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
        if not self.cloud.keyed:
            return "off"
        if self.bad_key_until is not None and now < self.bad_key_until:
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
            provider = Provider(cloud, dict.fromkeys(cloud.models))
            if known is not None and known.cloud.url == cloud.url:
                provider = structs.replace(
                    known, cloud=cloud, bad_key_until=None, key_rest=0.0, key_why=""
                )
                provider.listed = dict.fromkeys(cloud.models) or known.own
            self.providers[cloud.name] = provider
        return [name for name, was in before.items() if not _stayed(was, self.get(name))]

    def get(self, name: str) -> Provider | None:
        """Look a provider up by its name."""
        return self.providers.get(ProviderName(name))

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
        contexts: dict[ModelId, int] | None = None,
    ) -> None:
        """Take a provider's own list in; what was configured for it limits the list."""
        provider = self.providers[name]
        provider.looked, provider.reached, provider.why = True, True, ""
        provider.own, provider.contexts = dict.fromkeys(models), contexts or {}
        if not provider.cloud.models:
            provider.listed = provider.own

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

    def refused_key(self, name: ProviderName, now: float, why: str = "") -> bool:
        """Leave a provider alone for a while, since it refused the key, each time for longer.

        `why` is in its own words. False: it is left alone already, and this was asked before that
        was known.
        """
        provider = self.providers[name]
        if provider.bad_key_until is not None and now < provider.bad_key_until:
            return False
        provider.key_rest = min(KEY_REST_MAX, 2.0 * provider.key_rest or KEY_REST)
        provider.bad_key_until, provider.looked = now + provider.key_rest, True
        provider.reached, provider.key_why = None, why
        return True

    def took_key(self, name: ProviderName) -> None:
        """Note that a provider answered with content, which proves the key."""
        provider = self.providers.get(name)
        if provider is None:
            return
        provider.bad_key_until, provider.key_rest, provider.key_why = None, 0.0, ""
        provider.reached, provider.why = True, ""


def _stayed(was: Provider, now: Provider | None) -> bool:
    return now is not None and now.cloud.url == was.cloud.url
