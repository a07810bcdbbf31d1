"""A provider behind a proxy gets its chats and is asked for its list over it, and nobody else."""

import msgspec
import pytest
from anyio.abc import SocketStream

from exo_supervisor.core.names import RequestId
from exo_supervisor.fleet_io.fetch import Fetcher
from exo_supervisor.http.url import read_proxy
from exo_supervisor.serve.upstream import Upstream, open_sessions
from exo_supervisor.wire.openai.inbound import read_chat
from tests.http.serving import ConnectProxy, Talker, proxying, serving
from tests.serve.asking import opened
from tests.serve.talking import DONE, HEAD, STOP, TERMINATOR, attempt, text

pytestmark = pytest.mark.real_time

CHAT = read_chat(b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}')


async def says(stream: SocketStream) -> None:
    await stream.send(HEAD + text("here") + STOP + DONE + TERMINATOR)


async def test_chats_and_lists_go_over_the_proxy_of_their_provider() -> None:
    nodes, clouds = open_sessions()
    async with nodes, clouds, serving(Talker(says)) as server:
        name = f"far.example:{server.port}"
        async with proxying(ConnectProxy({name: server.port})) as proxy:
            way = read_proxy(proxy.url)
            upstream = Upstream(nodes, clouds, {"n:1": ("key",)}.copy, {"n:1": way})
            start = attempt(f"http://{name}/v1", RequestId("r"))
            answer = await opened(upstream, msgspec.structs.replace(start, generation=None), CHAT)
            assert b"here" in await answer.read()
            answer.close()
            url = f"http://{name}/v1/models"
            reply = await Fetcher(clouds, way).get(url, timeout=5.0, limit=10_000)
            assert reply.status == 200
            assert len(proxy.asked) == 1, "the way there is kept, too"
            assert b"key" not in b"".join(proxy.asked)
            near = Upstream(nodes, clouds, {"n:1": (None,)}.copy)
            answer = await opened(near, attempt(server.url, RequestId("r")), CHAT)
            answer.close()
            assert len(proxy.asked) == 1
