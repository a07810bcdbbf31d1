"""One demo server's life: start, kill, end, fall ill, count."""

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Self

import anyio
import msgspec
from aiohttp import web

from exo_supervisor.demo.answers import Answer
from exo_supervisor.demo.diseases import HEALTHY, LOADS, Disease
from exo_supervisor.demo.play import Play, Stream

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
WALL = 4
"""Sockets of a server that is unreachable: one that listens, and enough to fill its queue."""
BODY_LIMIT = 100 * 1024 * 1024


class DemoServer:
    """A real HTTP server on one address, with a disease and counters.

    `pace` is seconds between tokens, `tokens` how many an unlimited answer has,
    `keepalive_every` the seconds between keep-alive comments. Port 0 takes a free one and
    keeps it over `stop` and `start`.
    """

    signature = ""
    reason: str | None = None
    ends_cleanly = True

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        pace: float = 0.02,
        tokens: int = 12,
        keepalive_every: float = 10.0,
    ) -> None:
        self.host = host
        self.port: int = port
        self.pace, self.tokens, self.keepalive_every = pace, tokens, keepalive_every
        self.requests: Counter[str] = Counter()
        self.open_streams = 0
        self.cancelled_streams = 0
        self.cancel_calls = 0
        self.tokens_sent = 0
        self.last_request: dict[str, Any] | None = None
        self.last_headers: dict[str, str] = {}
        self.streams: dict[str, Stream] = {}
        self.gone = anyio.Event()
        self._disease = HEALTHY
        self._stirred = anyio.Event()
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._wall: list[socket.socket] = []

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def alive(self) -> bool:
        return self._listener is not None

    @property
    def disease(self) -> Disease:
        """What it suffers from.

        `dead` and `unreachable` take effect at once and are healed by `start` alone.
        """
        return self._disease

    @disease.setter
    def disease(self, disease: Disease) -> None:
        before, self._disease = self._disease, disease
        self.react(before)
        self.stir()

    def react(self, before: Disease) -> None:  # noqa: ARG002 - for those who care what is over
        """Do what a change of the disease asks for at once."""
        if self._disease.name == "dead":
            self.drop()
        elif self._disease.name == "unreachable":
            self.block()

    def stir(self) -> None:
        """Wake those who wait for a counter."""
        if self._stirred.statistics().tasks_waiting:
            self._stirred.set()
            self._stirred = anyio.Event()

    async def until(self, met: Callable[[], object]) -> None:
        """Wait until `met()` is true of the counters; it is asked again when one has changed."""
        while not met():
            await self._stirred.wait()

    def sent(self, tokens: int) -> None:
        """Count tokens that went to a client."""
        self.tokens_sent += tokens
        self.stir()

    def note(self, request: web.Request, body: dict[str, Any]) -> None:
        """Keep a chat request for tests to look at."""
        self.last_request, self.last_headers = body, dict(request.headers)

    def routes(self) -> list[web.RouteDef]:
        raise NotImplementedError

    async def start(self) -> None:
        """Listen, healthy; raises OSError if the port is taken."""
        if self._runner is not None:
            await self.stop()
        self._unblock()
        app = web.Application(middlewares=[self._attend], client_max_size=BODY_LIMIT)
        app.add_routes([web.post("/demo/disease", self._infect), *self.routes()])
        app.on_response_prepare.append(self._sign)
        runner = web.AppRunner(
            app,
            handle_signals=False,
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=0,
        )
        await runner.setup()
        loop = asyncio.get_running_loop()
        server = runner.server
        assert server is not None  # noqa: S101 - setup() has made it; this narrows the type
        self._listener = await loop.create_server(server, self.host, self.port, backlog=4096)
        self._runner = runner
        self.port = self._listener.sockets[0].getsockname()[1]
        if self._disease.name in {"dead", "unreachable"}:
            self._disease = HEALTHY
        self.gone = anyio.Event()

    def drop(self) -> None:
        """Stop listening and abort every connection at once, as kill -9 does."""
        self.gone.set()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        server = self._runner.server if self._runner else None
        for connection in server.connections if server else ():
            if connection.transport is not None:
                connection.transport.abort()

    def block(self) -> None:
        """Let all who connect from now on wait for ever, as behind a firewall that drops."""
        self.drop()
        self._wall = [socket.socket() for _ in range(WALL)]
        listener, *guests = self._wall
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, self.port))
        listener.listen(0)
        for guest in guests:  # they fill the queue of those whom nobody accepts
            guest.settimeout(0)
            guest.connect_ex((self.host, self.port))

    def _unblock(self) -> None:
        for each in self._wall:
            each.close()
        self._wall.clear()

    async def stop(self) -> None:
        """Die as by kill -9: connections are aborted without a terminator."""
        self._unblock()
        self.drop()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def terminate(self) -> None:
        """Die as by SIGTERM: some servers let running bodies end cleanly, but unfinished."""
        if self.ends_cleanly:
            for stream in list(self.streams.values()):
                stream.turn("ends")
            with anyio.move_on_after(1):
                for stream in list(self.streams.values()):
                    await stream.ended.wait()
        await self.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _sign(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers["Server"] = self.signature

    @web.middleware
    async def _attend(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == "/demo/disease":
            return await handler(request)
        self.requests[request.path] += 1
        self.stir()
        if self.disease.name == "silent":
            await anyio.sleep_forever()
        return await handler(request)

    async def _infect(self, request: web.Request) -> web.StreamResponse:
        try:
            disease = msgspec.json.decode(await request.read(), type=Disease)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            return web.json_response({"error": f"no such disease: {error}"}, status=400)
        if disease.name in {"dead", "unreachable"}:
            asyncio.get_running_loop().call_later(0.05, setattr, self, "disease", disease)
        else:
            self.disease = disease
        return web.json_response(msgspec.to_builtins(disease))

    async def perform(
        self, request: web.Request, answer: Answer, stream: Stream, ill: Disease, model: str
    ) -> web.StreamResponse:
        """Send `answer` as `ill` lets it be sent; a client that leaves is counted."""
        play = Play(self, request, answer, stream, ill, model)
        self.streams[stream.id] = stream
        self.open_streams += 1
        self.stir()
        try:
            return await play.run()
        except (asyncio.CancelledError, ConnectionResetError):
            self.cancelled_streams += self.alive and not stream.dropped
            raise
        finally:
            self.open_streams -= 1
            del self.streams[stream.id]
            stream.ended.set()
            self.stir()

    def loading(self, model: str) -> bool:
        """Tell if `model` is not ready, so that its requests wait."""
        return bool(model) and self.disease.name in LOADS
