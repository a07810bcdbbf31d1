"""A target whose answer nobody wants is told so, politely if it can hear, and soon."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import anyio
import pytest
import uvloop
from anyio.abc import SocketStream

from exo_supervisor.core.names import RequestId
from exo_supervisor.edge.parting import MAX_PARTINGS, PATIENCE, Parting
from exo_supervisor.edge.upstream import Opened, Upstream
from exo_supervisor.wire.openai import read_chat
from tests.edge.talking import DONE, HEAD, STOP, TERMINATOR, Node, Talk, attempt, talking, text

pytestmark = pytest.mark.real_time


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Both loops, since they close in different ways."""
    assert uvloop.Loop is not asyncio.SelectorEventLoop
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


async def goes_on(stream: SocketStream) -> None:
    await stream.send(HEAD + text("a"))


@asynccontextmanager
async def opened(talk: Talk = goes_on) -> AsyncGenerator[tuple[Node, Opened, Parting]]:
    """Open an answer whose first piece is there."""
    chat = read_chat(b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}')
    async with talking(talk) as node, aiohttp.ClientSession() as session:
        answer = await Upstream(session, session, {}).open(attempt(node.url, RequestId("r")), chat)
        assert b"data: " in await answer.read()
        yield node, answer, Parting(session)
        answer.close()


async def closed(node: Node) -> float:
    """Wait until the node sees its chat closed, and tell how long that took."""
    began = anyio.current_time()
    with anyio.fail_after(2.0):
        while node.open:  # noqa: ASYNC110 -- nobody tells
            await anyio.sleep(0.005)
    return anyio.current_time() - began


async def test_a_target_is_told_by_name_and_may_end_its_answer_itself() -> None:
    async with opened() as (node, answer, parting), anyio.create_task_group() as tasks:
        tasks.start_soon(parting.run)
        await anyio.wait_all_tasks_blocked()
        parting.leave(answer, f"{node.url}/v1/cancel/cmd")
        waited = await closed(node)
        assert node.lines[1:] == ["POST /v1/cancel/cmd"]
        assert PATIENCE * 0.5 < waited < PATIENCE + 0.3
        tasks.cancel_scope.cancel()


async def test_without_a_name_or_before_its_service_runs_a_close_must_do() -> None:
    async with opened() as (node, answer, parting):
        parting.leave(answer, f"{node.url}/v1/cancel/cmd")
        assert await closed(node) < PATIENCE
        assert len(node.lines) == 1
    async with opened() as (node, answer, parting), anyio.create_task_group() as tasks:
        tasks.start_soon(parting.run)
        await anyio.wait_all_tasks_blocked()
        parting.leave(answer, None)
        assert await closed(node) < PATIENCE
        assert len(node.lines) == 1
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "nonsense", "http://[::1/", "http://a:99999/"]
)
async def test_a_target_that_cannot_be_told_is_closed_all_the_same(url: str) -> None:
    async with opened() as (node, answer, parting), anyio.create_task_group() as tasks:
        tasks.start_soon(parting.run)
        await anyio.wait_all_tasks_blocked()
        parting.leave(answer, url)
        assert await closed(node) < PATIENCE + 0.3
        tasks.cancel_scope.cancel()


async def test_after_its_service_ended_a_parting_is_a_close_and_the_service_can_come_back() -> None:
    async with opened() as (node, answer, parting):
        for _ in range(2):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(parting.run)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
        parting.leave(answer, f"{node.url}/v1/cancel/cmd")
        assert await closed(node) < PATIENCE
        assert len(node.lines) == 1


async def test_more_partings_than_can_be_borne_are_plain_closes() -> None:
    async with opened() as (node, answer, parting), anyio.create_task_group() as tasks:
        tasks.start_soon(parting.run)
        await anyio.wait_all_tasks_blocked()
        for _ in range(MAX_PARTINGS + 10):
            parting.leave(answer, f"{node.url}/v1/cancel/cmd")
        await closed(node)
        await anyio.sleep(PATIENCE * 2)
        assert len(node.lines) - 1 <= MAX_PARTINGS
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("end", [TERMINATOR, b"zz\r\n", b""], ids=["clean", "garbage", "none"])
async def test_seeing_an_answer_out_never_raises_and_never_takes_long(end: bytes) -> None:
    async def talk(stream: SocketStream) -> None:
        await stream.send(HEAD + text("a"))
        await anyio.sleep(0.02)
        await stream.send(STOP + DONE + end)

    async with opened(talk) as (_, answer, _):
        with anyio.fail_after(0.5):
            await answer.see_out()
