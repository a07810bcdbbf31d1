"""The socket that a request came over."""

import socket
from typing import cast

from aiohttp import web


def socket_of(request: web.BaseRequest) -> socket.socket | None:
    """Return the socket; None once its client is gone."""
    if request.transport is None:
        return None
    return cast("socket.socket | None", request.transport.get_extra_info("socket"))
