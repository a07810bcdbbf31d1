"""Who asks, of a request on aiohttp: the socket that it came over, and the rule that holds."""

import socket
from typing import cast

from aiohttp import web

from exo_supervisor.core.policy import DEFAULT_CLIENT, ClientRule
from exo_supervisor.http.peer import user_of

_CLIENT = web.RequestKey("client", ClientRule)


def socket_of(request: web.BaseRequest) -> socket.socket | None:
    """Return the socket; None once its client is gone."""
    if request.transport is None:
        return None
    return cast("socket.socket | None", request.transport.get_extra_info("socket"))


def user_at(request: web.BaseRequest) -> int | None:
    """Return which user asks, where anybody can tell."""
    peer = socket_of(request)
    return None if peer is None else user_of(peer)


def let_in(request: web.BaseRequest, client: ClientRule) -> None:
    """Note which rule holds for whoever asks."""
    request[_CLIENT] = client


def client_of(request: web.BaseRequest) -> ClientRule:
    """Return the rule that holds for whoever asks."""
    return request.get(_CLIENT, DEFAULT_CLIENT)
