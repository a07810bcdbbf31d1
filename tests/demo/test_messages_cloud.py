"""The Anthropic-style cloud breaks its grammar as it is told to."""

import json
from typing import Any

import pytest

from exo_supervisor.demo import HEALTHY, Disease, MessagesCloud
from exo_supervisor.demo.diseases import BREACHES, Breach
from tests.demo.raw import replayed

pytestmark = pytest.mark.real_time

ASKED: dict[str, Any] = {"model": "m", "max_tokens": 9, "stream": True}
BODY = json.dumps(ASKED | {"messages": [{"role": "user", "content": "Hello"}]}).encode()
REQUEST = (
    b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    b"anthropic-version: 2023-06-01\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
INSERTED = {
    "second_start": "message_start",
    "other_block": "content_block_delta",
    "nested_block": "content_block_start",
    "open_block": "message_delta",
    "no_reason": "message_stop",
}


async def kinds(cloud: MessagesCloud, disease: Disease) -> list[str]:
    cloud.disease = disease
    reply = await replayed(REQUEST, cloud.host, cloud.port)
    blocks = reply.body.decode().split("\n\n")
    return [block.split("\n")[0].removeprefix("event: ") for block in blocks if block]


@pytest.mark.parametrize("breach", BREACHES)
async def test_a_breach_is_one_event_that_may_not_stand_where_it_stands(breach: Breach) -> None:
    async with MessagesCloud(None, ("m",), tokens=4, pace=0) as cloud:
        healthy = await kinds(cloud, HEALTHY)
        assert healthy[:5] == [
            "message_start", "ping", "content_block_start", *["content_block_delta"] * 2,
        ]  # fmt: skip
        broken = await kinds(cloud, Disease("breach", after=2, breach=breach))
        assert broken == [*healthy[:5], INSERTED[breach], *healthy[5:]]
