"""Asks each provider which models it has, at start and then every few minutes."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from msgspec import UNSET

from exo_supervisor.core.books.price import Price
from exo_supervisor.core.events import Event, ProviderFailed, ProviderListed, ProviderVetted
from exo_supervisor.core.names import ModelId, ProviderName
from exo_supervisor.runtime.fetch import Get, GetError
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.exo.identity import HttpAnswer
from exo_supervisor.wire.ollama.housed import read_housed
from exo_supervisor.wire.openai.outbound import read_models
from exo_supervisor.wire.table import DIALECTS

FIRST_PAUSE = 10.0
"""Seconds before a provider that failed is asked again; it doubles up to the interval."""

VET_EVERY = 30.0
"""Seconds after which one of the house is asked again what it hands on: any name may be by then."""
_LONGEST = 16 * 2**20
_BAD_KEY = frozenset({401, 402, 403})
_NO_ROUTE = frozenset({400, 404, 405, 410, 501})


TakePrices = Callable[[Mapping[ModelId, Price | None]], None]


class Source(NamedTuple):
    """A provider, its base URL, and where its key is to be had at the moment of asking.

    `priced` is told what it asks for its models, where its list can be trusted with that.
    """

    name: ProviderName
    url: str
    key: Callable[[], str | None]
    dialect: str = "openai"
    local: bool = False
    priced: TakePrices | None = None


class Listing:
    """Keeps the lists of all providers fresh; `interval` and `timeout` in seconds."""

    name = "listing"

    def __init__(
        self,
        get: Get,
        inbox: MemoryObjectSendStream[Event],
        providers: Sequence[Source],
        *,
        interval: float = 300.0,
        timeout: float = 10.0,
    ) -> None:
        self._get, self._inbox, self._providers = get, inbox, providers
        self._interval, self._timeout = interval, timeout

    async def run(self) -> None:
        """Ask until cancelled."""
        async with anyio.create_task_group() as tasks:
            for source in self._providers:
                tasks.start_soon(self._poll, source)

    async def _poll(self, source: Source) -> None:
        pause = FIRST_PAUSE
        while True:
            if source.local and (vetted := await vet(self._get, source, self._timeout)):
                await self._inbox.send(vetted)
            event = await ask_for_list(self._get, source, self._timeout)
            await self._inbox.send(event)
            if isinstance(event, ProviderListed):
                if source.priced is not None:
                    source.priced(event.prices)
                pause = FIRST_PAUSE
                await anyio.sleep(
                    min(self._interval, VET_EVERY) if source.local else self._interval
                )
            else:
                await anyio.sleep(min(pause, self._interval))
                pause *= 2


async def vet(get: Get, source: Source, wait: float) -> ProviderVetted | None:
    """Ask a provider of the house what it serves itself, as Ollama tells it; None: it did not say.

    Who hides it may hand anything on; who has no such route is no Ollama.
    """
    headers = DIALECTS[source.dialect].headers(source.key())
    url = f"{source.url.rstrip('/').removesuffix('/v1')}/api/tags"
    try:
        reply = await get(url, timeout=wait, limit=_LONGEST, headers=headers)
    except GetError:
        return None
    housed: frozenset[ModelId] | None = None
    if reply.status in _BAD_KEY:
        housed = frozenset()
    elif reply.status == HTTPStatus.OK:
        housed = read_housed(reply.body)
    elif reply.status not in _NO_ROUTE:
        return None
    return ProviderVetted(provider=source.name, housed=housed)


async def ask_for_list(get: Get, source: Source, wait: float) -> ProviderListed | ProviderFailed:
    """Ask a provider once which models it has, which costs no token; `wait` in seconds."""
    provider, dialect = source.name, DIALECTS[source.dialect]
    url, headers = dialect.models_url(source.url), dialect.headers(source.key())
    try:
        reply = await get(url, timeout=wait, limit=_LONGEST, headers=headers)
    except GetError as fault:
        return ProviderFailed(provider=provider, why=fault.why, detail=fault.detail)
    return _judge(provider, reply)


def _judge(provider: ProviderName, reply: HttpAnswer) -> ProviderListed | ProviderFailed:
    if reply.status in _BAD_KEY:
        detail = f"its list was refused with status {reply.status}"
        return ProviderFailed(provider=provider, why="bad_key", detail=detail, answered=True)
    if reply.status != HTTPStatus.OK:
        detail = f"status {reply.status} instead of a list of models"
        return ProviderFailed(provider=provider, why="bad_answer", detail=detail, answered=True)
    try:
        models = read_models(reply.body)
    except WireError as fault:
        return ProviderFailed(provider=provider, why="bad_answer", detail=str(fault), answered=True)
    contexts = {model: facts.context for model, facts in models.items() if facts.context}
    can = {model: facts.capabilities for model, facts in models.items() if facts.capabilities}
    prices = {model: facts.price for model, facts in models.items() if facts.price is not UNSET}
    return ProviderListed(
        provider=provider, models=tuple(models), contexts=contexts, capabilities=can, prices=prices
    )
