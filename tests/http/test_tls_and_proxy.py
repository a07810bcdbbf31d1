"""TLS is trusted as the system does, and a proxy carries bytes without seeing or telling any."""

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketStream

from exo_supervisor.http.client import Client
from exo_supervisor.http.faults import HttpError, NetworkFault, Stage
from exo_supervisor.http.url import read_proxy
from tests.http.answering import request
from tests.http.serving import Authority, ConnectProxy, Server, Talker, proxying, said, serving

pytestmark = pytest.mark.real_time

SECRET = "pass/word"


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Made once: keys take their time."""
    return Authority("localhost", "far.example")


@asynccontextmanager
async def trusting(authority: Authority, idle: float = 3.0) -> AsyncGenerator[Client]:
    async with Client(idle=idle, tls=authority.trust) as client:
        yield client


async def got(client: Client, url: str, proxy: str | None = None) -> bytes:
    way = None if proxy is None else read_proxy(proxy)
    return await (await request(client, "GET", url, proxy=way)).read()


async def failed(client: Client, url: str, proxy: str | None = None) -> HttpError:
    with pytest.raises(HttpError) as raised:
        await got(client, url, proxy)
    assert SECRET not in f"{raised.value!r} {raised.value.detail}"
    return raised.value


async def test_a_server_whose_certificate_is_trusted_and_its_connection_used_again(
    authority: Authority,
) -> None:
    async with (
        serving(tls=authority.server, host="localhost") as server,
        trusting(authority) as client,
    ):
        assert [await got(client, server.url) for _ in range(3)] == [b"from 1"] * 3
        assert (client.statistics().connected, client.statistics().reused) == (1, 2)


async def test_a_kept_connection_behind_tls_that_is_closed_costs_nothing(
    authority: Authority,
) -> None:
    class Closing(Server):
        async def answer(self, stream: SocketStream, mine: int) -> None:
            await super().answer(stream, mine)
            if mine == 1:
                await stream.aclose()
                self.closed.set()

    async with (
        serving(Closing(), tls=authority.server, host="localhost") as server,
        trusting(authority) as client,
    ):
        assert await got(client, server.url) == b"from 1"
        await server.closed.wait()
        assert await got(client, server.url) == b"from 2"


async def test_a_body_without_a_length_ends_with_its_tls_connection(authority: Authority) -> None:
    async def talk(stream: SocketStream) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\n\r\nall there is")
        await stream.aclose()

    async with (
        serving(Talker(talk), tls=authority.server, host="localhost") as server,
        trusting(authority) as client,
    ):
        answer = await request(client, "GET", server.url)
        assert await answer.read() + await answer.read() == b"all there is"
        assert await answer.read() == b""


async def test_a_certificate_of_nobody_we_trust_or_for_another_name(authority: Authority) -> None:
    async with serving(tls=authority.server, host="localhost") as server:
        async with Client(idle=3.0) as client:
            assert (await failed(client, server.url)).fault is NetworkFault.TLS
        async with trusting(authority) as client:
            other = server.url.replace("localhost", "127.0.0.1")
            error = await failed(client, other)
            assert (error.fault, error.stage) == (NetworkFault.TLS, Stage.CONNECT)
            assert client.statistics().open == 0


@pytest.mark.parametrize(
    "talk", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x03\0\x02\x02\x28"]
)
async def test_a_server_that_speaks_no_tls_or_refuses_it(talk: bytes) -> None:
    async def say(stream: SocketStream) -> None:
        await stream.send(talk)

    async with serving(Talker(say)) as server, Client(idle=3.0) as client:
        url = server.url.replace("http:", "https:")
        assert (await failed(client, url)).fault is NetworkFault.TLS


async def test_a_handshake_that_hangs_costs_the_time_to_connect(authority: Authority) -> None:
    async def hang(_: SocketStream) -> None:
        await anyio.sleep_forever()

    async with serving(Talker(hang)) as server, trusting(authority) as client:
        url = server.url.replace("http:", "https:")
        with pytest.raises(HttpError) as raised:
            await request(client, "GET", url, connect_timeout=0.1)
        assert (raised.value.fault, raised.value.stage) == (NetworkFault.TIMEOUT, Stage.CONNECT)
        assert client.statistics().open == 0


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_leads_there_for_both_schemes_and_is_told_who_we_are(
    scheme: str, authority: Authority
) -> None:
    """The name is looked up by the proxy alone: here it leads nowhere."""
    tls = authority.server if scheme == "https" else None
    async with serving(tls=tls) as server, trusting(authority) as client:
        name = f"far.example:{server.port}"
        async with proxying(ConnectProxy({name: server.port})) as proxy:
            way = proxy.url.replace("http://", "http://me:pass%2Fword@")
            for _ in range(2):
                assert await got(client, f"{scheme}://{name}/", way) == b"from 1"
            told = b"proxy-authorization: Basic bWU6cGFzcy93b3Jk"
            head = f"CONNECT {name} HTTP/1.1\r\nhost: {name}\r\n".encode()
            assert proxy.asked == [head + told + b"\r\n\r\n"]
            assert all(b"Basic" not in each for each in server.asked)
        assert SECRET not in repr(client)
        assert SECRET not in repr(read_proxy(way))


@pytest.mark.parametrize(
    ("said_by_proxy", "detail"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "with status 407"),
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n", "with status 502"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n ", "speaks for the other end"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "does not answer in HTTP"),
        (b"HTTP/1.1\r\n\r\n", "does not answer in HTTP"),
        (b"HTTP/1.1 200", "does not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\na: " + b"x" * 70_000, "does not answer in HTTP"),
    ],
)
async def test_a_proxy_that_does_not_lead_there(said_by_proxy: bytes, detail: str) -> None:
    async with Client(idle=3.0) as client, proxying(ConnectProxy({}, said_by_proxy)) as proxy:
        error = await failed(client, "http://far.example/", proxy.url)
    assert (error.fault, error.stage) == (NetworkFault.PROXY, Stage.CONNECT)
    assert detail in error.detail


@pytest.mark.parametrize("talk", [b"HTTP/1.1 200\r\n\r\n", b"HTTP/1.0 204 \r\na: b\r\n\r\n"])
async def test_a_proxy_may_say_yes_in_few_words(talk: bytes) -> None:
    """It leads nowhere here, which is told as the loss of a connection that was made."""
    async with Client(idle=3.0) as client, proxying(ConnectProxy({}, talk)) as proxy:
        error = await failed(client, "http://far.example/", proxy.url)
    assert (error.fault, error.stage) == (NetworkFault.RESET, Stage.HEAD)


async def test_with_and_without_a_proxy_are_two_ways() -> None:
    async with serving() as server, Client(idle=3.0) as client:
        name = f"127.0.0.1:{server.port}"
        async with proxying(ConnectProxy({name: server.port})) as proxy:
            assert await got(client, server.url) == b"from 1"
            assert await got(client, server.url, proxy.url) == b"from 2"
            assert await got(client, server.url) == b"from 1"


def test_the_default_context_checks_names_and_certificates() -> None:
    context = ssl.create_default_context()
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert said("x").endswith(b"\r\n\r\nx")
