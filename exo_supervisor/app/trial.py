"""Tries each seed and provider of a configuration once, and spends no token."""

from collections.abc import Collection, Iterator
from typing import Literal

import anyio
from msgspec import Struct

from exo_supervisor.app.border import border_of
from exo_supervisor.app.files import Found
from exo_supervisor.app.proxies import proxy_of
from exo_supervisor.config.schema import Config, Provider
from exo_supervisor.core.events import ProviderListed
from exo_supervisor.core.names import ModelId, ProviderName
from exo_supervisor.core.near_names import near, similar_clause
from exo_supervisor.discovery.static import address_of
from exo_supervisor.fleet_io.fetch import Fetcher
from exo_supervisor.fleet_io.probe import Prober
from exo_supervisor.fleet_io.provider_models import Source, ask_for_list
from exo_supervisor.fleet_io.read_state import read_placement
from exo_supervisor.runtime.fetch import Get, GetError
from exo_supervisor.serve.upstream import open_house, open_sessions
from exo_supervisor.views.explain import reason_of
from exo_supervisor.wire.errors import WireError

LIST_WAIT = 10.0
STATE_WAIT = 5.0


class Finding(Struct):
    """One thing that was tried and what came of it."""

    state: Literal["ok", "warn", "off"]
    kind: Literal["config", "service", "node", "provider", "model", "price", "budget", "ledger"]
    text: str
    by: Literal["here", "service"] = "here"
    """Who tried: this program, or the running service, which may see other keys and nodes."""


async def try_all(
    config: Config,
    found_keys: Found,
    *,
    optional: Collection[str] = (),
) -> list[Finding]:
    """Try everything at once; findings come in the order of the file.

    An `optional` seed is one that nobody wrote down: it is not missed.
    """
    border = border_of(config)
    nodes, clouds = open_sessions(border.why_not)
    house = open_house(border.not_local)
    found: dict[int, list[Finding]] = {}
    async with nodes, clouds, house, anyio.create_task_group() as tasks:

        async def node(place: int, url: str) -> None:
            tried = await _try_node(Fetcher(nodes).get, url, config.health.timeout)
            missed = tried.state != "warn" or url not in optional
            found[place] = [tried if missed else Finding("off", "node", tried.text)]

        async def provider(place: int, each: Provider) -> None:
            get = Fetcher(house if each.local else clouds, proxy_of(each)).get
            tried, listed = await _try_provider(get, each, found_keys)
            found[place] = [*tried, *_unlisted(config, each.name, listed)]

        for place, url in enumerate(config.discovery.static):
            tasks.start_soon(node, place, url)
        for place, each in enumerate(config.providers, start=len(config.discovery.static)):
            tasks.start_soon(provider, place, each)
    return [finding for place in sorted(found) for finding in found[place]]


async def _try_node(get: Get, url: str, wait: float) -> Finding:
    address, began = address_of(url), anyio.current_time()
    prober = Prober(get, url, wait)
    try:
        seen = await prober.look()
        took = anyio.current_time() - began
        read, _ = await read_placement(prober, address, seen, anyio.current_time() + STATE_WAIT)
    except GetError as fault:
        return Finding("warn", "node", f"{address}, {reason_of(fault.why, fault.detail)}")
    except WireError as fault:
        return Finding("warn", "node", f"{address}, its state cannot be read: {fault}")
    ready = sum(placed.ready for placed in read.models)
    models = f"{ready} model{'' if ready == 1 else 's'} ready"
    text = f"{address}, generation {seen.identity.generation}, {models}, {took * 1000:.0f} ms"
    return Finding("ok" if ready else "warn", "node", text)


async def _try_provider(
    get: Get, provider: Provider, keys: Found
) -> tuple[list[Finding], tuple[ModelId, ...]]:
    """Try one provider by each of its keys; also the models that it lists, if any."""
    name = ProviderName(provider.name)
    if name in keys.why_off:
        return [Finding("off", "provider", f"{name}, {keys.why_off[name]}")], ()
    missing = keys.missing.get(name)
    findings = [Finding("warn", "provider", f"{name}, {missing}")] if missing else []
    models: tuple[ModelId, ...] = ()
    held = keys.keys[name]
    for number, secret in enumerate(held or (None,), start=1):
        key = secret and secret.reveal()
        finding, listed = await _try_key(get, provider, key)
        if len(held) > 1:
            finding.text += f" (key {number} of {len(held)})"
        findings.append(finding)
        models = models or listed
    return findings, models


async def _try_key(
    get: Get, provider: Provider, key: str | None
) -> tuple[Finding, tuple[ModelId, ...]]:
    name = ProviderName(provider.name)
    source = Source(name, provider.base_url, lambda: key, provider.dialect)
    told = await ask_for_list(get, source, LIST_WAIT)
    if not isinstance(told, ProviderListed):
        text = f"{name}, {told.detail or reason_of(told.why)}"
        if told.answered and told.why != "bad_key" and (better := await _better_url(get, source)):
            text += f'; but {better} works: base_url = "{better}"'
        return Finding("warn", "provider", text), ()
    if key is None:
        return Finding("ok", "provider", f"{name}, lists {len(told.models)} models"), told.models
    bare = await ask_for_list(get, source._replace(key=lambda: None), LIST_WAIT)
    proven = "list is public, key not proven"
    if not isinstance(bare, ProviderListed) and bare.why == "bad_key":
        proven = "key accepted"
    text = f"{name}, lists {len(told.models)} models; {proven}"
    return Finding("ok", "provider", text), told.models


async def _better_url(get: Get, source: Source) -> str:
    """Find a base URL near a provider's own one that does list models; empty if none does."""
    bare = source.url.rstrip("/")
    others = (f"{bare}/v1", bare.removesuffix("/v1"), f"{bare.removesuffix('/api')}/api/v1")
    for other in dict.fromkeys(others):
        if other != bare:
            told = await ask_for_list(get, source._replace(url=other), LIST_WAIT)
            if isinstance(told, ProviderListed) and told.models:
                return other
    return ""


def _unlisted(config: Config, provider: str, listed: Collection[str]) -> Iterator[Finding]:
    """Warn of each configured model that its provider's own list does not name."""
    rows = [(row.name, *entry.partition("/")) for row in config.models for entry in row.cloud]
    for row, name, _, model in rows:
        if name == provider and listed and model not in listed:
            text = f"{row}, {provider} does not list {model}{similar_clause(near(model, listed))}"
            yield Finding("warn", "model", text)
