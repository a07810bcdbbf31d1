"""Carries finished log lines to standard error without ever making the event loop wait."""

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

MOST_LINES = 10_000  # waiting to be written
_MOST_BATCH = 256  # lines in one write
GATHER = 0.02
"""Seconds for which lines gather; while some came in the last so many, nobody has to be woken."""


class LogWriter:
    """A bounded queue of lines and the one thread that writes them, some each `gather` seconds.

    To wake a thread costs its waker more than a line does: so it is woken only where it sleeps, and
    it sleeps only after a pause that brought no line.

    When the queue is full, lines are dropped and counted; `dropped_line` makes the line that
    reports the count once there is room again. A broken stream drops lines the same way.
    """

    def __init__(
        self,
        stream: BinaryIO | None,
        dropped_line: Callable[[int], bytes],
        *,
        most_lines: int = MOST_LINES,
        gather: float = GATHER,
    ) -> None:
        self._stream = stream
        self._descriptor = _own_descriptor(stream)
        self._dropped_line = dropped_line
        self._most_lines, self._gather = most_lines, gather
        # Deques, whose ends are moved in one step, and a lock that may be taken twice: a finaliser
        # or a signal's handler that logs can interrupt a thread anywhere, even inside `write`.
        self._lines: deque[bytes] = deque()
        self._lock = threading.RLock()
        self._dropped = 0
        self._closed = False
        # Held locks, each let go of once to end a wait: a sleep by whoever takes `_asleep`'s one
        # item away, a pause by `close`. An Event would make a lock and a list for each wait.
        self._asleep: deque[None] = deque(maxlen=1)
        self._woken, self._hurry = threading.Lock(), threading.Lock()
        self._woken.acquire()
        self._hurry.acquire()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Queue one line, its newline included; never waits and never raises."""
        if len(self._lines) < self._most_lines and not self._closed:
            self._lines.append(line)
            if self._asleep:
                self._wake()
        else:
            self._drop(1)

    def close(self, timeout: float) -> None:
        """Write what is queued, for at most `timeout` seconds; later lines are dropped."""
        if not self._closed:
            self._closed = True
            self._wake()
            self._hurry.release()
        self._thread.join(timeout)

    def _wake(self) -> None:
        with suppress(IndexError):  # another thread was first
            self._asleep.pop()
            self._woken.release()

    def _drop(self, lines: int) -> None:
        with self._lock:
            self._dropped += lines

    def _take_dropped(self) -> int:
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        return dropped

    def _run(self) -> None:
        while not (self._closed and not self._lines):
            if not self._closed:
                self._hurry.acquire(timeout=self._gather)
            if self._lines:
                self._write_some()
            else:
                self._sleep()
        self._write_some()
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)

    def _sleep(self) -> None:
        """Wait for a line, or for the end."""
        self._asleep.append(None)
        if self._lines or self._closed:  # whoever brought it may have seen nobody asleep
            self._wake()
        self._woken.acquire()

    def _write_some(self) -> None:
        """Write the next lines, and how many were lost."""
        lines = [self._lines.popleft() for _ in range(min(len(self._lines), _MOST_BATCH))]
        dropped = self._take_dropped()
        if dropped:
            lines.append(self._dropped_line(dropped))
        if not lines:
            return
        try:
            self._put_out(b"".join(lines))
        except (OSError, ValueError):  # closed, broken or full for good
            self._drop(dropped + len(lines) - bool(dropped))

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
