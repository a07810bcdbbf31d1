"""Bytes at the socket, made of real requests: each gets HTTP or a closed connection, no crash.

After each batch a plain chat is answered as ever, and the log knows of no crash.
"""

import asyncio
import json
import time
from random import Random

import anyio

from exo_supervisor.demo import Cloud, ExoNode
from tests.app.world import CLOUD_MODEL, KEY, World, asking, events, in_process, post
from tests.fuzz.mutation import mutated, pieces

AT_ONCE = 16
PATIENCE = 0.25
"""Seconds for which an answer is waited for: an unfinished request gets none."""
CRASHES = ("request_crashed", "service_crashed", "connection_crashed", "service_failed")
PATHS = (
    "/", "/healthz", "/readyz", "/v1/models", "/v1/models/x", "/supervisor/status", "/nowhere",
    "/supervisor/nodes", "/supervisor/models", "/supervisor/breakers", "/supervisor/requests",
    "/supervisor/nodes/x/trust", "/supervisor/models/x/place", "/supervisor/breakers/x/open",
)  # fmt: skip


def requests() -> tuple[bytes, ...]:
    """Return real requests of every route, plain and chunked, one or two on a connection."""
    chats = [asking(stream=stream, max_tokens=2, stop=["x"], n=1) for stream in (False, True)]
    bodies = [post(json.dumps(each).encode()) for each in chats]
    wishes = (
        "x-supervisor-privacy: local_only",
        "x-supervisor-deadline: 1",
        "Expect: 100-continue",
    )
    bodies += [post(json.dumps(chats[0]).encode(), wish) for wish in wishes]
    body = json.dumps(chats[1]).encode()
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    bodies.append(post(framed, "Transfer-Encoding: chunked"))
    looks = [
        f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        for path in PATHS
        for method in ("GET", "POST", "HEAD")
    ]
    return (*bodies, *looks, looks[0] + bodies[0])


async def run(random: Random, until: float) -> int:
    """Send requests until an instant; return how many. Raises AssertionError."""
    known, sent = requests(), 0
    node, cloud = ExoNode("C", pace=0.0), Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    async with node, cloud, in_process(node, cloud=cloud) as world:
        await world.ready()
        while time.monotonic() < until:
            batch = [mutated(random.choice(known), random, known) for _ in range(AT_ONCE)]
            cuts = [pieces(each, random) for each in batch]
            async with anyio.create_task_group() as tasks:
                for each in cuts:
                    tasks.start_soon(_send, world.path, each)
            sent += len(batch)
            await _check(world)
    return sent


async def _check(world: World) -> None:
    answer = await world.chat()
    assert answer.status_code == 200, answer.text
    assert not [line for name in CRASHES for line in events(world.log()[-(2**20) :], name)]


async def _send(path: str, parts: list[bytes]) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    received = b""
    try:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0)
        with anyio.move_on_after(PATIENCE):
            while piece := await reader.read(2**16):
                received += piece
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
    assert not received or received.startswith(b"HTTP/"), received[:80]
