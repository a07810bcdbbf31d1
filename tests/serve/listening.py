"""Our own listener on loopback, for tests that look at the bytes."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from socket import socket

from aiohttp import web

from exo_supervisor.serve.door import Door
from exo_supervisor.serve.listener import Listener, Serve
from exo_supervisor.serve.response import ClientLeftError, Reply

HOST = "127.0.0.1"


@asynccontextmanager
async def listening(serve: Serve, door: Door | None = None) -> AsyncGenerator[int]:
    """Serve on loopback; the port is what comes back."""
    listener = Listener(drain_timeout=0.2, door=door)
    bound = socket()
    bound.bind((HOST, 0))
    await listener.listen([bound], serve)
    try:
        yield bound.getsockname()[1]
    finally:
        await listener.drain()


def replying(talk: Callable[[Reply], Awaitable[None]]) -> Serve:
    """Answer each request by talking to its client."""

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        reply = Reply(request, "req-1")
        try:
            await talk(reply)
        except ClientLeftError:
            reply.drop()
        return reply.response

    return serve
