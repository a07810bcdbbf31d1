"""An upstream of raw bytes, and a house in which one attempt goes to it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from time import monotonic

import anyio
from anyio.abc import SocketAttribute, SocketStream

from exo_supervisor.core.effects import StartAttempt, Timers
from exo_supervisor.core.events import Event, RequestArrived
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address, ModelId, RequestId
from exo_supervisor.core.policy import Policy
from exo_supervisor.core.requests.admission import Gate
from exo_supervisor.serve.context import Context
from exo_supervisor.serve.control.authority import Authority
from exo_supervisor.serve.control.plain import answer
from exo_supervisor.serve.control.routes import Routes
from exo_supervisor.serve.ingress import Ingress
from exo_supervisor.serve.inspector import Inspector
from exo_supervisor.serve.live import LiveRequests
from exo_supervisor.serve.upstream import Upstream, open_sessions
from exo_supervisor.views.request_done import RequestLine
from tests.serve.control.asked import about_it
from tests.serve.listening import listening

Talk = Callable[[SocketStream], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
TERMINATOR = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def text(content: str) -> bytes:
    said = b'{"id":"cmd/1","choices":[{"index":0,"delta":{"content":"%s"}}]}' % content.encode()
    return chunk(b"data: " + said + b"\n\n")


STOP = chunk(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n')
DONE = chunk(b"data: [DONE]\n\n")


@dataclass
class Node:
    """A raw upstream: what it was asked, and how many of its chats are still open."""

    url: str = ""
    asked: list[bytes] = field(default_factory=list[bytes])
    open: int = 0
    closed_at: float = 0.0

    @property
    def lines(self) -> list[str]:
        return [each.split(b" HTTP/1.1")[0].decode() for each in self.asked]


@asynccontextmanager
async def talking(talk: Talk) -> AsyncGenerator[Node]:
    """Serve raw bytes: `talk` answers chats."""
    node = Node()

    async def handle(stream: SocketStream) -> None:
        async with stream, anyio.create_task_group() as tasks:
            try:
                node.asked.append(await stream.receive())
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return
            node.open += 1
            tasks.start_soon(said, stream)
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                await stream.receive()
            tasks.cancel_scope.cancel()
        node.open -= 1
        node.closed_at = anyio.current_time()

    async def said(stream: SocketStream) -> None:
        try:
            await talk(stream)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        port = listener.extra_attributes[SocketAttribute.local_port]()
        node.url = f"http://127.0.0.1:{port}"
        tasks.start_soon(listener.serve, handle)
        yield node
        tasks.cancel_scope.cancel()


def attempt(url: str, request: RequestId) -> StartAttempt:
    """Send a request to the node at a URL."""
    return StartAttempt(
        request=request,
        attempt=1,
        target=Address("n:1"),
        url=url,
        model=ModelId("m"),
        generation="C",
        timers=Timers(2.0, 8.0, 30.0, 300.0, 20.0),
        shift=None,
    )


@dataclass
class Housed:
    """A house, and what its exchanges told."""

    port: int
    gate: Gate
    live: LiveRequests
    events: list[Event]
    records: list[RequestLine]

    @property
    def told(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    @property
    def empty(self) -> bool:
        return not (len(self.live) or self.gate.requests)


@asynccontextmanager
async def housed(
    node: Node, *, start: bool = True, head: float = 15.0, gate: Gate | None = None,
    max_body: int = 100_000,
) -> AsyncGenerator[Housed]:  # fmt: skip
    """Serve a house whose every request makes one attempt at the node, or none."""
    nodes, clouds = open_sessions()
    gate, events, records = gate or Gate(10), list[Event](), list[RequestLine]()
    live = LiveRequests(asyncio.get_running_loop(), monotonic)

    def ask(event: Event) -> None:
        events.append(event)
        if isinstance(event, RequestArrived) and start:
            live.deliver(attempt(node.url, event.request))

    async with nodes, clouds:
        context = Context(ask, Upstream(nodes, clouds, dict), 900.0, head)
        machine = Machine(Policy(), monotonic())
        routes = Routes(machine, ask, about_it(), Authority(), {})
        ingress = Ingress(
            context, gate, live, lambda done: records.append(done.line), max_body,
            machine.catalog, lambda _: None, Inspector(machine.catalog),
        )  # fmt: skip
        async with listening(partial(answer, routes.look), begin=ingress.begin) as port:
            yield Housed(port, gate, live, events, records)
    assert (gate.requests, gate.bodies.sending, gate.bodies.held) == (0, 0, 0), (
        "what came in must go"
    )
