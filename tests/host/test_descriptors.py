"""A process that was started without standard descriptors gets them, and others stay theirs."""

import subprocess
import sys

import anyio
import pytest

from tests.app.world import environ, exchanged, folder, left

TELL = """
import os, sys
from exo_supervisor.host.descriptors import fill_standard
before = os.fstat(1).st_ino if sys.argv[1] == "open" else 0
fill_standard()
pipe = os.pipe()
null = os.stat(os.devnull).st_ino
kept = [os.fstat(1).st_ino == before] if sys.argv[1] == "open" else []
os._exit(0 if min(pipe) > 2 and all(kept or [os.fstat(n).st_ino == null for n in range(3)]) else 9)
"""


@pytest.mark.parametrize(("closing", "word"), [("<&- >&- 2>&-", "closed"), ("<&- 2>&-", "open")])
def test_closed_standard_descriptors_are_filled_and_open_ones_kept(closing: str, word: str) -> None:
    command = f'exec "$0" -c "$1" {word} {closing}'
    shell = ["/bin/sh", "-c", command, sys.executable, TELL]
    assert subprocess.run(shell, stdout=subprocess.PIPE, check=False).returncode == 0  # noqa: S603 -- our own words


@pytest.mark.real_time
async def test_the_service_serves_and_ends_well_without_standard_descriptors() -> None:
    """A socket that has the number of a standard descriptor makes libuv abort at the end."""
    with folder() as place:
        file, path = place / "supervisor.toml", place / "s"
        await anyio.Path(file).write_text("[discovery]\nmdns = false\n")
        command = 'exec "$0" -m exo_supervisor run --config "$1" --socket "$2" <&- >&- 2>&-'
        words = ["/bin/sh", "-c", command, sys.executable, str(file), str(path)]
        async with await anyio.open_process(words, env=environ()) as process:
            with anyio.fail_after(60):
                while not path.exists():  # noqa: ASYNC110 -- nobody tells
                    await anyio.sleep(0.02)
                answer = await exchanged(str(path), b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200 OK")
            process.terminate()
            assert await left(process) == 0
