"""A GET ends in an answer or in one of a few stories, whatever the other side does."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import anyio
import pytest
import uvloop
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.stapled import MultiListener

from exo_supervisor.fleet_io.fetch import Fetcher
from exo_supervisor.http.client import Client
from exo_supervisor.http.intake import SMALL_BYTES
from exo_supervisor.runtime.fetch import GetError
from exo_supervisor.wire.exo.identity import HttpAnswer
from tests.budget import EVER, budget

pytestmark = pytest.mark.real_time

KEY = "sk-very-secret"
Talk = Callable[[SocketStream], Awaitable[None]]


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Both loops, since they raise different errors for the same trouble."""
    assert uvloop.Loop is not asyncio.SelectorEventLoop
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


def port_of(listener: MultiListener[SocketStream]) -> int:
    return listener.extra_attributes[SocketAttribute.local_port]()


@asynccontextmanager
async def serving(talk: Talk) -> AsyncGenerator[str]:
    """Serve raw bytes on loopback; the URL is what comes back."""

    async def handle(stream: SocketStream) -> None:
        async with stream:
            try:
                await stream.receive()
                await talk(stream)
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, handle)
        yield f"http://127.0.0.1:{port_of(listener)}"
        tasks.cancel_scope.cancel()


async def fetched(url: str, timeout: float = 5.0, limit: int = 1000) -> HttpAnswer:  # noqa: ASYNC109
    async with Client(idle=3.0) as session:
        headers = {"authorization": f"Bearer {KEY}"}
        return await Fetcher(session).get(url, timeout=timeout, limit=limit, headers=headers)


async def failed(url: str, timeout: float = 5.0, limit: int = 1000) -> GetError:  # noqa: ASYNC109
    with pytest.raises(GetError) as caught:
        await fetched(url, timeout, limit)
    error = caught.value
    assert KEY not in f"{error!r} {error.detail}"
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    return error


def says(*parts: bytes) -> Talk:
    async def talk(stream: SocketStream) -> None:
        for part in parts:
            await stream.send(part)

    return talk


async def hang(_: SocketStream) -> None:
    await anyio.sleep_forever()


async def reset(stream: SocketStream) -> None:
    raw = stream.extra_attributes[SocketAttribute.raw_socket]()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


@pytest.fixture
def free_port() -> Iterator[int]:
    """Find a port on which nothing listens, kept from everybody else."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_an_answer_is_an_answer_whatever_its_status(status: int) -> None:
    head = f"HTTP/1.1 {status} X\r\ncontent-length: 5\r\n\r\n".encode()
    async with serving(says(head, b"hello")) as url:
        assert await fetched(url) == HttpAnswer(status, b"hello")


@pytest.mark.parametrize(("longest", "is_taken"), [(5, True), (4, False)])
async def test_no_answer_is_longer_than_a_fetcher_takes_whatever_is_asked_for(
    longest: int, *, is_taken: bool
) -> None:
    async with (
        serving(says(b"HTTP/1.1 200 X\r\ncontent-length: 5\r\n\r\nhello")) as url,
        Client(idle=3.0) as client,
    ):
        fetch = Fetcher(client, longest=longest)
        told = ""
        try:
            await fetch.get(url, timeout=EVER, limit=1000)
        except GetError as error:
            told = error.detail
    assert told == ("" if is_taken else "the answer is longer than 4 bytes")


async def test_all_answers_of_a_fetcher_hold_no_more_than_it_gathers() -> None:
    async def stall(stream: SocketStream) -> None:
        head = b"HTTP/1.1 200 X\r\ncontent-length: 900000\r\n\r\n"
        await stream.send(head + bytes(SMALL_BYTES + 1))
        await anyio.sleep_forever()

    async with serving(stall) as url, Client(idle=3.0) as client:
        fetch = Fetcher(client, gathers=SMALL_BYTES)
        with pytest.raises(GetError) as caught:
            await fetch.get(url, timeout=EVER, limit=900_000)
    assert (caught.value.why, caught.value.detail) == ("timeout", "slower than there is memory for")
    assert fetch.received() == SMALL_BYTES + 1


async def test_a_redirect_is_not_followed() -> None:
    redirect = b"HTTP/1.1 302 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    async with serving(says(redirect)) as url:
        assert await fetched(url) == HttpAnswer(302, b"")


async def test_no_compression_is_asked_for_and_none_is_taken() -> None:
    requests: list[bytes] = []

    async def talk(stream: SocketStream) -> None:
        await stream.send(b"HTTP/1.1 200 X\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx")

    async def note(stream: SocketStream) -> None:
        async with stream:
            requests.append(await stream.receive())
            await talk(stream)

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, note)
        port = port_of(listener)
        assert (await failed(f"http://127.0.0.1:{port}")).why == "bad_answer"
        tasks.cancel_scope.cancel()
    assert b"accept-encoding: identity" in requests[0].lower()


async def test_nothing_listens_there(free_port: int) -> None:
    assert (await failed(f"http://127.0.0.1:{free_port}/")).why == "refused"
    assert (await failed(f"http://localhost:{free_port}/")).why == "refused"


@budget(2.0)
async def test_a_server_that_says_nothing_costs_the_timeout(within: float) -> None:
    async with serving(hang) as url:
        began = anyio.current_time()
        assert (await failed(url, timeout=0.2)).why == "timeout"
        assert anyio.current_time() - began < within


async def test_a_body_that_never_ends_costs_the_timeout() -> None:
    async def drip(stream: SocketStream) -> None:
        await stream.send(b"HTTP/1.1 200 X\r\ncontent-length: 500\r\n\r\n")
        while True:
            await stream.send(b"x")
            await anyio.sleep(0.02)

    async with serving(drip) as url:
        assert (await failed(url, timeout=0.2)).why == "timeout"


async def test_a_body_beyond_the_limit_is_not_read_on() -> None:
    sent = 0

    async def flood(stream: SocketStream) -> None:
        nonlocal sent
        await stream.send(b"HTTP/1.1 200 X\r\ncontent-length: 1000000000\r\n\r\n")
        while True:
            await stream.send(b"x" * 65536)
            sent += 65536

    async with serving(flood) as url:
        error = await failed(url, limit=100_000)
    assert (error.why, error.detail) == ("bad_answer", "the answer is longer than 100000 bytes")
    assert sent < 50_000_000


@pytest.mark.parametrize(
    ("talk", "why"),
    [
        (reset, "reset"),
        (says(), "reset"),
        (says(b"HTTP/1.1 200 X\r\n"), "reset"),
        (says(b"garbage sk-very-secret\r\n\r\n"), "bad_answer"),
        (says(b"\x16\x03\x01\x00\x00\x00"), "bad_answer"),
        (says(b"HTTP/1.1 abc X\r\n\r\n"), "bad_answer"),
        (says(b"HTTP/1.1 200 X\r\nh: " + b"x" * 100_000 + b"\r\n\r\n"), "bad_answer"),
        (says(b"HTTP/1.1 200 X\r\ncontent-length: -5\r\n\r\n"), "bad_answer"),
        (says(b"HTTP/1.1 200 X\r\ncontent-length: 50\r\n\r\nhalf"), "bad_answer"),
        (says(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), "bad_answer"),
        (says(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhe"), "bad_answer"),
    ],
)
async def test_a_server_that_breaks_off_or_talks_nonsense(talk: Talk, why: str) -> None:
    async with serving(talk) as url:
        assert (await failed(url)).why == why


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x03\0\x02\x02\x28"]
)
async def test_a_server_without_tls_or_that_refuses_the_handshake(said: bytes) -> None:
    """The second is a fatal alert, handshake_failure (RFC 8446, section 6.2)."""
    async with serving(says(said)) as url:
        assert (await failed(url.replace("http:", "https:"))).why == "tls"


async def test_a_host_that_does_not_exist() -> None:
    assert (await failed("http://nobody.invalid:52415/")).why == "dns"


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "http://", "http://:1", "ftp://host/", "http://a:99999/", "http://[::1/"],
)
async def test_a_url_that_leads_nowhere(url: str) -> None:
    assert (await failed(url)).why == "no_route"


async def test_an_address_that_no_route_leads_to() -> None:
    """255.255.255.255 is no host, so that the kernel refuses to connect at once."""
    assert (await failed("http://255.255.255.255:9/")).why == "no_route"


async def test_cancelling_a_get_is_no_failure_of_the_server() -> None:
    async with serving(hang) as url, anyio.create_task_group() as tasks:
        with anyio.move_on_after(0.1) as scope:
            await fetched(url)
        assert scope.cancelled_caught
        tasks.cancel_scope.cancel()
