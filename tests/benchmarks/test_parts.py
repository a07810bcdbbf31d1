"""Which part an instruction counts for, and that whoever waits is not counted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import exo_supervisor
from tests.benchmarks.frames import TELL_STATE, VERSION, Stack, Threads
from tests.benchmarks.parts import OTHER, part_of, part_of_file, shares

HOUSE = "/x/exo_supervisor/"
LOOP = ["/x/uvloop/__init__.py", HOUSE + "app/run.py", HOUSE + "cli/__init__.py"]
EXCHANGE = [HOUSE + "serve/exchange.py", HOUSE + "http/server_connection.py", *LOOP]
only_here = pytest.mark.skipif(sys.version_info[:2] != VERSION, reason="other structures")


def test_every_file_of_the_package_has_a_part() -> None:
    """Red: a room was added; say in `PARTS` what it counts for."""
    place = Path(exo_supervisor.__file__).parent
    names = [path.relative_to(place).as_posix() for path in place.rglob("*.py")]
    assert [name for name in names if part_of_file(name) == OTHER] == []


@pytest.mark.parametrize(
    ("files", "part"),
    [
        (EXCHANGE, "exchange"),
        (["/x/msgspec/structs.py", *EXCHANGE], "exchange"),
        ([HOUSE + "views/recorder.py", *EXCHANGE], "records"),
        ([HOUSE + "host/log_line.py", *EXCHANGE], "records"),
        (["/x/enum.py", HOUSE + "core/machine.py", *EXCHANGE], "core"),
        ([HOUSE + "wire/openai/reader.py", *EXCHANGE], "answer read and written"),
        ([HOUSE + "wire/openai/inbound.py", *EXCHANGE], "request read and sent on"),
        ([HOUSE + "http/connection.py", *LOOP], "HTTP client"),
        ([HOUSE + "http/server_connection.py", *LOOP], "server"),
        (["/x/asyncio/runners.py", *LOOP], "event loop"),
        ([], "event loop"),
    ],
)
def test_the_main_thread_counts_for_the_innermost_part(files: list[str], part: str) -> None:
    assert part_of(Stack(is_main=True, files=files)) == part


@pytest.mark.parametrize(
    ("files", "thread"),
    [
        (["/x/queue.py", HOUSE + "host/ledger/writer.py", "/x/threading.py"], "thread: ledger"),
        ([HOUSE + "host/log_writer.py", "/x/threading.py"], "thread: log"),
        ([HOUSE + "config/read.py", "/x/anyio/_backends/_asyncio.py"], "thread: workers"),
    ],
)
def test_another_thread_is_a_line_of_its_own(files: list[str], thread: str) -> None:
    assert part_of(Stack(is_main=False, files=files)) == thread


def test_shares_are_of_all_that_was_seen() -> None:
    seen = [Stack(is_main=True, files=files) for files in (LOOP, EXCHANGE, EXCHANGE, EXCHANGE)]
    assert shares(seen) == {"event loop": 0.25, "exchange": 0.75}


@only_here
def test_a_thread_that_waits_is_not_at_work(tmp_path: Path) -> None:
    told = tmp_path / "state"
    waits = "import threading; threading.Thread(target=threading.Event().wait).start()"
    works = f"{waits}\n{TELL_STATE.format(path=str(told))}\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", works]) as process:  # noqa: S603 -- our own words
        try:
            while not told.exists() or not told.read_text():
                assert process.poll() is None
                os.sched_yield()
            threads = Threads(process.pid, int(told.read_text()))
            seen: list[Stack] = []
            while len(seen) < 5:
                assert process.poll() is None
                seen += threads.at_work()
            threads.close()
        finally:
            process.kill()
    assert seen == [Stack(is_main=True, files=["<string>"])] * 5
