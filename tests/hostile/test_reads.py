"""Neighbours that drip their states take a bounded room, and nobody's turn for long."""

from collections.abc import Mapping

import anyio

from exo_supervisor.fleet_io.untrusted import MAX_READ_BYTES, MAX_READS, SMALL_BYTES, UntrustedReads
from exo_supervisor.runtime.fetch import NO_HEADERS, GetError
from exo_supervisor.wire.exo.identity import HttpAnswer

MIB = 2**20


class Dripping:
    """Neighbours that answer large questions until their time is up, and small ones at once."""

    def __init__(self) -> None:
        self.at_once = self.most = self.room = 0

    async def __call__(
        self,
        url: str,
        *,
        timeout: float,  # noqa: ASYNC109 - see Get
        limit: int,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> HttpAnswer:
        assert (url, headers) == ("http://n:1/state", NO_HEADERS)
        if limit <= SMALL_BYTES:
            return HttpAnswer(200, b"{}")
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        self.room = max(self.room, self.at_once * limit)
        await anyio.sleep(timeout)
        self.at_once -= 1
        raise GetError("timeout")


async def test_thirty_states_that_drip_take_64_mib_and_a_few_turns() -> None:
    dripping, ends = Dripping(), list[float]()
    reads, began = UntrustedReads(dripping), anyio.current_time()

    async def read() -> None:
        try:
            await reads("http://n:1/state", timeout=5.0, limit=32 * MIB)
        except GetError:
            ends.append(anyio.current_time() - began)

    async with anyio.create_task_group() as tasks:
        for _ in range(30):
            tasks.start_soon(read)
        await anyio.sleep(1.0)
        small = await reads("http://n:1/state", timeout=5.0, limit=SMALL_BYTES)
        assert (small.status, anyio.current_time() - began) == (200, 1.0), "small ones need no turn"
    assert (dripping.most, dripping.room) == (MAX_READS, 64 * MIB)
    assert MAX_READ_BYTES * MAX_READS == 64 * MIB
    assert (len(ends), max(ends)) == (30, 40.0), "each waits for its turn, and gets all its time"
