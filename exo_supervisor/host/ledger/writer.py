"""The thread that writes the ledger: all at once, a few times a second, and again until it can."""

import errno
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, time

from msgspec import Struct

from exo_supervisor.host.ledger.book import Book, Done, Held
from exo_supervisor.host.ledger.file import LedgerError, aside_of, is_torn, lock, put_aside
from exo_supervisor.views.booked import Reservation

GATHER = 0.7
"""Seconds for which rows gather: so old is at most what a crash takes away."""
MANY = 2000
"""Requests that gather, at most: a few MiB. Each write puts down anew the pages that the last one
left half full; every 256 requests, it cost a busy house a tenth more for each of them."""
BATCH = 1000
"""Requests of one transaction, at most."""
AGAIN = 5.0
"""Seconds until booking is tried again."""
CHECKPOINT, ROLL_UP = 60.0, 3600.0
"""Seconds between two of them."""
_LET_WRITE = "let the service write to its state directory"
_FAULTS = {
    sqlite3.SQLITE_FULL: ("ENOSPC", "the disk is full", "make room where the state directory is"),
    sqlite3.SQLITE_READONLY: ("EROFS", "the file cannot be written", _LET_WRITE),
    sqlite3.SQLITE_CANTOPEN: ("EACCES", "the file cannot be opened", _LET_WRITE),
    sqlite3.SQLITE_PERM: ("EACCES", "the file cannot be opened", _LET_WRITE),
    sqlite3.SQLITE_BUSY: ("EAGAIN", "another program holds the file", "end that program"),
}
_BROKEN = ("EIO", "the disk fails", "look at the disk: journalctl -k")


class Trouble(Struct, frozen=True):
    """Why nothing is booked, and what to do."""

    errno: str
    why: str
    advice: str


class Writer:
    """Writes what is queued. What it could not write it keeps, and tries again.

    It `tells` of each batch that is in the file, by the number of its last reservation, and of
    each trouble; both in the thread.
    """

    def __init__(
        self,
        path: Path,
        booked: Callable[[int], None],
        failed: Callable[[Trouble], None],
        aside: Callable[[Path], None],
        *,
        keep_days: int,
        currency: str,
        gather: float = GATHER,
        again: float = AGAIN,
    ) -> None:
        self._path, self._keep, self._again = path, keep_days * 86_400, again
        self._gather = gather
        self._currency = currency
        self._booked, self._failed, self._put_away = booked, failed, aside
        self.aside: Path | None = None
        """A broken file that still lies there."""
        self.done, self.asked = deque[Done](), deque[tuple[int, Reservation]]()
        self.jobs = deque[Callable[[Book], None]]()
        self.busy_since: float | None = None
        """When the thread began what it has not come back from."""
        self._batch: tuple[list[tuple[int, Reservation]], list[Done]] = [], []
        self._held: Held = {}
        self.in_trouble = self._closing = False
        self.put_aside_at = 0.0
        """When this run put a broken file aside; 0.0: it has not."""
        self._wanted, self._hurry = threading.Event(), threading.Event()

    def want(self) -> None:
        """Have what is queued written before long."""
        self._wanted.set()

    def hurry(self) -> None:
        """Have what is queued written now."""
        self._hurry.set()
        self._wanted.set()

    def close(self) -> None:
        """Write what is queued, and end."""
        self._closing = True
        self.hurry()

    def unbooked(self) -> int:
        """Return how many requests wait to be booked."""
        return len(self.done) + len(self._batch[1])

    def work(self) -> None:
        """Write until closed."""
        self._closing = False
        book: Book | None = None
        locked: int | None = None
        checkpoint_at, roll_up_at, pause = monotonic() + CHECKPOINT, 0.0, 0.0
        self.want()  # whether the file can be used is told at once
        last = False
        while not last:
            if not pause:
                self._wanted.wait(CHECKPOINT)
            self._hurry.wait(pause or self._gather)
            self._wanted.clear()
            self._hurry.clear()
            last, pause = self._closing, 0.0
            try:
                self.busy_since = monotonic()
                locked = lock(self._path) if locked is None else locked
                book = book or self._open()
                self._write(book)
                if self.busy_since > checkpoint_at:
                    book.checkpoint()
                    checkpoint_at = self.busy_since + CHECKPOINT
                if self.busy_since > roll_up_at and not book.roll_up(time() - self._keep):
                    roll_up_at = self.busy_since + ROLL_UP
                elif self.busy_since > roll_up_at:
                    self.want()
            except (sqlite3.Error, OSError, LedgerError) as fault:
                self._failed(trouble_of(fault, self._path))
                self.jobs.clear()
                _close(book)
                book, pause = None, self._again
            self.busy_since = None
        _close(book)
        if locked is not None:
            os.close(locked)

    def _open(self) -> Book:
        """Open the book; a broken one is put aside, once, and a new one begun.

        It is not lost: all its parts lie beside, under names that say so. To book nothing until a
        person comes would lose what is spent from now on, too, and of the broken file no budget
        could be restored either way.
        """
        self.aside = aside_of(self._path)
        try:
            return Book(self._path, self._held, self._currency)
        except sqlite3.Error as fault:
            if not is_torn(fault) or self.put_aside_at:
                raise
        self.put_aside_at = time()
        self.aside = put_aside(self._path)
        self._put_away(self.aside)
        return Book(self._path, self._held, self._currency)

    def _write(self, book: Book) -> None:
        while True:
            asked, done = self._batch
            asked.extend(self.asked.popleft() for _ in range(len(self.asked)))
            done.extend(self.done.popleft() for _ in range(min(len(self.done), BATCH - len(done))))
            if asked or done:
                book.write([row for _, row in asked], done)
            self._batch = [], []
            if asked or self.in_trouble:
                self._booked(asked[-1][0] if asked else 0)
            while self.jobs:
                self.jobs.popleft()(book)
            if not self.done and not self.asked:
                return


def trouble_of(fault: Exception, path: Path) -> Trouble:
    """Say in words why the file cannot be used."""
    if isinstance(fault, LedgerError):
        return Trouble("EPERM", str(fault), fault.advice)
    if isinstance(fault, OSError):
        name = errno.errorcode.get(fault.errno or 0, "EIO")
        return Trouble(name, f"{path}: {(fault.strerror or 'it fails').lower()}", _LET_WRITE)
    if is_torn(fault):
        advice = "move it away; sqlite3 FILE .recover reads what is left of it"
        return Trouble("EBADMSG", f"{path} is torn", advice)
    code = getattr(fault, "sqlite_errorcode", 0) & 0xFF
    name, why, advice = _FAULTS.get(code, _BROKEN)
    return Trouble(name, f"{path}: {why}", advice)


def _close(book: Book | None) -> None:
    if book is not None:
        with suppress(sqlite3.Error):
            book.close()
