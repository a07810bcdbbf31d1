"""Which user is at the other end of a Unix socket."""

import socket
from struct import Struct
from typing import cast

from aiohttp import web

_LINUX = Struct("=3i")
"""struct ucred of unix(7): process, user, group."""
_BSD_LEVEL, _BSD_PEER = 0, 1
"""SOL_LOCAL and LOCAL_PEERCRED of unix(4) on macOS and the BSDs."""
_BSD = Struct("=2I")
_BSD_SIZE = 76
"""Bytes of struct xucred: version, user, and up to 16 groups, of which the first two are read."""


def socket_of(request: web.BaseRequest) -> socket.socket | None:
    """Return the socket that a request came over; None once its client is gone."""
    if request.transport is None:
        return None
    return cast("socket.socket | None", request.transport.get_extra_info("socket"))


def user_of(peer: socket.socket) -> int | None:
    """Return the user id; None where nobody can tell, as of a client that is gone."""
    if peer.family != socket.AF_UNIX:
        return None
    linux: int | None = getattr(socket, "SO_PEERCRED", None)
    try:
        if linux is not None:
            return _LINUX.unpack(peer.getsockopt(socket.SOL_SOCKET, linux, _LINUX.size))[1]
        return read_xucred(peer.getsockopt(_BSD_LEVEL, _BSD_PEER, _BSD_SIZE))
    except OSError:
        return None


def read_xucred(raw: bytes) -> int | None:
    """Read the user of a struct xucred; None if it is of another version than 0, or cut."""
    if len(raw) < _BSD.size:
        return None
    version, user = _BSD.unpack_from(raw)
    return user if version == 0 else None
