"""A small file of our own, kept across restarts: written whole or not at all, for us alone."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from exo_supervisor.errors import SupervisorError

LARGEST = 256 * 1024
"""Bytes of a file that is read back."""

_CANNOT_SYNC_NAMES = frozenset({errno.EACCES, errno.EINVAL, errno.ENOTSUP})
"""Said by file systems over a network, and where we may write to a directory, but not read it."""

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class NotOursError(SupervisorError):
    """What stands there is not a file that we wrote; the text says why."""


def read_kept(path: Path) -> bytes | None:
    """Read the file back; None if there is none. Raises NotOursError and OSError."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotOursError("it is no regular file")
        if status.st_uid not in {0, os.geteuid()} or status.st_mode & _OTHERS_MAY_WRITE:
            raise NotOursError("another user may have written it")
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise NotOursError("it is too large to be ours")
    return content


def write_kept(path: Path, content: bytes) -> None:
    """Replace the file in one step, mode 0600, and make its directory, 0700. Raises OSError.

    What was written outlasts a loss of power, its name included.
    """
    _make(path.parent)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):  # left by a process of our number that was killed
        draft.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(draft, flags, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
    _sync_names(path.parent)


def _make(directory: Path) -> None:
    """Make a directory and whatever leads to it, each for us alone (XDG Base Directory 0.8)."""
    missing = [each for each in (directory, *directory.parents) if not each.exists()]
    for each in reversed(missing):
        with suppress(FileExistsError):
            each.mkdir(mode=0o700)
            _sync_names(each.parent)


def _sync_names(directory: Path) -> None:
    """Have a directory's entries on the disk: fsync of a file brings its content there alone."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as fault:
        if fault.errno not in _CANNOT_SYNC_NAMES:
            raise
