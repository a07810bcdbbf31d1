"""Who may give orders: root, the service's own user, and the members of one group."""

import os
import socket

import structlog
from aiohttp import web

from exo_supervisor.core.outcomes import BadRequestError, Refusal
from exo_supervisor.http.peer import groups_of, user_of
from exo_supervisor.serve.peer import socket_of

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("orders")

ROOT = 0


class Authority:
    """Decides on orders by the peer's credentials, which the kernel vouches for, and logs each.

    Over TCP nobody can tell who is at the other end, so that no order is taken there, whatever
    token comes with it.
    """

    def __init__(self, admin_group: int | None = None) -> None:
        self._admin_group = admin_group
        self._users = frozenset({ROOT, os.geteuid()})

    def check(self, request: web.BaseRequest, order: str) -> None:
        """Let an order pass, or raise BadRequestError."""
        peer = socket_of(request)
        user = None if peer is None else user_of(peer)
        if user in self._users or (peer is not None and self._is_admin(peer)):
            log.info("order_given", order=order, client_uid=user)
            return
        log.warning("order_refused", order=order, client_uid=user)
        text = "only root, the service's user and members of server.admin_group may give orders"
        if user is None:
            text += ", over the Unix socket"
        raise BadRequestError(Refusal(403, "not_allowed", text))

    def _is_admin(self, peer: socket.socket) -> bool:
        return self._admin_group is not None and self._admin_group in groups_of(peer)
