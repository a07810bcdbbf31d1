"""Which providers are asked for their lists of models, and by which way."""

from collections.abc import Iterator
from functools import partial

from anyio.streams.memory import MemoryObjectSendStream

from exo_supervisor.app.inputs import Inputs
from exo_supervisor.app.policy import off_by_privacy
from exo_supervisor.app.price_book import list_of
from exo_supervisor.app.proxies import proxy_of
from exo_supervisor.core.books.book import Prices
from exo_supervisor.core.events import Event
from exo_supervisor.core.names import ProviderName
from exo_supervisor.fleet_io.fetch import Fetcher
from exo_supervisor.fleet_io.provider_models import Listing, Source
from exo_supervisor.http.client import Client
from exo_supervisor.http.url import Proxy
from exo_supervisor.runtime.policy_and_keys import PolicyAndKeys


def listings(
    given: Inputs,
    current: PolicyAndKeys,
    clouds: Client,
    house: Client,
    send: MemoryObjectSendStream[Event],
    prices: Prices,
) -> Iterator[Listing]:
    """Ask the providers for their lists, those behind one proxy together."""
    ways: dict[tuple[Client, Proxy | None], list[Source]] = {}
    off = off_by_privacy(given.config)
    for each in given.config.providers:
        if each.name in given.keys and each.name not in off:
            key = partial(current.key, each.name)
            source = Source(
                ProviderName(each.name), each.base_url, key, each.dialect, each.local,
                list_of(prices, each, given.config.budget.currency),
            )  # fmt: skip
            way = house if each.local else clouds, proxy_of(each)
            ways.setdefault(way, []).append(source)
    for way, sources in ways.items():
        yield Listing(Fetcher(*way).get, send, sources)
