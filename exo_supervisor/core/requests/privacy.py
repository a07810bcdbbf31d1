"""What must stay in the house: a rule that comes later holds for requests under way, too."""

from collections.abc import Iterable

from exo_supervisor.core.requests.catalog import Catalog
from exo_supervisor.core.requests.clients import Clients
from exo_supervisor.core.requests.request import RequestState


def tighten(states: Iterable[RequestState], catalog: Catalog, clients: Clients) -> None:
    """Hold requests to rows and clients that are stricter than what they began with.

    What must stay from now on goes to no other cloud, and what had to stay when it came still has
    to.
    """
    for state in states:
        route = catalog.lookup(state.event.model)
        stays = not isinstance(route, str) and route.local_only
        stays = stays or clients.rule_of(state.event.client).local_only
        state.seen.local_only = state.seen.local_only or stays
