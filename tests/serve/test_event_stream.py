"""The stream of events at a socket: who is let in, who is told what, and who is cut."""

import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from socket import SO_RCVBUF, SOL_SOCKET
from time import monotonic

import anyio
import pytest
from aiohttp import web
from anyio.abc import SocketAttribute, SocketStream

from exo_supervisor.core.effects import say
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.policy import Policy
from exo_supervisor.serve.control.authority import Authority
from exo_supervisor.serve.control.event_stream import EVENTS, EventStream
from exo_supervisor.serve.control.plain import answer
from exo_supervisor.views.day_book import DayBook
from exo_supervisor.views.event_feed import EventFeed
from exo_supervisor.views.now import Pulse, Tokens
from exo_supervisor.views.tally import Tally
from tests.budget import EVER
from tests.serve.listening import HOST, listening

pytestmark = pytest.mark.real_time
RUN = "0123456789abcdef"


@asynccontextmanager
async def telling(
    feed: EventFeed, slow: float = 60.0, silence: float = 60.0
) -> AsyncGenerator[int]:
    """Serve a feed on loopback; the port is what comes back."""
    machine = Machine(Policy(), monotonic())
    pulse = Pulse(machine, Tally(), DayBook(lambda: 0.0, "USD"), feed, lambda: 0.0, Tokens())
    stream = EventStream(pulse, Authority(), slow=slow, silence=silence)

    def look(request: web.BaseRequest, path: str) -> object:
        return stream.look(request, path.removeprefix(EVENTS)[1:])

    async with listening(partial(answer, look), send_buffer=4096) as port:  # type: ignore[arg-type]
        yield port


async def asks(port: int, path: str = EVENTS, *headers: str, method: str = "GET") -> SocketStream:
    client = await anyio.connect_tcp(HOST, port)
    lines = [f"{method} {path} HTTP/1.1", "host: x", *headers, "", ""]
    await client.send("\r\n".join(lines).encode())
    return client


async def until(client: SocketStream, wanted: bytes, end: bytes = b"") -> bytes:
    """Read until something came, and behind it an end."""
    came = b""
    with anyio.fail_after(EVER):
        while end not in came.partition(wanted)[2] or wanted not in came:
            came += await client.receive()
    return came


async def rest(client: SocketStream) -> bytes:
    """Read to the end."""
    came = b""
    with anyio.fail_after(EVER):
        while True:
            try:
                came += await client.receive()
            except anyio.EndOfStream:
                return came


def feed_of(**more: int) -> EventFeed:
    return EventFeed(RUN, lambda: "2026-01-01T00:00:00.000000Z", **more)


def tell(feed: EventFeed, many: int = 1, size: int = 900) -> None:
    for _ in range(many):
        feed.announce(say("info", "node_ready", text="x" * size))


async def test_the_first_word_is_how_the_house_stands_and_an_end_has_its_proper_end() -> None:
    feed = feed_of()
    async with telling(feed) as port, await asks(port) as client:
        came = await until(client, b"event: now\n")
        assert b"200 OK" in came
        assert f"id: {RUN}-0\nevent: now\ndata: ".encode() in came
        tell(feed)
        await until(client, b"event: node_ready\n")
        feed.announce(say("info", "drain_started", in_flight=0))
        feed.close()
        end = await rest(client)
        assert b"event: drain_started\n" in end
        assert end.endswith(b"0\r\n\r\n")


async def test_silence_is_broken_so_that_one_who_waits_knows_that_somebody_is_there() -> None:
    async with telling(feed_of(), silence=0.01) as port, await asks(port) as client:
        assert b"event: now" in await until(client, b": keep-alive\n\n")
        await until(client, b": keep-alive\n\n")


@pytest.mark.parametrize("place", ["header", "query", "both"])
async def test_who_comes_back_is_told_what_it_missed(place: str) -> None:
    """The header counts more than the path, which a browser sends as it was at first."""
    feed = feed_of()
    async with telling(feed) as port:
        async with await asks(port) as client:
            await until(client, b"event: now")
            tell(feed, 2)
            await until(client, b"-2\nevent: node_ready")
        tell(feed, 2)
        query = {"header": "", "query": f"?last_event_id={RUN}-2"}.get(place, "?last_event_id=9")
        header = [] if place == "query" else [f"last-event-id: {RUN}-2"]
        async with await asks(port, EVENTS + query, *header) as client:
            came = await until(client, b"-4\nevent: node_ready")
            assert re.findall(rb"-(\d+)\nevent: node_ready", came) == [b"3", b"4"]


@pytest.mark.parametrize(
    ("path", "method", "said"),
    [
        (f"{EVENTS}?last_event_id=garbage", "GET", b"400 Bad Request"),
        (f"{EVENTS}/more", "GET", b"404 Not Found"),
        (EVENTS, "PUT", b"405 Method Not Allowed"),
    ],
)
async def test_what_is_wrong_is_refused(path: str, method: str, said: bytes) -> None:
    async with telling(feed_of()) as port, await asks(port, path, method=method) as client:
        assert said in await rest(client)


async def test_many_that_come_at_once_find_so_many_places_and_each_that_leaves_makes_one() -> None:
    """The others are told how many there are, and when to come again."""
    feed = feed_of(most_listeners=2)
    async with telling(feed) as port, AsyncExitStack() as stack:
        first = [await stack.enter_async_context(await asks(port)) for _ in range(2)]
        for client in first:
            await until(client, b"event: now")
        for _ in range(50):
            async with await asks(port) as client:
                refused = await rest(client)
                assert b"503 Service Unavailable" in refused
                assert b"2 listeners" in refused
                assert b"retry-after: 1\r\n" in refused.lower()
        await first[0].aclose()
        await a_place(port)


async def a_place(port: int) -> None:
    """Wait until there is a place for one more listener."""
    with anyio.fail_after(EVER):
        while True:
            async with await asks(port) as client:
                if b"200 OK" in await until(client, b"HTTP/1.1 "):
                    return


async def deaf(port: int, feed: EventFeed) -> SocketStream:
    """Listen, and read no more, until more was told than anything between holds.

    Another one reads all of it meanwhile.
    """
    client = await asks(port)
    raw = client.extra_attributes[SocketAttribute.raw_socket]()
    raw.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
    await until(client, b"event: now")
    async with await asks(port) as witness:
        await until(witness, b"event: now")
        tell(feed, 300)
        await until(witness, b"-300\nevent: node_ready")
    return client


async def test_one_who_never_reads_is_cut_and_its_place_is_free() -> None:
    feed = feed_of(most_listeners=2)
    async with (
        telling(feed, slow=0.05) as port,
        await deaf(port, feed) as client,
        await asks(port) as other,
    ):
        await until(other, b"event: now")
        await a_place(port)
        came = b""
        with suppress(anyio.BrokenResourceError):
            came = await rest(client)
        assert not came.endswith(b"0\r\n\r\n"), "it was told no end"


async def test_one_who_reads_slowly_is_told_how_many_it_missed_and_goes_on_from_now() -> None:
    feed = feed_of(most=400)
    async with telling(feed) as port, await deaf(port, feed) as client:
        tell(feed, 500)
        newest = feed.last
        came = await until(client, b"event: lagged\n", b"}\n\n")
        told = re.search(rb'-(\d+)\nevent: lagged\ndata: .*"missed":(\d+)}', came)
        before = max(map(int, re.findall(rb"-(\d+)\nevent: node_ready", came)))
        assert told
        assert (int(told[1]), int(told[2])) == (newest, newest - before)
        tell(feed)
        await until(client, f"-{newest + 1}\nevent: node_ready".encode())


async def test_a_drain_waits_for_nobody_who_does_not_read() -> None:
    feed = feed_of()
    async with telling(feed) as port, await deaf(port, feed) as client:
        feed.close()
        assert b"-300\nevent: node_ready" not in await rest(client)
