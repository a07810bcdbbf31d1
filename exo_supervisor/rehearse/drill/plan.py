"""What is drilled: one model of the user's configuration, its timers shortened in proportion."""

from collections.abc import Mapping
from math import ceil
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from exo_supervisor.app.policy import cloud_timers
from exo_supervisor.config.schema import Config, Discovery, Model, Provider
from exo_supervisor.core.policy import WAITS, Waits

LONGEST = 10.0
"""Seconds that the longest timer of a drill may have; all others shrink in proportion."""
SHORTEST = 0.5
"""Seconds below which no timer shrinks, or a busy machine would look like a faulty target."""

_BUILT_IN = "llama-3.2-3b"
_EXO_ID = "mlx-community/Llama-3.2-3B-Instruct-4bit"
_CLOUD_ID = "meta-llama/llama-3.2-3b-instruct"
T = TypeVar("T", bound=Struct)
_PRETEND = Provider(name="cloud", base_url="http://127.0.0.1")


class Plan(Struct, frozen=True):
    """One drill; `config` has yet to be told where the pretend targets are.

    `about` says in a few words where the model is from; timers are the user's divided by `scale`.
    """

    config: Config
    model: Model
    about: str
    scale: int

    @property
    def local_only(self) -> bool:
        """Whether no request of this model may leave the house."""
        return "local_only" in (self.model.privacy, self.config.routing.privacy)

    @property
    def waits(self) -> Waits:
        """What no setting reaches, shortened in proportion, too."""
        return replace(WAITS, idle=_shrink(WAITS.idle, self.scale))

    @property
    def exo_first(self) -> bool:
        """Whether Exo is asked before any cloud."""
        return bool(self.model.exo) and self.config.routing.order[0] == "exo"

    @property
    def cloud_ids(self) -> dict[str, tuple[str, ...]]:
        """The ids that each provider is asked for."""
        pairs = [entry.partition("/") for entry in self.model.cloud]
        return {
            provider.name: tuple(rest for name, _, rest in pairs if name == provider.name)
            for provider in self.config.providers
        }

    def at(self, node: str | None, clouds: Mapping[str, str]) -> Config:
        """Put the pretend targets in the place of the user's: a node's URL, each cloud's."""
        found = Discovery(
            static=() if node is None else (node,),
            broadcast="off",
            mdns=False,
            multicast=False,
            crawl=False,
        )
        providers = [replace(each, base_url=clouds[each.name]) for each in self.config.providers]
        return replace(self.config, discovery=found, providers=tuple(providers))


def draw_up(config: Config, name: str | None) -> Plan:
    """Plan the drill of a configured model, the first if none is named; KeyError if none has it.

    Where no model is configured, one is made up for the targets that the file has; where no
    provider is either, a pretend cloud comes with it.
    """
    if name is None and not config.models:
        return _made_up(config)
    found = {each.name: each for each in config.models}
    return _plan(config, found[name] if name is not None else config.models[0], "as configured")


def _made_up(config: Config) -> Plan:
    providers = config.providers or (_PRETEND,)
    cloud = tuple(f"{each.name}/{(each.models or (_CLOUD_ID,))[0]}" for each in providers)
    model = Model(name=_BUILT_IN, exo=(_EXO_ID,), cloud=cloud)
    about = "a built-in one, no [[model]] is configured"
    return _plan(replace(config, providers=providers), model, about)


def _plan(config: Config, model: Model, about: str) -> Plan:
    named = {entry.partition("/")[0] for entry in model.cloud}
    used = [each for each in config.providers if each.name in named]
    used.sort(key=lambda each: each.priority)
    scale = _scale(config, used)
    server = replace(config.server, tcp="", drain_timeout=SHORTEST)
    drilled = replace(
        config,
        server=_quickened(server, scale, "head"),
        health=_quickened(config.health, scale, "interval", "ready_interval"),
        breaker=_quickened(config.breaker, scale, "rest", "rest_max"),
        timeouts=_quickened(config.timeouts, scale, *config.timeouts.__struct_fields__),
        routing=replace(config.routing, patience=config.routing.patience / scale),
        providers=tuple(
            _shrunk(each, config, scale, place) for place, each in enumerate(used, start=1)
        ),
        models=(model,),
    )
    return Plan(drilled, model, about, scale)


def _quickened(table: T, scale: int, *timers: str) -> T:
    """Shrink these timers of a table."""
    return replace(table, **{name: _shrink(getattr(table, name), scale) for name in timers})


def _shrunk(provider: Provider, config: Config, scale: int, place: int) -> Provider:
    """Give a provider a place of its own, so that it is known who is asked first, and timers."""
    timers, headers = cloud_timers(provider, config.timeouts), provider.headers
    return replace(
        provider,
        priority=place,
        connect=_shrink(timers.connect, scale),
        first_content=_shrink(timers.first_content, scale),
        headers=None if headers is None else _shrink(headers, scale),
        stall=_shrink(timers.stall, scale),
    )


def _scale(config: Config, providers: list[Provider]) -> int:
    """Find the divisor that brings every wait of the drill down to what a person waits for."""
    timers = config.timeouts
    waits = [timers.connect, timers.headers, timers.first_content, timers.first_content_max]
    waits += [timers.stall, config.breaker.rest, config.routing.patience]
    for each in providers:
        own = cloud_timers(each, timers)
        waits += [own.connect, own.first_content, own.stall, each.headers or 0.0]
    return max(1, ceil(max(waits) / LONGEST))


def _shrink(seconds: float, scale: int) -> float:
    return min(seconds, max(SHORTEST, seconds / scale))
