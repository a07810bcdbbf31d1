"""curl over the socket, as the README shows it."""

import json
import shutil
from pathlib import Path

import anyio
import pytest

from exo_supervisor.demo import ExoNode, text
from tests.app.world import CHAT, World, asking, folder, in_process

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]


async def curl(world: World, *words: str) -> str:
    done = await anyio.run_process(
        ["curl", "-sS", "--unix-socket", world.path, f"http://localhost{CHAT}", *words]
    )
    return done.stdout.decode()


async def test_curl_gets_a_whole_answer_and_a_stream() -> None:
    async with ExoNode("C", pace=0.0) as node, in_process(node) as world:
        await world.ready()
        whole = json.loads(await curl(world, "-d", json.dumps(asking())))
        assert whole["choices"][0]["message"]["content"] == text(12)
        stream = await curl(world, "-N", "-d", json.dumps(asking(stream=True)))
        assert stream.startswith("data: {")
        assert stream.endswith("data: [DONE]\n\n")


async def test_curl_sends_two_megabytes_and_is_told_to_go_on() -> None:
    """It asks with `Expect: 100-continue` and would wait a second for the answer."""
    async with ExoNode("C", pace=0.0) as node, in_process(node) as world:
        await world.ready()
        long = [{"role": "user", "content": "x" * 2 * 2**20}]
        with folder() as place:
            file = Path(place, "body.json")
            await anyio.Path(file).write_text(json.dumps(asking(messages=long)))
            words = ["-d", f"@{file}", "-H", "Expect: 100-continue", "--expect100-timeout", "60"]
            answer = await curl(world, "-i", *words)
        head = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
        assert answer[: len(head)] == head
        assert node.last_request is not None
        assert node.last_request["messages"] == long
