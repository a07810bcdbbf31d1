"""Opens the ledger's file: ours alone, of our version or brought to it, never harmed."""

import fcntl
import os
import sqlite3
import stat
import time
from contextlib import closing, suppress
from pathlib import Path

import structlog

from exo_supervisor.errors import SupervisorError
from exo_supervisor.host.ledger.schema import STEPS

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("ledger")

TORN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
PARTS = ("", "-wal", "-shm")
"""What SQLite keeps a database in, by what stands behind its name."""
LOCK = ".lock"
_TORN = ".torn-"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_PATIENCE = 5.0
"""Seconds to wait for somebody else's lock: a person's `sqlite3` at work on the file."""
_CODE = 0xFF
"""The bits of an error's number that say which; the others say where it was met."""


class LedgerError(SupervisorError):
    """The file cannot be used; the text says why, `advice` what to do."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why)
        self.advice = advice


def is_torn(fault: Exception) -> bool:
    """Tell whether the file itself is broken, not what it lies on."""
    return getattr(fault, "sqlite_errorcode", 0) & _CODE in TORN


def lock(path: Path) -> int:
    """Take the ledger for this process, for as long as the descriptor is open: one writes.

    The lock lies beside the file. SQLite's own locks go when any descriptor of the file is closed,
    so we never open that ourselves once SQLite has.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path.with_name(path.name + LOCK), flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        why = f"another service keeps its books in {path}"
        raise LedgerError(why, "give each service a state directory of its own") from None
    return descriptor


def open_file(path: Path) -> sqlite3.Connection:
    """Open the file, make it, or bring it up to our version.

    Raises LedgerError, sqlite3.Error and OSError. A file of a newer version is only ever read.

    `synchronous=NORMAL`: what a commit wrote is with the kernel, and outlives any end of this
    process; what power takes away is what no checkpoint has brought to the disk yet. `FULL` would
    wait for the disk at each commit, that is before each attempt with a budget. The writer makes
    a checkpoint each minute instead; a ledger loses that minute at most, and is never torn.
    """
    _make(path)
    version = _version(path)
    if version > len(STEPS):
        raise LedgerError(
            f"{path} is of version {version}, and this program writes {len(STEPS)}",
            "install the newer version again, or move that file away",
        )
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
    try:
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -512"):
            connection.execute(f"PRAGMA {pragma}")
        for number, step in enumerate(STEPS[version:], version + 1):
            connection.executescript(
                f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def aside_of(path: Path) -> Path | None:
    """Return the newest broken file that was put aside, and that nobody has taken away since."""
    return max(path.parent.glob(f"{path.name}{_TORN}*Z"), default=None)


def put_aside(path: Path) -> Path:
    """Give a broken file another name, all of its parts, for `sqlite3 FILE .recover`."""
    aside = path.with_name(f"{path.name}{_TORN}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    for part in PARTS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + part).rename(aside.with_name(aside.name + part))
    return aside


def _make(path: Path) -> None:
    """Make an empty file for us alone, whose permissions SQLite gives to all its parts."""
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(path, flags, 0o600))
    except FileExistsError:
        status = path.lstat()
        others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in {0, os.geteuid()} or others:
            advice = "let it be a file of the service's own user that nobody else may write"
            raise LedgerError(f"{path} may have been written by another user", advice) from None
        if status.st_mode & _OTHERS:
            _close(path, status.st_mode)


def _close(path: Path, mode: int) -> None:
    """Take a file from the eyes of others: it tells who asked what, when and for how much."""
    for part in (*PARTS, LOCK):
        with suppress(FileNotFoundError):
            path.with_name(path.name + part).chmod(0o600)
    log.warning("ledger_was_readable", file=str(path), mode=f"{stat.S_IMODE(mode):o}", now="600")


def _version(path: Path) -> int:
    """Read the version without writing a byte: to close a database may empty its log into it."""
    if not path.stat().st_size:
        return 0
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
