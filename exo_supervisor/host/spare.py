"""A place for a small file that was made while the disk had room: where it has none, it goes there.

To replace a file takes room for both. The spare one has its blocks already, and is written over;
who reads takes it where it is the newer one. The file itself stays as it was, whole.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from exo_supervisor.host.kept import read_kept, write_kept

SIZE = 64 * 1024
"""Bytes that there is room for."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def write_with_spare(
    path: Path, content: bytes, write: Callable[[Path, bytes], None] = write_kept
) -> None:
    """Replace the file, or write over its spare one where the disk is full. Raises OSError."""
    spare = _spare_of(path)
    try:
        write(path, content)
    except OSError as fault:
        if fault.errno not in _FULL or len(content) > SIZE or not spare.exists():
            raise
        _write_over(spare, content)
        return
    if not spare.exists():
        with suppress(OSError):
            write(spare, b" " * SIZE)


def read_spare(path: Path) -> bytes | None:
    """Return what was written when there was no room, if nothing newer is in the file itself.

    Raises NotOursError and OSError.
    """
    spare = _spare_of(path)
    with suppress(FileNotFoundError):
        if spare.stat().st_mtime_ns > path.stat().st_mtime_ns:
            return (read_kept(spare) or b"").strip() or None
    return None


def _spare_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.spare")


def _write_over(spare: Path, content: bytes) -> None:
    descriptor = os.open(spare, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.ljust(SIZE))
        file.flush()
        os.fsync(descriptor)
