"""What a process holds while it is soaked: memory, descriptors, tasks, streams."""

from pathlib import Path
from statistics import mean

import anyio
from anyio import to_thread
from msgspec import Struct, field

from tests.soak.house import House

BEAT = 1.0
MINUTE = 60.0
LETTING_GO = 130.0
"""Seconds after which the pool has closed every idle connection, to providers too: it looks once a
minute for those that have idled for a minute."""
SPARE = 2
"""Idle connections to a node that its own health checks keep in use."""
FLAT = 0.05
"""The share by which memory may differ from what it was after the first minute."""


class Gauges(Struct):
    """Samples, one a beat: seconds since the start, MiB, descriptors."""

    samples: list[tuple[float, float, int]] = field(default_factory=list[tuple[float, float, int]])

    def memory(self, since: float, until: float) -> float:
        """Tell the mean memory between two instants, in MiB."""
        found = [mib for at, mib, _ in self.samples if since <= at <= until]
        return mean(found) if found else 0.0

    @property
    def peak(self) -> float:
        """The most memory that was seen, in MiB."""
        return max(mib for _, mib, _ in self.samples)

    @property
    def descriptors(self) -> int:
        """The most descriptors that were seen open."""
        return max(count for _, _, count in self.samples)


async def read(house: House) -> tuple[float, int]:
    """Read a process's resident memory in MiB, and its open descriptors."""
    return await to_thread.run_sync(_read, house.process.pid)


async def watch(house: House, gauges: Gauges) -> None:
    """Take a sample a beat, for ever."""
    began = anyio.current_time()
    while True:
        mib, count = await read(house)
        gauges.samples.append((anyio.current_time() - began, mib, count))
        await anyio.sleep(BEAT)


async def calm(house: House, descriptors: int, tasks: int) -> tuple[int, int]:
    """Wait until nothing is held any more that was not held before; what is left in the end."""
    descriptors += spare(house)
    count, left = (await read(house))[1], await house.tasks()
    with anyio.move_on_after(LETTING_GO):
        while count > descriptors or left > tasks:
            await anyio.sleep(BEAT)
            count, left = (await read(house))[1], await house.tasks()
    return count, left


def spare(house: House) -> int:
    """Tell how many descriptors may be open that were not before the first request."""
    return SPARE * len(house.nodes)


def _read(pid: int) -> tuple[float, int]:
    proc = Path("/proc") / str(pid)
    status = (proc / "status").read_text(encoding="ascii")
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024, sum(1 for _ in (proc / "fd").iterdir())
