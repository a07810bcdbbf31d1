"""Lines reach their stream whole and in order; a stream that takes none costs only lines."""

import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest
from typing_extensions import Buffer

from exo_supervisor.host.log_writer import LogWriter
from tests.budget import budget


def dropped_line(lines: int) -> bytes:
    return b"dropped %d\n" % lines


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "wb") as writer:
        yield reader, writer


def drained(reader: BinaryIO, stream: BinaryIO, writer: LogWriter) -> list[bytes]:
    """Let the reader begin, close everything, and give what it read."""
    with ThreadPoolExecutor(1) as pool:
        text = pool.submit(reader.read)
        writer.close(10.0)
        stream.close()
        return text.result().splitlines()


def test_lines_arrive_whole_and_in_order(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as stream:
        writer = LogWriter(stream, dropped_line)
        for number in range(5000):
            writer.write(b"%d\n" % number)
        writer.close(10.0)
    assert (tmp_path / "log").read_bytes().splitlines() == [b"%d" % n for n in range(5000)]


@budget(1.0)
def test_a_pipe_that_nobody_reads_never_blocks_and_its_losses_are_counted(
    pipe: tuple[BinaryIO, BinaryIO], within: float
) -> None:
    reader, stream = pipe
    writer = LogWriter(stream, dropped_line, most_lines=1000)
    line = b"x" * 999 + b"\n"  # 5000 of them fill a pipe of 64 KiB and the queue many times over
    slowest = 0.0
    for _ in range(5000):
        began = time.perf_counter()
        writer.write(line)
        slowest = max(slowest, time.perf_counter() - began)
    assert slowest < within

    lines = drained(reader, stream, writer)
    reports = [text for text in lines if text.startswith(b"dropped")]
    lost = sum(int(text.split()[1]) for text in reports)
    assert lost > 0
    assert lines.count(line[:-1]) + lost == 5000


@budget(5.0)
def test_closing_waits_no_longer_than_it_was_told(
    pipe: tuple[BinaryIO, BinaryIO], within: float
) -> None:
    reader, stream = pipe
    writer = LogWriter(stream, dropped_line)
    for _ in range(200):
        writer.write(b"x" * 999 + b"\n")
    began = time.perf_counter()
    writer.close(0.2)
    assert 0.15 < time.perf_counter() - began < within
    writer.write(b"late\n")
    assert b"late" not in drained(reader, stream, writer)


class Batches(io.BytesIO):
    """A stream that notes each write."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[bytes] = []

    def write(self, data: Buffer, /) -> int:
        self.batches.append(bytes(data))
        return super().write(data)


@budget(10.0)
def test_lines_gather_for_as_long_as_is_said_and_the_end_waits_for_nothing(within: float) -> None:
    stream = Batches()
    writer = LogWriter(stream, dropped_line, gather=1000.0)
    for number in range(300):
        writer.write(b"%d\n" % number)
    began = time.perf_counter()
    writer.close(1000.0)
    assert time.perf_counter() - began < within
    assert [batch.count(b"\n") for batch in stream.batches] == [256, 44]


def test_a_line_that_comes_while_the_writer_sleeps_wakes_it() -> None:
    stream = Mended()
    writer = LogWriter(stream, dropped_line, gather=0.0)
    for _ in range(200):  # each time it sleeps, or is about to
        stream.failed.clear()
        writer.write(b"line\n")
        assert stream.failed.wait(60.0)
    writer.close(60.0)


def test_a_signals_handler_may_log_while_a_line_is_written() -> None:
    """As often as it may interrupt: nothing is lost, and nobody waits for ever."""
    stream = io.BytesIO()
    writer = LogWriter(stream, dropped_line, most_lines=10**6, gather=0.0)
    handled = 0

    def handle(*_: object) -> None:
        nonlocal handled
        handled += 1
        writer.write(b"handled\n")

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for _ in range(50_000):
            writer.write(b"line\n")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    writer.close(60.0)
    lines = stream.getvalue().splitlines()
    assert handled
    assert (lines.count(b"line"), lines.count(b"handled")) == (50_000, handled)


def test_many_threads_lose_nothing(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as stream:
        writer = LogWriter(stream, dropped_line)

        def write(thread: int) -> None:
            for number in range(500):
                writer.write(b"%d.%d\n" % (thread, number))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(8)))
        writer.close(10.0)
    lines = (tmp_path / "log").read_bytes().splitlines()
    for thread in range(8):
        own = [line for line in lines if line.startswith(b"%d." % thread)]
        assert own == [b"%d.%d" % (thread, number) for number in range(500)]


def test_a_broken_pipe_is_no_error_and_does_not_end_the_writer() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as stream:
        writer = LogWriter(stream, dropped_line)
        for _ in range(10):
            writer.write(b"into the void\n")
        writer.close(10.0)
    assert not [thread for thread in threading.enumerate() if thread.name == "log-writer"]


class Mended(io.BytesIO):
    """A stream that takes nothing until it is mended."""

    broken = True

    def __init__(self) -> None:
        super().__init__()
        self.failed = threading.Event()

    def write(self, data: Buffer, /) -> int:
        if self.broken:
            self.failed.set()
            raise OSError
        return super().write(data)


def test_of_what_a_broken_stream_took_nothing_of_each_line_is_counted_once() -> None:
    """The report of a loss that is lost itself is none of the lines."""
    stream = Mended()
    writer = LogWriter(stream, dropped_line)
    for _ in range(3):
        stream.failed.clear()
        writer.write(b"lost\n")
        writer.write(b"lost\n")
        assert stream.failed.wait(60.0)
    stream.broken = False
    writer.write(b"kept\n")
    writer.close(60.0)
    lines = stream.getvalue().splitlines()
    lost = sum(int(line.split()[1]) for line in lines if line.startswith(b"dropped"))
    assert lost >= 3, "each time at least the one that failed"
    assert (lines.count(b"kept"), lines.count(b"lost") + lost) == (1, 6)


def test_a_stream_closed_behind_our_back_takes_the_lines_still(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as stream:
        writer = LogWriter(stream, dropped_line)
    with (tmp_path / "other").open("wb"):  # now has the closed stream's number
        writer.write(b"line\n")
        writer.close(10.0)
    assert (tmp_path / "log").read_bytes() == b"line\n"
    assert (tmp_path / "other").read_bytes() == b""


def test_a_non_blocking_stream_is_waited_for(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reader, stream = pipe
    os.set_blocking(stream.fileno(), False)
    writer = LogWriter(stream, dropped_line)
    for number in range(1000):
        writer.write(b"%0999d\n" % number)
    assert drained(reader, stream, writer) == [b"%0999d" % number for number in range(1000)]


def test_memory_and_nothing_at_all_do_as_streams() -> None:
    stream = io.BytesIO()
    for target in (stream, None):
        writer = LogWriter(target, dropped_line)
        writer.write(b"line\n")
        writer.close(10.0)
    assert stream.getvalue() == b"line\n"


def test_a_finaliser_may_log_while_a_line_is_being_dropped() -> None:
    """The lock is taken twice by one thread, as a finaliser run inside `write` would."""
    writer = LogWriter(None, dropped_line, most_lines=0)
    with writer._lock:  # noqa: SLF001 - where a finaliser would be  # pyright: ignore[reportPrivateUsage]
        writer.write(b"line\n")
    writer.close(10.0)
