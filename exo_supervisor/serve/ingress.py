"""The way in for chats: what every reception shares, and where each begins."""

from collections.abc import Callable

from msgspec import Struct

from exo_supervisor.core.requests.admission import Gate
from exo_supervisor.core.requests.catalog import Catalog
from exo_supervisor.serve.context import Context
from exo_supervisor.serve.dispatch_head import DispatchHead
from exo_supervisor.serve.inspector import Inspector
from exo_supervisor.serve.interfaces import Client
from exo_supervisor.serve.live import LiveRequests
from exo_supervisor.serve.reception import Reception
from exo_supervisor.views.request_done import RequestDone, RequestLine


class Ingress(Struct, frozen=True):
    """What every reception shares, and how one begins."""

    context: Context
    gate: Gate
    live: LiveRequests
    done: Callable[[RequestDone], None]
    max_body: int
    catalog: Catalog
    """Knows what rows fill into requests."""
    started: Callable[[RequestLine], None]
    inspector: Inspector

    def begin(self, client: Client, dispatch: DispatchHead, length: int | None) -> Reception:
        """Take a request in by its head; `length` is what that announces of the body."""
        reception = Reception(self, client, dispatch)
        reception.begin(length)
        return reception
