"""Which providers there are, which models they list, and whether their keys still work."""

from typing import Literal

from msgspec import Struct

from exo_supervisor.core.names import ModelId, ProviderName
from exo_supervisor.core.policy import Cloud

KEY_REST = 300.0
"""Seconds for which a refused key is left alone; a person may have mended it by then."""

State = Literal["off", "unknown", "ready", "unreachable", "bad_key"]


class Provider(Struct):
    """One provider and what was last heard of it."""

    cloud: Cloud
    listed: dict[ModelId, None]
    looked: bool = False
    why: str = ""
    bad_key_until: float | None = None
    reached: bool | None = None

    def usable(self, now: float) -> bool:
        """Say whether it may be asked: it has a key that was not refused of late."""
        return self.cloud.keyed and (self.bad_key_until is None or now >= self.bad_key_until)

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
    """Owns the providers, in order of priority; the table never grows."""

    def __init__(self, clouds: tuple[Cloud, ...]) -> None:
        ordered = sorted(clouds, key=lambda cloud: cloud.priority)
        self.providers: dict[ProviderName, Provider] = {
            cloud.name: Provider(cloud, dict.fromkeys(cloud.models)) for cloud in ordered
        }

    def get(self, name: str) -> Provider | None:
        """Look a provider up by its name."""
        return self.providers.get(ProviderName(name))

    def with_model(self, model: ModelId) -> list[ProviderName]:
        """List the providers that have a model under this very id, the preferred one first."""
        return [name for name, provider in self.providers.items() if provider.has(model)]

    def listed(self, name: ProviderName, models: tuple[ModelId, ...]) -> None:
        """Take a provider's own list in; what was configured for it limits the list."""
        provider = self.providers[name]
        provider.looked, provider.reached, provider.why = True, True, ""
        if not provider.cloud.models:
            provider.listed = dict.fromkeys(models)

    def failed(self, name: ProviderName, why: str) -> None:
        """Note that a provider did not give its list; what it listed before still stands."""
        provider = self.providers[name]
        provider.looked, provider.reached, provider.why = True, False, why

    def refused_key(self, name: ProviderName, now: float) -> None:
        """Leave a provider alone for a while, since it refused the key."""
        provider = self.providers[name]
        provider.bad_key_until, provider.looked = now + KEY_REST, True

    def took_key(self, name: ProviderName) -> None:
        """Note that a provider answered with content, which proves the key."""
        provider = self.providers[name]
        provider.bad_key_until, provider.reached, provider.why = None, True, ""
