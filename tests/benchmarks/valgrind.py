"""Counts the instructions of a service in user space, by callgrind, switched on when it is warm."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.benchmarks.processes import ROOT, BenchmarkError, accepts, tail

TURNS = 4
_STARTS_WITHIN, _STOPS_WITHIN = 60.0, 20.0
_TOTALS = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


def why_not() -> str | None:
    """Return why nothing can be counted here; None if it can."""
    missing = [name for name in ("valgrind", "callgrind_control") if shutil.which(name) is None]
    return f"{missing[0]} is not installed (Debian: apt install valgrind)" if missing else None


class Counted:
    """A process under callgrind."""

    def __init__(self, pid: int, out: Path) -> None:
        self.pid = pid
        self._out = out

    async def switch_on(self) -> None:
        """Begin to count; what ran before was only carried out."""
        await self._control("-i", "on")

    async def count(self, work: Callable[[], Awaitable[None]]) -> int:
        """Return how many instructions the process takes for some work, done a few times.

        The least leaves out the turns in which garbage was collected or a timer went off.
        """
        await work()  # callgrind's own first sight of the code
        await self._control("-z")
        took: list[int] = []
        for _ in range(TURNS):
            await work()
            took.append(await self._dumped())
        return min(took)

    async def _dumped(self) -> int:
        known = set(self._dumps())
        await self._control("-d")
        new = set(self._dumps()) - known
        if len(new) != 1:
            raise BenchmarkError(f"callgrind wrote {len(new)} files, not one")
        found = _TOTALS.findall(new.pop().read_text())
        return int(found[-1])

    def _dumps(self) -> list[Path]:
        return list(self._out.parent.glob(f"{self._out.name}.*"))

    async def _control(self, *arguments: str) -> None:
        told = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "callgrind_control",
            *arguments,
            str(self.pid),
            stdout=told,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        if process.returncode or b"Error" in output:
            raise BenchmarkError(f"callgrind_control {arguments}: {output.decode()}")


@asynccontextmanager
async def counted(
    command: list[str], environ: dict[str, str], home: Path, socket: Path
) -> AsyncGenerator[Counted]:
    """Run a command under callgrind until its socket is there; it ends with the `async with`."""
    out, log = home / "callgrind.out", home / "service.log"
    valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
    with log.open("wb") as told:
        process = await asyncio.create_subprocess_exec(
            *valgrind,
            *command,
            stdout=told,
            stderr=told,
            cwd=ROOT,
            env=os.environ | environ | {"PYTHONHASHSEED": "0"},
        )
    try:
        await _listening(process, socket, log)
        await _warm(socket)
        yield Counted(process.pid, out)
    finally:
        if process.returncode is None:
            process.kill()
        async with asyncio.timeout(_STOPS_WITHIN):
            await process.wait()


async def _listening(process: asyncio.subprocess.Process, socket: Path, log: Path) -> None:
    async with asyncio.timeout(_STARTS_WITHIN):
        while not accepts(str(socket)):
            if process.returncode is not None:
                raise BenchmarkError(f"it ended: {tail(log)}")
            await asyncio.sleep(0.1)


async def _warm(socket: Path) -> None:
    """Have imported what a start leaves for later: aiohttp, for all that is no chat."""
    async with asyncio.timeout(_STARTS_WITHIN):
        reader, writer = await asyncio.open_unix_connection(socket)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        await reader.read()
        writer.close()
