"""Who may give orders: root, the service's own user, and the members of one group."""

import os
import socket
from struct import iter_unpack

import structlog
from aiohttp import web

from exo_supervisor.core.outcomes import BadRequestError, Refusal
from exo_supervisor.http.peer import user_of
from exo_supervisor.serve.peer import socket_of

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("orders")

ROOT = 0
_GROUPS_SIZE = 1024
"""Bytes for the groups of a peer, all that Python asks for: who is in more than 256 is in none."""


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


def groups_of(peer: socket.socket) -> frozenset[int]:
    """Return the groups of whoever connected to a Unix socket, as they were then."""
    own: int | None = getattr(socket, "SO_PEERCRED", None)
    all_of: int = getattr(socket, "SO_PEERGROUPS", 59)
    if own is None or peer.family != socket.AF_UNIX:
        return frozenset()
    try:
        credentials = peer.getsockopt(socket.SOL_SOCKET, own, 12)
        groups = peer.getsockopt(socket.SOL_SOCKET, all_of, _GROUPS_SIZE)
    except OSError:
        return frozenset()
    primary = [gid for _, _, gid in iter_unpack("=3i", credentials)]
    return frozenset([*primary, *(gid for (gid,) in iter_unpack("=I", groups))])
