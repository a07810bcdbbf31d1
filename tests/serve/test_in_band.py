"""What a stream says of itself in its body counts as its head would."""

import json

import anyio
import pytest
from anyio.abc import SocketStream

from exo_supervisor.core.events import AttemptSettled
from exo_supervisor.core.outcomes import Fault
from tests.serve.listening import HOST
from tests.serve.talking import HEAD, Housed, chunk, housed, talking

pytestmark = pytest.mark.real_time
ASKED = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
BUSY = {"error": {"message": "slow down", "code": 429, "retry_after": 9}}


async def settled(house: Housed) -> AttemptSettled:
    with anyio.fail_after(60):
        while not house.told.count("AttemptSettled"):  # noqa: ASYNC110 -- nobody tells
            await anyio.sleep(0.005)
    return next(event for event in house.events if isinstance(event, AttemptSettled))


async def test_a_retry_after_in_the_body_is_told_to_the_machine() -> None:
    async def talk(stream: SocketStream) -> None:
        await stream.send(HEAD + chunk(b"data: %b\n\n" % json.dumps(BUSY).encode()))

    post = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
    async with (
        talking(talk) as node,
        housed(node) as house,
        await anyio.connect_tcp(HOST, house.port) as client,
    ):
        await client.send(post % len(ASKED) + ASKED)
        event = await settled(house)
    assert (event.failure.fault, event.failure.retry_after) == (Fault.BUSY, 9.0)
