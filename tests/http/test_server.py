"""A server keeps its connections while they are worth it, and lets them go when it ends."""

import asyncio
import gc
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import anyio
import pytest

from exo_supervisor.http.head import Head
from exo_supervisor.http.server import IDLE, Server
from exo_supervisor.http.server_connection import ServerConnection
from exo_supervisor.http.server_transport import LAST_READ, LAST_TAKE
from exo_supervisor.http.service import Handler
from tests.http.serve import DATE, Asked, Other, Served, Transport, echo, pair, wait
from tests.http.test_server_connection import BAD, CLOSE, OTHER, post, refuse, said


def second(one: Served) -> tuple[ServerConnection, Transport, socket.socket]:
    """Let another client in."""
    near, far = pair(socket.AF_UNIX)
    connection, transport = ServerConnection(one.server), Transport(near, one.loop)
    transport.protocol = connection
    connection.connection_made(transport)
    return connection, transport, far


def test_idle_connections_are_closed_each_in_its_time() -> None:
    with Served() as one:
        one.loop.advance(30)
        _, other, far = second(one)
        assert repr(one.server) == "<Server 2 connections, 2 idle>"
        assert one.loop.timers == 1, "one watch for all"
        one.loop.advance(40)
        one.feed(post(b"hi"))
        one.loop.advance(34)
        assert (one.transport.done, other.done) == ([], [])
        one.loop.advance(2)
        assert (one.transport.done, other.done) == ([], ["close"])
        one.loop.advance(38)
        assert one.transport.done == []
        one.loop.advance(2)
        assert one.transport.done == ["close"]
        assert repr(one.server) == "<Server 0 connections, 0 idle>"
        one.loop.advance(10 * IDLE)
        assert one.loop.timers == 0
        other.get_extra_info("socket").close()
        far.close()


def test_those_that_grow_old_one_shortly_after_the_other_are_looked_at_together() -> None:
    with Served() as one:
        others: list[socket.socket] = []
        for _ in range(9):
            one.loop.advance(0.01)
            _, transport, far = second(one)
            others += transport.get_extra_info("socket"), far
        one.loop.advance(IDLE - 1)
        began = one.loop.made
        one.loop.advance(4)
        assert repr(one.server) == "<Server 0 connections, 0 idle>"
        assert one.loop.made - began <= 3 + 10, "a look or two, and one timer for each end"
        for each in others:
            each.close()


def test_a_head_that_never_ends_is_no_reason_to_stay() -> None:
    with Served() as one:
        for byte in range(int(IDLE) + 1):
            one.feed(post(b"hi")[byte % 20 : byte % 20 + 1] if byte < 20 else b"")
            one.loop.advance(1.0)
        assert one.transport.done == ["close"]


def test_a_request_at_work_is_not_idle() -> None:
    with Served(wait) as one:
        one.feed(post(b"hi"))
        assert repr(one.server) == "<Server 1 connections, 0 idle>"
        one.loop.advance(10 * IDLE)
        assert one.transport.done == []
        echo(one.asked[0])
        one.loop.advance(IDLE - 1)
        assert one.transport.done == []
        one.loop.advance(1)
        assert one.transport.done == ["close"]


def test_a_request_that_waits_in_the_socket_keeps_its_connection() -> None:
    with Served() as one:
        one.far.send(b"POST")
        one.loop.advance(IDLE + 1)
        assert one.transport.done == []
        one.near.recv(10)
        one.loop.advance(IDLE - 2)
        assert one.transport.done == []
        one.loop.advance(2)
        assert one.transport.done == ["close"]


def test_a_client_that_never_takes_its_answer_and_pipelines_is_idle_too() -> None:
    with Served() as one:
        one.transport.room = 1
        one.feed(post(b"hi"), post(b"more"))
        one.loop.advance(IDLE + 1)
        assert one.transport.done == ["close"]
        one.loop.advance(LAST_TAKE)
        assert one.transport.done == ["close", "abort"]


def test_what_is_about_to_be_served_is_not_idle() -> None:
    with Served(wait) as one:
        one.feed(post(b"one") + post(b"two"))
        echo(one.asked[0])
        assert not one.connection.close_idle()
        one.loop.run()
        assert len(one.asked) == 2


async def test_an_end_of_service_waits_for_what_runs_and_cuts_the_rest() -> None:
    with Served(wait) as one:
        one.feed(post(b"hi"))
        _, idle, far = second(one)
        stuck, stuck_transport, far2 = second(one)
        stuck.data_received(post(b"stuck"))
        one.loop.run()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.server.drain, 5.0)
            await anyio.sleep(0.01)
            one.loop.run()
            assert (idle.done, one.transport.done) == (["close"], [])
            echo(one.asked[0])
            one.loop.run()
            assert one.sent == said(b"hi", CLOSE)
            assert one.transport.done == ["close"]
            await anyio.sleep(4.9)
            assert stuck_transport.done == []
            await anyio.sleep(0.2)
            assert stuck_transport.done == ["abort"]
            one.loop.run()
        assert one.asked[1].calls == ["data", "end", "gone"]
        assert repr(one.server) == "<Server 0 connections, 0 idle>"
        for each in (idle, stuck_transport):
            each.get_extra_info("socket").close()
        far.close()
        far2.close()


async def test_nobody_comes_in_after_the_end_of_service() -> None:
    with Served() as one:
        one.transport.abort()
        one.loop.run()
        await one.server.drain(1.0)
        _, late, far = second(one)
        one.loop.run()
        assert late.done == ["abort"]
        late.get_extra_info("socket").close()
        far.close()


def test_an_end_of_service_leaves_no_connection_that_only_waits() -> None:
    with Served() as one:  # whose rest of a body is passed over
        one.head_first = refuse
        one.feed(post(b"hello")[:-1])
        one.connection.drain()
        assert one.transport.done == ["eof"], "the answer is not lost over what comes unread"
        one.feed(post(b"hello")[-1:])
        one.loop.advance(LAST_READ)
        assert one.transport.done == ["eof", "abort"]
    with Served() as one:  # who was told that it speaks no HTTP
        one.feed(b"junk\r\n\r\n")
        assert one.sent == BAD
        one.connection.drain()
        assert one.transport.done == ["eof"]
        one.loop.advance(LAST_READ)
        assert one.transport.done == ["eof", "abort"]
    with Served(wait) as one:  # what is pipelined is served, and the last of it says so
        one.feed(post(b"one") + post(b"two"))
        echo(one.asked[0])
        one.connection.drain()
        one.server.draining = True
        one.loop.run()
        echo(one.asked[1])
        one.loop.run()
        assert one.sent == said(b"one") + said(b"two", CLOSE)


def test_an_end_of_service_serves_what_a_client_has_sent_already() -> None:
    with Served() as one:
        one.far.sendall(post(b"hi"))  # and it was not read yet
        one.server.draining = True
        one.connection.drain()
        assert one.transport.done == []
        one.feed(one.near.recv(4096))
        assert one.sent == said(b"hi", CLOSE)
        assert one.transport.done == ["close"]


def test_an_end_of_service_waits_for_no_rest_of_a_head() -> None:
    with Served() as one:
        one.far.sendall(post(b"hi")[:9])
        one.server.draining = True
        one.connection.drain()
        one.feed(one.near.recv(4096))
        assert (one.asked, one.transport.done) == ([], ["close"])


def test_the_date_is_made_once_a_second() -> None:
    now = [1_700_000_000.9]
    with Served() as one:
        server = Server(one, loop=one.loop.typed, clock=lambda: now[0])
        first = server.date()
        assert first == DATE
        assert server.date() is first
        now[0] += 0.2
        assert server.date() == DATE.replace(b":20", b":21")


# -------------------------------------------------------------------- over real sockets


class Service:
    """Echoes what is for `/x`, and hands the rest over."""

    def __init__(self) -> None:
        self.inside: set[ServerConnection] = set()

    def enter(self, connection: ServerConnection) -> "Visitor":
        self.inside.add(connection)
        return Visitor(self, connection)


class Visitor:
    """One connection."""

    def __init__(self, service: Service, connection: ServerConnection) -> None:
        self._service, self._connection = service, connection

    def leave(self) -> None:
        self._service.inside.discard(self._connection)

    def accept(self, head: Head, length: int | None) -> Handler | None:
        asked = Asked(self._connection, head, length, echo)
        return asked if head.target == b"/x" else None

    def refuse(self, message: str) -> None:
        assert message
        self._connection.start(b"HTTP/1.1 400 Bad Request\r\n", length=0)
        self._connection.finish()

    def hand_over(self) -> asyncio.Protocol:
        self.leave()
        return Closing()


class Closing(Other):
    """Answers with what it got."""

    def data_received(self, data: bytes) -> None:
        transport = cast("asyncio.Transport", self.transport)
        transport.write(b"got " + data)
        transport.close()


@asynccontextmanager
async def serving() -> AsyncGenerator[tuple[Server, Service, str]]:
    service = Service()
    with TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as bound:
        path = str(Path(directory) / "s")
        bound.bind(path)
        server = Server(service)
        await server.listen([bound])
        gc.collect()  # uvloop closes a server that nobody refers to
        yield server, service, path
        await server.drain(1.0)
        assert await anyio.Path(path).exists(), "it is not ours to remove"


async def exchanged(path: str, data: bytes, *, half: bool = False) -> bytes:
    """Send all and read to the end."""
    said = b""
    async with await anyio.connect_unix(path) as client:
        await client.send(data)
        if half:
            await client.send_eof()
        with anyio.fail_after(60):
            async for part in client:
                said += part
    return said


@pytest.mark.real_time
async def test_over_a_real_socket_all_of_it_holds() -> None:
    async with serving() as (server, service, path):
        both = await exchanged(path, post(b"one") + post(b"two", CLOSE))
        assert (both.count(b"HTTP/1.1 200 OK"), both[-3:]) == (2, b"two")
        assert (await exchanged(path, post(b"one") + post(b"two"), half=True)).endswith(b"two")
        assert (await exchanged(path, post(b"one") + OTHER)).endswith(b"got " + OTHER)
        assert b" 400 " in await exchanged(path, b"junk\r\n\r\n")
        large = b"x" * 1_000_000
        assert (await exchanged(path, post(large, CLOSE))).endswith(large)
        with anyio.fail_after(60):
            while service.inside:  # noqa: ASYNC110 -- nobody tells
                await anyio.sleep(0.001)
        assert repr(server) == "<Server 0 connections, 0 idle>"


def connections() -> int:
    return sum(isinstance(each, ServerConnection) for each in gc.get_objects())


@pytest.mark.real_time
async def test_a_connection_that_is_gone_leaves_nothing_to_the_collector() -> None:
    async with serving() as (_, _service, path):
        gc.collect()
        gc.disable()
        try:
            before = connections()
            await exchanged(path, post(b"one", CLOSE))
            await exchanged(path, post(b"one") + post(b"two"), half=True)
            with anyio.move_on_after(10):
                while connections() > before:  # noqa: ASYNC110 -- nobody tells
                    await anyio.sleep(0.01)
            left = connections() - before
        finally:
            gc.enable()
    assert left <= 0


@pytest.mark.real_time
async def test_of_many_at_once_each_gets_its_own() -> None:
    async with serving() as (_, _service, path), anyio.create_task_group() as tasks:

        async def ask(number: int) -> None:
            answer = await exchanged(path, post(b"%d" % number, CLOSE))
            assert answer.endswith(b"\r\n\r\n%d" % number)

        for number in range(50):
            tasks.start_soon(ask, number)


@pytest.mark.real_time
async def test_an_end_of_service_closes_idle_connections_at_once() -> None:
    async with serving() as (server, _, path), await anyio.connect_unix(path) as client:
        await client.send(post(b"one"))
        assert (await client.receive()).endswith(b"one")
        await server.drain(60.0)
        with pytest.raises(anyio.EndOfStream):
            await client.receive()
