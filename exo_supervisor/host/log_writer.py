"""Carries finished log lines to standard error without ever making the event loop wait."""

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import BinaryIO

MOST_LINES = 10_000  # waiting to be written
_MOST_BATCH = 256  # lines in one write
_GATHER = 0.02  # seconds for which lines gather: waking a thread for each would slow the loop


class LogWriter:
    """A bounded queue of lines and the one thread that writes them.

    When the queue is full, lines are dropped and counted; `dropped_line` makes the line that
    reports the count once there is room again. A broken stream drops lines the same way.
    """

    def __init__(
        self,
        stream: BinaryIO | None,
        dropped_line: Callable[[int], bytes],
        *,
        most_lines: int = MOST_LINES,
    ) -> None:
        self._stream = stream
        self._descriptor = _own_descriptor(stream)
        self._dropped_line = dropped_line
        self._most_lines = most_lines
        # SimpleQueue, and a lock that may be taken twice: a finaliser that logs can interrupt a
        # thread anywhere, even inside `write`.
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._lock = threading.RLock()
        self._dropped = 0
        self._closed = False
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Queue one line, its newline included; never waits and never raises."""
        if self._lines.qsize() < self._most_lines and not self._closed:
            self._lines.put(line)
        else:
            self._drop(1)

    def close(self, timeout: float) -> None:
        """Write what is queued, for at most `timeout` seconds; later lines are dropped."""
        if not self._closed:
            self._closed = True
            self._lines.put(None)
            self._hurry.set()
        self._thread.join(timeout)

    def _drop(self, lines: int) -> None:
        with self._lock:
            self._dropped += lines

    def _take_dropped(self) -> int:
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        return dropped

    def _run(self) -> None:
        going = True
        while going:
            lines, going = self._next_lines()
            dropped = self._take_dropped()
            if dropped:
                lines.append(self._dropped_line(dropped))
            try:
                self._put_out(b"".join(lines))
            except (OSError, ValueError):  # closed, broken or full for good
                self._drop(dropped + len(lines) - bool(dropped))
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)

    def _next_lines(self) -> tuple[list[bytes], bool]:
        """Wait for a line and take those behind it; False after the last line ever."""
        lines: list[bytes] = []
        with suppress(Empty):
            line = self._lines.get()
            self._hurry.wait(_GATHER)
            while line is not None:
                lines.append(line)
                if len(lines) == _MOST_BATCH:
                    return lines, True
                line = self._lines.get_nowait()
            return lines, False
        return lines, True

    def _put_out(self, text: bytes) -> None:
        if self._descriptor is None:
            if self._stream is not None:
                self._stream.write(text)
            return
        rest = memoryview(text)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # a neighbour on the same terminal made it non-blocking
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()


def _own_descriptor(stream: BinaryIO | None) -> int | None:
    """Copy the stream's descriptor: a number closed elsewhere may soon name something else."""
    if stream is None:
        return None
    try:
        return os.dup(stream.fileno())
    except (OSError, ValueError):  # in memory, or closed
        return None
