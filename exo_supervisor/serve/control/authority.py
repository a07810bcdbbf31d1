"""Who may give orders: root, the service's own user, one group's members, and clients so named."""

import os
import socket

import structlog
from aiohttp import web

from exo_supervisor.core.outcomes import BadRequestError, Refusal
from exo_supervisor.http.peer import groups_of, user_of
from exo_supervisor.serve.peer import client_of, socket_of

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
        peer = socket_of(request)
        user = None if peer is None else user_of(peer)
        rule = client_of(request)
        who = {"client_uid": user, "client": rule.name}
        if user in self._users or rule.admin or (peer is not None and self._is_admin(peer)):
            log.info("order_given", order=order, **who)
            return
        log.warning("order_refused", order=order, **who)
        text = "only root, the service's user, members of server.admin_group and clients with"
        text += " admin = true may give orders"
        if user is None:
            text += "; over TCP such clients alone"
        raise BadRequestError(Refusal(403, "not_allowed", text))

    def _is_admin(self, peer: socket.socket) -> bool:
        return self._admin_group is not None and self._admin_group in groups_of(peer)
