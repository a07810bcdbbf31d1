"""A client may leave at any moment: the target hears of it, and everything is given back."""

import asyncio
import json

import anyio
import pytest
import uvloop
from anyio.abc import SocketStream
from structlog.testing import capture_logs

from exo_supervisor.core.events import AttemptSettled
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.http.connection import LEAVE_SECONDS
from tests.budget import EVER, budget
from tests.demo.raw import exchanged, taken_apart
from tests.serve.listening import HOST
from tests.serve.talking import DONE, HEAD, STOP, TERMINATOR, Housed, Node, Talk, housed, talking
from tests.serve.talking import text as said

pytestmark = pytest.mark.real_time

SOON = budget(0.3)
"""In which a target must hear that its client left."""


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Both loops, since they cancel at different moments."""
    assert uvloop.Loop is not asyncio.SelectorEventLoop
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


def chat(*, stream: bool, close: bool = True) -> bytes:
    body = json.dumps(
        {"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
    ).encode()
    connection = b"connection: close\r\n" if close else b""
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n%scontent-length: %d\r\n\r\n"
        % (connection, len(body))
    ) + body


def says(*parts: bytes) -> Talk:
    async def talk(stream: SocketStream) -> None:
        for part in parts:
            await stream.send(part)

    return talk


async def leaves(
    house: Housed, node: Node, after: bytes, *, stream: bool, asked: bool = True
) -> float:
    """Ask, leave once `after` was heard and all is quiet, and tell how long the target waited."""
    async with await anyio.connect_tcp(HOST, house.port) as client:
        await client.send(chat(stream=stream))
        received = b""
        while after not in received:
            received += await client.receive()
        with anyio.fail_after(EVER):
            while not (node.asked if asked else house.told):  # noqa: ASYNC110 -- nobody tells
                await anyio.sleep(0.005)
        await anyio.sleep(0.05)
    left = anyio.current_time()
    with anyio.fail_after(LEAVE_SECONDS + EVER):
        while node.open or not house.empty:  # noqa: ASYNC110 -- nobody tells
            await anyio.sleep(0.005)
    return max(0.0, node.closed_at - left)


@SOON
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "parts",
    [
        (),
        (HEAD[:20],),
        (HEAD,),
        (b"HTTP/1.1 500 X\r\ncontent-length: 9\r\n\r\nhalf",),
        (HEAD, said("a")),
    ],
    ids=["no head", "half a head", "a head", "half an error", "content"],
)
async def test_who_leaves_takes_everything_along(
    parts: tuple[bytes, ...], within: float, *, stream: bool
) -> None:
    async with talking(says(*parts)) as node, housed(node) as house:
        heard = b'"a"' if stream and said("a") in parts else b""
        assert await leaves(house, node, heard, stream=stream) < within
        ends = [told for told in house.told if told in ("AttemptSettled", "RequestEnded")]
        assert ends == ["RequestEnded"], house.told
        assert len(node.lines) == 1, "a target is told by the close alone"


async def test_who_leaves_while_it_waits_for_an_order_is_told_of() -> None:
    async with talking(says()) as node, housed(node, start=False) as house:
        await leaves(house, node, b"", stream=True, asked=False)
        assert house.told == ["RequestArrived", "RequestEnded"]


async def test_who_leaves_after_a_keepalive_is_forgotten() -> None:
    async with talking(says(HEAD)) as node, housed(node, head=0.05) as house:
        await leaves(house, node, b": keep-alive", stream=True)
        assert house.told[-1] == "RequestEnded"


@SOON
@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_whole_even_if_its_connection_never_ends(
    within: float, *, stream: bool
) -> None:
    """Its client has it at once, and may leave: the connection has a moment, and is closed."""
    parts = (HEAD, said("a"), STOP, DONE)
    with capture_logs() as lines:
        async with talking(says(*parts)) as node, housed(node) as house:
            assert await leaves(house, node, b"200 OK", stream=stream) < LEAVE_SECONDS + within
    settled = [event for event in house.events if isinstance(event, AttemptSettled)]
    assert [event.failure.fault for event in settled] == [Fault.NONE]
    assert not lines
    assert [record.outcome for record in house.records] == ["success"]


@pytest.mark.parametrize("rest", [b"zz\r\n", b""], ids=["garbage", "a cut"])
async def test_trouble_after_the_end_of_an_answer_is_no_trouble(rest: bytes) -> None:
    async def talk(stream: SocketStream) -> None:
        await stream.send(HEAD + said("a") + STOP + DONE)
        await anyio.sleep(0.05)
        if rest:
            await stream.send(rest)
        else:
            await stream.aclose()

    with capture_logs() as lines:
        async with talking(talk) as node, housed(node) as house:
            raw = await exchanged(chat(stream=True), HOST, house.port)
            assert taken_apart(raw).whole
            assert taken_apart(raw).body.endswith(b"data: [DONE]\n\n")
            assert house.empty
    assert not lines
    assert [record.outcome for record in house.records] == ["success"]


async def test_a_target_that_dies_in_the_middle_leaves_no_end_behind() -> None:
    async def talk(stream: SocketStream) -> None:
        await stream.send(HEAD + said("a"))
        await anyio.sleep(0.05)
        await stream.aclose()

    async with talking(talk) as node, housed(node) as house:
        raw = await exchanged(chat(stream=True, close=False), HOST, house.port)
        told = taken_apart(raw)
        assert house.empty
    assert not told.whole
    assert TERMINATOR not in raw
    assert b"[DONE]" not in told.body
    assert b"attempts_failed" in told.body


async def test_an_upstream_that_ends_its_body_late_delays_no_next_request() -> None:
    """How a body ends is its connection's business: the first one waits beside the second."""
    both = 2
    asked = anyio.Event()

    async def talk(stream: SocketStream) -> None:
        await stream.send(HEAD + said("a") + STOP + DONE)
        if node.open == both:
            asked.set()

    async with talking(talk) as node, housed(node) as house:
        async with await anyio.connect_tcp(HOST, house.port) as client:
            for _ in range(both):
                await client.send(chat(stream=True, close=False))
                received = b""
                while not received.endswith(b"0\r\n\r\n"):
                    received += await client.receive()
        with anyio.fail_after(60):
            await asked.wait()
