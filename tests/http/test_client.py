"""Requests over real sockets: what is used again, what is tried again, what is told of a loss."""

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from typing import Literal

import anyio
import pytest
from anyio.abc import SocketStream

from exo_supervisor.http.client import Client, encode_headers
from exo_supervisor.http.connect import (
    LOST_AFTER,
    LOST_AFTER_REUSED,
    PROBE_EVERY,
    PROBE_IDLE,
    ConnectOptions,
    connect,
    interleaved,
    set_keepalive,
)
from exo_supervisor.http.connection import LEAVE_BYTES, Connection
from exo_supervisor.http.faults import HttpError, NetworkFault, Stage
from exo_supervisor.http.resolver import Address, IpAddress, Resolver
from exo_supervisor.http.url import Origin
from tests.http.answering import HIGH, request
from tests.http.serving import HEAD, Server, Talker, said, serving
from tests.http.wire import KEY, Heard

pytestmark = pytest.mark.real_time


async def got(client: Client, url: str, **more: object) -> bytes:
    """Ask and read to the end."""
    answer = await request(client, "GET", url, **more)  # type: ignore[arg-type]
    body = b""
    while part := await answer.read():
        body += part
    return body


async def failed(client: Client, url: str, **more: object) -> HttpError:
    with pytest.raises(HttpError) as raised:
        await got(client, url, **more)
    return raised.value


async def rested(client: Client, many: int = 1) -> None:
    """Wait until so many connections are at rest."""
    with anyio.fail_after(60):
        while client.statistics().idle != many:  # noqa: ASYNC110 -- nobody tells
            await anyio.sleep(0.001)


async def test_what_is_small_waits_for_no_more() -> None:
    async with serving() as server, Client(idle=3.0) as client:
        answer = await request(client, "GET", server.url)
        assert answer.call is not None
        assert 0 <= (answer.call.connected or 0) < 60, "the seconds that it took"
        [one], said = client.connections, list[int]()
        one.option(lambda plain: said.append(plain.getsockopt(socket.SOL_TCP, socket.TCP_NODELAY)))
        assert said != [0]


async def test_a_request_is_what_it_says_and_its_connection_is_used_again() -> None:
    async with serving() as server, Client(idle=3.0) as client:
        headers = encode_headers({"accept": "*/*"})
        assert await got(client, f"{server.url}/a%20b?c=d", headers=headers) == b"from 1"
        answer = await request(client, "POST", f"{server.url}/", body=b"{}")
        assert (answer.status, answer.headers) == (200, {"content-length": "6"})
        assert await answer.read() == b"from 1"
        assert server.asked == [
            b"GET /a%%20b?c=d HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept: */*\r\n\r\n" % server.port,
            b"POST / HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-length: 2\r\n\r\n{}" % server.port,
        ]
        assert repr(client) == f"<Client 0 at work, <Pool idle http://127.0.0.1:{server.port}: 1>>"
        told = client.statistics()
    assert (told.requests, told.connected, told.reused, told.retried) == (2, 1, 1, 0)
    assert (told.open, told.idle) == (1, 1)
    assert client.statistics().open == 0


class Meeting(Server):
    """Answers the first requests only when so many have come; dead, it hangs up on their kind."""

    def __init__(self, many: int) -> None:
        super().__init__()
        self.many, self.dead = many, False
        self._met = anyio.Event()

    async def answer(self, stream: SocketStream, mine: int) -> None:
        self.asked.append(await stream.receive())
        if len(self.asked) >= self.many:
            self._met.set()
        await self._met.wait()
        if self.dead and mine <= self.many:
            await stream.aclose()
        else:
            await stream.send(said(f"from {mine}"))


async def meet(client: Client, server: Meeting) -> None:
    """Ask at once as often as the server waits for."""
    async with anyio.create_task_group() as tasks:
        for _ in range(server.many):
            tasks.start_soon(got, client, server.url)
    await rested(client, server.many)


async def test_the_connection_that_came_to_rest_last_is_used_first() -> None:
    met = Meeting(2)
    async with serving(met) as server, Client(idle=3.0) as client:
        await meet(client, met)
        last = await got(client, server.url)
        assert [await got(client, server.url) for _ in range(3)] == [last] * 3
        assert client.statistics().connected == 2


async def test_a_connection_rests_no_longer_than_it_may() -> None:
    async with serving() as server, Client(idle=0.02) as client:
        for _ in range(3):
            assert await got(client, server.url) in (b"from 1", b"from 2", b"from 3")
            with anyio.fail_after(60):
                await server.closed.wait()
            server.closed = anyio.Event()
        assert (server.connections, client.statistics().open) == (3, 0)


def resets(server: Server) -> None:
    server.reset(0)


def ends(_: Server) -> None:
    return


@pytest.mark.parametrize("how", [resets, ends])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_kept_connection_that_is_lost_before_a_byte_costs_nothing(
    how: Callable[[Server], None], method: str
) -> None:
    """The server takes the request and is gone; a fresh connection gets the same bytes."""

    class Forgetful(Server):
        async def answer(self, stream: SocketStream, mine: int) -> None:
            if mine == 1 and self.asked:
                self.asked.append(await stream.receive())
                how(self)
                await stream.aclose()
                return
            await super().answer(stream, mine)

    async with serving(Forgetful()) as server, Client(idle=3.0) as client:
        for wanted in (b"from 1", b"from 2"):
            answer = await request(client, method, server.url, body=b"x" * 100)
            assert await answer.read() == wanted
        assert server.asked[1] == server.asked[2]
        assert client.statistics().retried == 1


async def test_connections_that_rest_beside_a_dead_one_are_not_tried() -> None:
    met = Meeting(3)
    async with serving(met) as server, Client(idle=3.0) as client:
        await meet(client, met)
        met.dead = True
        assert await got(client, server.url) == b"from 4"
        assert len(server.asked) == 5
        assert client.statistics().idle == 1


async def test_a_fresh_connection_that_is_lost_is_a_loss() -> None:
    async def leave(stream: SocketStream) -> None:
        await stream.aclose()

    async with serving(Talker(leave)) as server, Client(idle=3.0) as client:
        error = await failed(client, server.url)
        assert (error.fault, error.stage) == (NetworkFault.RESET, Stage.HEAD)
        assert (server.connections, client.statistics().retried) == (1, 0)


@pytest.mark.parametrize("begun", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_a_kept_connection_that_is_lost_after_a_byte_is_a_loss(begun: bytes) -> None:
    class Breaking(Server):
        async def answer(self, stream: SocketStream, mine: int) -> None:
            if self.asked:
                await stream.receive()
                await stream.send(begun)
                await stream.aclose()
                return
            await super().answer(stream, mine)

    async with serving(Breaking()) as server, Client(idle=3.0) as client:
        await got(client, server.url)
        error = await failed(client, server.url)
        assert (error.fault, error.stage) == (NetworkFault.RESET, Stage.HEAD)
        assert server.connections == 1


async def test_what_must_be_sent_once_uses_no_kept_connection() -> None:
    async with serving() as server, Client(idle=3.0) as client:
        assert await got(client, server.url) == b"from 1"
        assert await got(client, server.url, fresh=True) == b"from 2"


async def test_one_that_is_old_is_for_those_alone_who_may_lose_their_request() -> None:
    async with serving() as server, Client(idle=1e-6, kept=60.0, most_kept=9) as client:
        steps: tuple[tuple[Literal["young", "any", "never"], int], ...] = (
            ("young", 1), ("any", 1), ("young", 2), ("never", 3),
        )  # fmt: skip
        for reuse, told in steps:
            heard = Heard()
            client.send(heard, "GET", server.url, reuse=reuse)
            with anyio.fail_after(60):
                while heard.calls[-1:] != ["end"]:  # noqa: ASYNC110 -- nobody tells
                    await anyio.sleep(0.001)
            assert heard.body == b"from %d" % told


async def test_one_that_reached_nobody_is_not_connecting_any_more() -> None:
    async with Client(idle=3.0) as client:
        heard = Heard()
        call = client.send(heard, "GET", "http://127.0.0.1:1/")
        assert repr(call) == "<Call http://127.0.0.1:1 connecting>"
        with anyio.fail_after(60):
            while not heard.calls:  # noqa: ASYNC110 -- nobody tells
                await anyio.sleep(0.001)
        assert (heard.calls, repr(call)) == (["lost"], "<Call http://127.0.0.1:1 None>")


async def test_the_threads_that_look_names_up_end_with_their_client() -> None:
    async with serving() as server, Client(idle=3.0) as client:
        await got(client, server.url.replace("127.0.0.1", "localhost"))
    with anyio.fail_after(60):
        while any(each.name.startswith("resolver") for each in threading.enumerate()):  # noqa: ASYNC110 -- nobody tells
            await anyio.sleep(0.001)


async def test_a_name_that_cannot_be_looked_up_now_can_be_later() -> None:
    async with serving() as server, Client(idle=3.0) as client:
        named = server.url.replace("127.0.0.1", "localhost")
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "encodings.idna", None)  # as if no descriptor were left
            assert (await failed(client, named)).stage is Stage.CONNECT
        assert await got(client, named) == b"from 1"


async def test_who_has_its_answer_is_told_nothing_when_the_client_closes() -> None:
    async with serving() as server, Client(idle=3.0) as client:
        heard = Heard()
        client.send(heard, "GET", server.url)
        await rested(client)
        client.close()
        assert heard.calls == ["head", "data", "end"]


async def test_a_connection_on_which_something_came_meanwhile_is_not_used() -> None:
    async with serving() as server, Client(idle=3.0) as client:
        await got(client, server.url)
        os.write(server.raw(0).fileno(), said("stale"))  # at once, so that the loop has not seen it
        assert await got(client, server.url) == b"from 2"


async def test_a_reader_who_cannot_keep_up_stops_the_network() -> None:
    sent = 0

    async def flood(stream: SocketStream) -> None:
        nonlocal sent
        await stream.send(HEAD + b"1000000000\r\n\r\n")
        while True:
            await stream.send(bytes(65_536))
            sent += 65_536

    async with serving(Talker(flood)) as server, Client(idle=3.0) as client:
        answer = await request(client, "GET", server.url)
        with anyio.fail_after(60):
            before = -1
            while before != sent:  # the kernel's own buffers fill, and then it stands
                before = sent
                await anyio.sleep(0.1)
        assert before < 64 * 2**20
        size = 0
        while size < before + 3 * HIGH:
            size += len(await answer.read())
        answer.close()
        with anyio.fail_after(60):
            await server.closed.wait()


async def test_what_is_left_ends_by_itself_and_its_connection_is_used_again() -> None:
    """Whoever had the answer waits for nothing, and its end comes a good while later."""
    late = anyio.Event()

    async def talk(stream: SocketStream) -> None:
        await stream.send(HEAD + b"4\r\n\r\nall")
        await late.wait()
        await stream.send(b".")

    async with serving(Talker(talk)) as server, Client(idle=3.0) as client:
        answer = await request(client, "GET", server.url)
        assert await answer.read() == b"all"
        answer.abandon()
        answer.close()
        assert client.statistics().idle == 0
        late.set()
        await rested(client)
        await request(client, "GET", server.url)
        assert server.connections == 1


@pytest.mark.parametrize("rest", [b"x" * (LEAVE_BYTES + 1), None])
async def test_what_is_left_and_does_not_end_is_closed(rest: bytes | None) -> None:
    goes_on = anyio.Event()

    async def talk(stream: SocketStream) -> None:
        await stream.send(HEAD + b"100000000\r\n\r\nall")
        await goes_on.wait()
        if rest is None:
            await stream.aclose()
        else:
            await stream.send(rest)

    async with serving(Talker(talk)) as server, Client(idle=3.0) as client:
        answer = await request(client, "GET", server.url)
        assert await answer.read() == b"all"
        answer.abandon()
        answer.abandon()
        goes_on.set()
        with anyio.fail_after(60):
            while client.statistics().open:  # noqa: ASYNC110 -- nobody tells
                await anyio.sleep(0.001)


async def test_cancelling_a_wait_closes_the_connection() -> None:
    async def hang(_: SocketStream) -> None:
        await anyio.sleep_forever()

    async with serving(Talker(hang)) as server, Client(idle=3.0) as client:
        with anyio.move_on_after(0.1) as scope:
            await request(client, "GET", server.url)
        assert scope.cancelled_caught
        assert client.statistics().open == 0


async def test_closing_the_client_ends_what_waits() -> None:
    hangs = anyio.Event()

    async def hang(_: SocketStream) -> None:
        hangs.set()
        await anyio.sleep_forever()

    async with (
        serving(Talker(hang)) as server,
        Client(idle=3.0) as client,
        anyio.create_task_group() as tasks,
    ):

        async def ask() -> None:
            assert (await failed(client, server.url)).fault is NetworkFault.RESET

        tasks.start_soon(ask)
        await hangs.wait()
        client.close()
        assert (await failed(client, server.url)).detail == "the client is closed"


async def test_an_address_that_is_not_allowed_is_not_connected_to() -> None:
    asked: list[tuple[IpAddress, int]] = []
    word = "outside"

    async def why_not(address: IpAddress, port: int) -> str | None:
        asked.append((address, port))
        return word

    async with serving() as server, Client(idle=3.0, why_not=why_not) as client:
        for host in ("127.0.0.1", "localhost"):
            error = await failed(client, f"http://{host}:{server.port}/")
            assert (error.fault, error.stage) == (NetworkFault.BARRED, Stage.CONNECT)
            assert error.detail == "outside"
        word = "refused"
        assert (await failed(client, server.url)).fault is NetworkFault.REFUSED
        assert (server.connections, asked[0]) == (0, (ip_address("127.0.0.1"), server.port))


async def allow_all(_: IpAddress, __: int) -> str | None:
    return None


def v4(host: str, port: int) -> Address:
    return Address(socket.AF_INET, (host, port), ip_address(host))


def v6(host: str, port: int) -> Address:
    return Address(socket.AF_INET6, (host, port), ip_address(host))


class Named(Resolver):
    """A name that leads to several addresses."""

    def __init__(self, *ports: int) -> None:
        super().__init__()
        self._ports = ports

    async def resolve(self, host: str, port: int) -> list[Address]:  # noqa: ARG002 -- as named
        return [v4("127.0.0.1", each) for each in self._ports]


@pytest.mark.skipif(sys.platform != "linux", reason="others name loopback in other ways")
async def test_an_address_of_one_link_alone_names_that() -> None:
    resolver = Resolver()
    [found] = await resolver.resolve("fe80::1%lo", 7)
    assert (found.family, found.where[1:]) == (socket.AF_INET6, (7, 0, socket.if_nametoindex("lo")))
    assert found.ip == ip_address("fe80::1"), "the link stands behind it"
    assert await resolver.resolve("10.0.0.1", 7) == [v4("10.0.0.1", 7)]
    assert await resolver.resolve("::1", 7) == [v6("::1", 7)]
    resolver.close()


def test_addresses_take_turns_between_the_families() -> None:
    four = [v4(f"10.0.0.{n}", 1) for n in range(3)]
    six = [v6(f"fd00::{n}", 1) for n in range(2)]
    assert interleaved(four) == four
    assert interleaved([*four, *six]) == [four[0], six[0], four[1], six[1], four[2]]
    assert interleaved([four[0], *six, four[1]]) == [four[0], six[0], four[1], six[1]]
    assert interleaved([*six, *four]) == [six[0], four[0], six[1], four[1], four[2]]


async def test_of_several_addresses_the_first_that_answers_is_taken() -> None:
    async with serving() as server, serving() as other:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            refused = silent.getsockname()[1]
            found: list[int] = []
            for ports in (
                (refused, server.port, other.port),
                (server.port, other.port),
                (refused, refused),
            ):
                options = ConnectOptions(
                    Named(*ports), allow_all, ssl.create_default_context, tcp_keepalive=False
                )
                made = partial(Connection, KEY, lambda _: None, lambda _: None, lambda _: None)
                if ports == (refused, refused):
                    with pytest.raises(HttpError) as raised:
                        await connect(made, Origin("http", "n", 1), None, options)
                    assert raised.value.fault is NetworkFault.REFUSED
                    continue
                connection = await connect(made, Origin("http", "n", 1), None, options)
                connection.option(lambda plain: found.append(plain.getpeername()[1]))
                connection.close()
        assert found == [server.port, server.port]


_CONNECTS = """
import os, socket, anyio
from exo_supervisor.http.client import Client
from tests.http.answering import request
from tests.http.serving import said

async def answer(listening, kept):
    await anyio.wait_readable(listening)
    kept.append(listening.accept()[0])
    await anyio.wait_readable(kept[0])
    kept[0].sendall(said("once"))

async def ask():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with anyio.create_task_group() as tasks, Client(idle=3.0) as client:
            tasks.start_soon(answer, listening, kept := [])
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
            await request(client, "GET", url)
            print(client.statistics().connected, len(os.listdir("/proc/self/task")))

anyio.run(ask, backend_options={"use_uvloop": True})
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux lists threads in /proc")
def test_no_thread_is_started_to_connect_to_an_address() -> None:
    command = [sys.executable, "-c", _CONNECTS]
    told = subprocess.run(command, capture_output=True, check=True, text=True)  # noqa: S603 -- ours
    assert told.stdout.split() == ["1", "1"]


async def test_a_connection_that_is_made_in_time_is_used_however_long_its_answer_takes() -> None:
    async def talk(stream: SocketStream) -> None:
        await anyio.sleep(0.3)
        await stream.send(said("late"))

    async with serving(Talker(talk)) as server, Client(idle=3.0) as client:
        assert await got(client, server.url, connect_timeout=60.0) == b"late"
        assert await got(client, server.url, connect_timeout=0.1) == b"late", "it was kept"


async def test_connecting_is_bounded_and_everything_of_it_is_named() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        held = [socket.socket() for _ in range(4)]
        for each in held:
            each.setblocking(False)  # noqa: FBT003 -- the library's own form
            each.connect_ex(("127.0.0.1", port))
        async with Client(idle=3.0) as client:
            error = await failed(client, f"http://127.0.0.1:{port}", connect_timeout=0.1)
        for each in held:
            each.close()
    assert (error.fault, error.stage) == (NetworkFault.TIMEOUT, Stage.CONNECT)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://nobody.invalid/", NetworkFault.DNS),
        ("http://255.255.255.255:9/", NetworkFault.NO_ROUTE),
        ("http://" + "a" * 70 + ".invalid/", NetworkFault.DNS),
        ("ftp://host/", NetworkFault.BAD_URL),
    ],
)
async def test_what_leads_nowhere_is_named(url: str, fault: NetworkFault) -> None:
    async with Client(idle=3.0) as client:
        error = await failed(client, url)
    assert (error.fault, error.stage) == (fault, Stage.CONNECT)
    assert error.__cause__ is None


async def test_nothing_but_three_methods_is_sent() -> None:
    async with Client(idle=3.0) as client:
        with pytest.raises(HttpError):
            await request(client, "CONNECT", "http://127.0.0.1:1/")


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="another platform's way")
async def test_the_kernel_watches_over_a_peer_far_away() -> None:
    async def options(client: Client, url: str) -> tuple[int, int]:
        await got(client, url)
        found: list[int] = []
        for connection in client.connections:

            def look(plain: socket.socket) -> None:
                found.append(plain.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
                found.append(plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))

            connection.option(look)
        alive, limit = found
        return alive, limit

    async with serving() as server:
        async with Client(idle=3.0, tcp_keepalive=True) as client:
            assert await options(client, server.url) == (1, LOST_AFTER * 1000)
            assert await options(client, server.url) == (1, LOST_AFTER_REUSED * 1000)
        async with Client(idle=3.0) as client:
            assert await options(client, server.url) == (0, 0)
            assert await options(client, server.url) == (0, 0)


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="another platform's way")
@pytest.mark.parametrize(("lost_after", "probes"), [(10.0, 2), (1.0, 1)])
def test_a_silent_peer_is_probed_as_often_as_its_time_allows(
    lost_after: float, probes: int
) -> None:
    with socket.socket() as plain:
        set_keepalive(plain, lost_after)
        kept = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        read = [plain.getsockopt(socket.IPPROTO_TCP, each) for each in kept]
    assert read == [PROBE_IDLE, PROBE_EVERY, probes]


async def test_a_large_body_arrives_whole() -> None:
    body = bytes(range(256)) * 20_000

    class Counting(Server):
        async def answer(self, stream: SocketStream, mine: int) -> None:  # noqa: ARG002 -- as named
            taken = bytearray()
            while len(taken) < len(body) or not taken.endswith(body[-9:]):
                taken += await stream.receive()
            assert taken.partition(b"\r\n\r\n")[2] == body
            await stream.send(said("thanks"))

    async with serving(Counting()) as server, Client(idle=3.0) as client:
        for _ in range(2):
            answer = await request(client, "POST", server.url, body=body)
            assert await answer.read() == b"thanks"
        assert client.statistics().reused == 1


def test_headers_that_would_be_two_are_refused() -> None:
    for value in ("a\r\nb: c", "a\nb", "a\0b", "a\r"):
        with pytest.raises(ValueError, match="control character"):
            encode_headers({"authorization": value})
