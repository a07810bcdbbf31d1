"""Heads that are no answer yet are passed over, but not without end."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
import uvloop
from anyio.abc import SocketAttribute, SocketStream

from exo_supervisor.core.names import RequestId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.http.response_reader import MAX_INTERIM
from exo_supervisor.serve.upstream import Upstream, open_sessions
from exo_supervisor.wire.openai.inbound import read_chat
from tests.budget import budget
from tests.serve.asking import FailedError, opened
from tests.serve.talking import DONE, HEAD, STOP, TERMINATOR, attempt, text

pytestmark = pytest.mark.real_time

CHAT = read_chat(b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}')
HINT = b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n"
ANSWER = HEAD + text("here") + STOP + DONE + TERMINATOR
FLOOD = 20_000


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Both loops, since they read and close in different ways."""
    assert uvloop.Loop is not asyncio.SelectorEventLoop
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@asynccontextmanager
async def hinting(hints: int) -> AsyncGenerator[tuple[Upstream, str]]:
    """Serve answers that come after so many interim heads, all in one piece."""

    async def handle(stream: SocketStream) -> None:
        async with stream:
            try:
                async for _ in stream:
                    await stream.send(HINT * hints + ANSWER)
            except anyio.BrokenResourceError:
                return

    nodes, clouds = open_sessions()
    async with (
        nodes,
        clouds,
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, handle)
        port = listener.extra_attributes[SocketAttribute.local_port]()
        yield Upstream(nodes, clouds, dict), f"http://127.0.0.1:{port}"
        tasks.cancel_scope.cancel()


async def test_as_many_as_a_server_may_need_are_passed_over_at_each_request() -> None:
    async with hinting(MAX_INTERIM) as (upstream, url):
        for _ in range(3):
            answer = await opened(upstream, attempt(url, RequestId("r")), CHAT)
            assert b"here" in await answer.read()
            answer.leave()


@pytest.mark.parametrize("hints", [MAX_INTERIM + 1, FLOOD])
async def test_more_end_the_attempt_and_the_answer_behind_them_is_not_read(hints: int) -> None:
    async with hinting(hints) as (upstream, url):
        for _ in range(2):
            with pytest.raises(FailedError) as raised:
                await opened(upstream, attempt(url, RequestId("r")), CHAT)
            assert raised.value.fault is Fault.PAYLOAD


@budget(0.15)
async def test_a_flood_does_not_keep_the_loop(within: float) -> None:
    """Between two pieces everybody else has a turn; all of it would take half a second."""
    worst = 0.0
    async with hinting(FLOOD) as (upstream, url), anyio.create_task_group() as tasks:

        async def beat() -> None:
            nonlocal worst
            while True:
                asked = anyio.current_time()
                await anyio.sleep(0.001)
                worst = max(worst, anyio.current_time() - asked)

        tasks.start_soon(beat)
        with pytest.raises(FailedError):
            await opened(upstream, attempt(url, RequestId("r")), CHAT)
        tasks.cancel_scope.cancel()
    assert worst < within
