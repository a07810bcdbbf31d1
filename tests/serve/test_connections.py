"""Connections that say nothing keep nobody out, and never take the last descriptors."""

from collections.abc import AsyncGenerator

import anyio
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.http.server import HEAD_WAIT
from exo_supervisor.serve.door import MAX_WITHOUT_TOKEN, QUIET, Connection, Door
from tests.serve.listening import HOST, answer_plainly, listening, only

GONE = (anyio.BrokenResourceError, anyio.EndOfStream)
TOKEN = "house-token-0123456789"
ASK = b"GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer %b\r\n\r\n"

CHAT = ASK.replace(b"GET /v1/models", b"POST /v1/chat/completions")
"""Over whose connection more may follow."""


class Client:
    """A connection, as far as the door looks at it."""

    def __init__(self, *, has_head: bool = False) -> None:
        self.has_head, self.dropped = has_head, False

    def drop(self) -> None:
        self.dropped = True


def test_the_oldest_that_says_nothing_makes_room_for_the_next() -> None:
    door, clients = Door(lambda: 0.0), [Client(has_head=n == 0) for n in range(400)]
    with capture_logs() as logs:
        assert all(door.enter(client, stranger=True) for client in clients)
    gone = [client for client in clients if client.dropped]
    assert gone == clients[1 : 1 + 400 - MAX_WITHOUT_TOKEN]
    assert [line["event"] for line in logs] == ["connections_refused"]


def test_strangers_that_all_speak_keep_nobody_out_either() -> None:
    now = [0.0]
    door, clients = Door(lambda: now[0]), [Client(has_head=True) for _ in range(MAX_WITHOUT_TOKEN)]
    assert all(door.enter(client, stranger=True) for client in clients)
    door.show(clients[0])
    assert door.enter(Client(has_head=True), stranger=True), "a shown token leaves a place"
    with capture_logs() as logs:
        assert door.enter(Client(), stranger=False), "the Unix socket is another matter"
        assert door.enter(silent := Client(), stranger=True)
        assert door.enter(Client(has_head=True), stranger=True)
        now[0] = QUIET
        assert door.enter(Client(has_head=True), stranger=True)
    gone = [client for client in clients if client.dropped]
    assert gone == clients[1:3], "the oldest without a token, where all have spoken"
    assert silent.dropped, "before them one that says nothing"
    assert [(line["event"], line["refused"]) for line in logs] == [
        ("connections_refused", 1), ("connections_refused", 2)
    ]  # fmt: skip


def test_some_descriptors_are_kept_for_the_targets() -> None:
    door = Door(lambda: 0.0, most=3)
    assert all(door.enter(Client(), stranger=False) for _ in range(2))
    silent = Client()
    assert door.enter(silent, stranger=True)
    assert door.enter(Client(), stranger=False)
    assert silent.dropped
    assert not door.enter(Client(), stranger=False)


async def serve(_: web.BaseRequest, wrong: Refusal | None) -> web.StreamResponse:
    return web.Response(status=200 if wrong is None else wrong.status)


@pytest.fixture
async def port() -> AsyncGenerator[int]:
    async with listening(serve, guard=only(TOKEN), begin=answer_plainly) as where:
        yield where


async def answered(stream: anyio.abc.SocketStream, token: bytes, request: bytes = ASK) -> bytes:
    await stream.send(request % token)
    return (await stream.receive()).split(b"\r\n", 1)[0]


@pytest.mark.real_time
async def test_half_a_head_keeps_nobody_out_and_a_shown_token_keeps_its_place(port: int) -> None:
    mine = await anyio.connect_tcp(HOST, port)
    assert await answered(mine, TOKEN.encode(), CHAT) == b"HTTP/1.1 200 OK"
    halves: list[anyio.abc.SocketStream] = []
    for _ in range(MAX_WITHOUT_TOKEN + 20):
        halves.append(await anyio.connect_tcp(HOST, port))
        await halves[-1].send(b"GET / HT")
    other = await anyio.connect_tcp(HOST, port)
    assert await answered(other, b"wrong") == b"HTTP/1.1 401 Unauthorized"
    assert await answered(mine, TOKEN.encode(), CHAT) == b"HTTP/1.1 200 OK"
    with pytest.raises(GONE):
        await halves[0].receive()
    for stream in (*halves, mine, other):
        await stream.aclose()


@pytest.mark.real_time
async def test_what_needs_no_token_keeps_nobody_out_who_has_one(port: int) -> None:
    strangers = [await anyio.connect_tcp(HOST, port) for _ in range(MAX_WITHOUT_TOKEN)]
    for stream in strangers:
        assert await answered(stream, b"wrong") == b"HTTP/1.1 401 Unauthorized"
    mine = await anyio.connect_tcp(HOST, port)
    assert await answered(mine, TOKEN.encode()) == b"HTTP/1.1 200 OK"
    for stream in (*strangers, mine):
        await stream.aclose()


@pytest.mark.real_time
async def test_a_head_that_does_not_come_ends_its_connection() -> None:
    """With no time at all to send it in: what half a head gets is an end, and no answer."""
    assert HEAD_WAIT == 10.0
    async with (
        listening(serve, guard=only(TOKEN), head_wait=0.0) as where,
        await anyio.connect_tcp(HOST, where) as stream,
    ):
        with anyio.fail_after(60), pytest.raises(GONE):
            await answered(stream, b"", b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n%b")


@pytest.mark.real_time
async def test_a_head_that_came_in_time_is_served_beyond_it() -> None:
    late, over = anyio.Event(), anyio.Event()

    async def slow(_: web.BaseRequest, __: Refusal | None) -> web.StreamResponse:
        late.set()
        await over.wait()
        return web.Response()

    async with (
        listening(slow, guard=only(TOKEN), head_wait=1.0) as where,
        await anyio.connect_tcp(HOST, where) as stream,
        await anyio.connect_tcp(HOST, where) as silent,
    ):
        await stream.send(ASK % TOKEN.encode())
        with anyio.fail_after(60):
            await late.wait()
            with pytest.raises(GONE):  # it came later, so that its timer ends after the other's
                await silent.receive()
            over.set()
            assert (await stream.receive()).startswith(b"HTTP/1.1 200 OK")


class Watched(Door):
    """Counts who showed a token, and who went."""

    shown = gone = 0

    def show(self, connection: Connection) -> None:
        self.shown += 1
        super().show(connection)

    def leave(self, connection: Connection) -> None:
        self.gone += 1
        super().leave(connection)


@pytest.mark.real_time
async def test_only_who_has_the_token_shows_it_and_each_is_counted_out() -> None:
    door = Watched(lambda: 0.0)
    async with listening(serve, door, guard=only(TOKEN), begin=answer_plainly) as where:
        for token, request, shown in (("wrong", ASK, 0), (TOKEN, ASK, 1), (TOKEN, CHAT, 2)):
            async with await anyio.connect_tcp(HOST, where) as stream:
                await answered(stream, token.encode(), request)
            assert door.shown == shown
    with anyio.fail_after(60):
        while door.gone < 3:  # noqa: ASYNC110 -- nobody tells
            await anyio.sleep(0.001)


@pytest.mark.real_time
async def test_an_end_of_service_cuts_who_is_still_connected() -> None:
    async with listening(serve, guard=only(TOKEN)) as where:
        stream = await anyio.connect_tcp(HOST, where)
        await answered(stream, TOKEN.encode())
    with pytest.raises(GONE):
        await stream.receive()
    await stream.aclose()
