"""What answers everything but chats, on aiohttp, which takes as long to import as the rest."""

from collections.abc import Callable
from functools import partial

from exo_supervisor.core.events import Event
from exo_supervisor.core.machine import Machine
from exo_supervisor.serve.browser import PAGE
from exo_supervisor.serve.clients import Clients
from exo_supervisor.serve.control.about import About
from exo_supervisor.serve.control.authority import Authority
from exo_supervisor.serve.control.event_stream import EVENTS, EventStream
from exo_supervisor.serve.control.handed_over import HandedOver
from exo_supervisor.serve.control.inspecting import INSPECT, Inspecting
from exo_supervisor.serve.control.ledger_route import LEDGER, LedgerRoute
from exo_supervisor.serve.control.page import Page
from exo_supervisor.serve.control.plain import answer
from exo_supervisor.serve.control.recorded import REQUESTS, SHIFTS, Recorded
from exo_supervisor.serve.control.routes import Below, Routes
from exo_supervisor.serve.control.token_orders import TOKENS, TokenOrders
from exo_supervisor.serve.inspector import Inspector
from exo_supervisor.serve.tokens import Tokens


def handed_over(
    machine: Machine, ask: Callable[[Event], None], about: About, admin_group: int | None,
    tokens: Tokens, clients: Clients, inspector: Inspector,
) -> HandedOver:  # fmt: skip
    """Make what answers the requests of one listener that are no chats."""
    authority = Authority(admin_group)
    recorded = Recorded(machine, about, authority)
    below: dict[str, Below] = {
        TOKENS: TokenOrders(tokens, clients, authority).look,
        REQUESTS: recorded.requests,
        SHIFTS: recorded.shifts,
        INSPECT: Inspecting(inspector, clients, authority).look,
        LEDGER: LedgerRoute(about.ledger, authority).look,
        PAGE: Page(clients.sessions).look,
        EVENTS: EventStream(about.pulse, authority).look,
    }
    routes = Routes(machine, ask, about, authority, below)
    return HandedOver(partial(answer, routes.look))
