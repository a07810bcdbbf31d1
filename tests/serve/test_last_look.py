"""What came while the process stood still is read before a deadline ends the wait for it."""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import closing

import anyio
import pytest
import uvloop

from exo_supervisor.serve.last_look import ends_at

BRIEF, LONG = 0.02, 0.1
Loop = Callable[[], asyncio.AbstractEventLoop]


async def read_late(said: bytes) -> bytes | None:
    """Wait for bytes that come while the loop stands still until long after the deadline."""
    here, there = socket.socketpair()
    with closing(there):
        reader, writer = await asyncio.open_connection(sock=here)
        loop = asyncio.get_running_loop()

        def stand_still() -> None:
            there.send(said)
            time.sleep(LONG)

        loop.call_soon(stand_still)
        got = None
        with ends_at(loop.time() + BRIEF) as scope:
            got = await reader.read(99)
        writer.close()
    assert scope.cancel_called == (not said)
    return got


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("said", [b"a head", b""])
def test_bytes_come_before_the_deadline_that_passed_with_them(loop: Loop, said: bytes) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(read_late(said)) == (said or None)


@pytest.mark.real_time
async def test_a_deadline_ends_what_nobody_wakes() -> None:
    loop = asyncio.get_running_loop()
    with ends_at(loop.time() - 1.0) as scope:
        await anyio.sleep_forever()
    assert scope.cancelled_caught


@pytest.mark.real_time
async def test_a_deadline_that_is_not_reached_leaves_nothing_behind() -> None:
    loop = asyncio.get_running_loop()
    with ends_at(loop.time() + BRIEF) as scope:
        pass
    with ends_at(loop.time() - 1.0) as late:
        pass
    await anyio.sleep(2 * BRIEF)
    assert not scope.cancel_called
    assert not late.cancelled_caught
