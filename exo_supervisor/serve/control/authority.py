"""Who may give orders: root, the service's own user, one group's members, and clients so named."""

import os
from collections.abc import Callable

import structlog
from aiohttp import web

from exo_supervisor.core.outcomes import BadRequestError, Refusal
from exo_supervisor.core.policy import DEFAULT_CLIENT
from exo_supervisor.http.peer import groups_of
from exo_supervisor.serve.peer import client_of, socket_of, user_at

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("orders")

ROOT = 0


class Authority:
    """Decides on orders by the peer's credentials, which the kernel vouches for, and logs each.

    Over TCP nobody can tell who is at the other end, so that no order is taken there but with a
    token of a client whose row says `admin = true`.
    """

    def __init__(self, admin_group: int | None = None) -> None:
        self._admin_group = admin_group
        self._users = frozenset({ROOT, os.geteuid()})

    def check(self, request: web.BaseRequest, order: str) -> None:
        """Let an order pass, or raise BadRequestError."""
        user, rule = user_at(request), client_of(request)
        who = {"client_uid": user, "client": rule.name}
        if self.may(request):
            log.info("order_given", order=order, **who)
            return
        log.warning("order_refused", order=order, **who)
        text = "only root, the service's user, members of server.admin_group and clients with"
        text += " admin = true may give orders"
        if user is None:
            text += "; over TCP such clients alone"
        raise BadRequestError(Refusal(403, "not_allowed", text))

    def may(self, request: web.BaseRequest) -> bool:
        """Say whether a client may give orders; nothing is logged of it."""
        peer = socket_of(request)
        if user_at(request) in self._users or client_of(request).admin:
            return True
        return peer is not None and self._admin_group in groups_of(peer)

    def sees(self, request: web.BaseRequest) -> Callable[[str, int | None], bool]:
        """Say of which clients and users the one who asks may see the requests.

        Its own, and with authority all. Clients whom no row of the configuration names are told
        apart by their users alone.
        """
        name, user, over_all = client_of(request).name, user_at(request), self.may(request)

        def sees(client: str, uid: int | None) -> bool:
            own = client == name and (name != DEFAULT_CLIENT.name or uid == user)
            return over_all or own

        return sees
