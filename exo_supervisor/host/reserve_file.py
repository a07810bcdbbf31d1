"""A reserve for a small file, made while the disk had room: where it has none, content goes there.

To replace a file takes room for both. The reserve is written over, which takes no more room unless
the file system copies what is written (btrfs, ZFS, APFS): there it may fail as well. The file
itself stays as it was, whole. Which of the two is the newer one their content has to tell: a clock
may be set back.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from exo_supervisor.errors import SupervisorError
from exo_supervisor.host.kept import LARGEST, read_kept, write_kept

SIZE = LARGEST
"""Bytes that there is room for: all that would be read back."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def reserve_of(path: Path) -> Path:
    """Return where the reserve of a file lies; blank, it holds nothing."""
    return path.with_name(f"{path.name}.reserve")


def write_with_reserve(
    path: Path, content: bytes, write: Callable[[Path, bytes], None] = write_kept
) -> None:
    """Replace the file, or write over its reserve where the disk is full. Raises OSError."""
    reserve = reserve_of(path)
    try:
        write(path, content)
    except OSError as fault:
        if fault.errno not in _FULL or len(content) > SIZE or not reserve.exists():
            raise
        _write_over(reserve, content)
        return
    with suppress(OSError, SupervisorError):
        if (held := read_kept(reserve)) is None:
            write(reserve, b" " * SIZE)
        elif not held.isspace():
            _write_over(reserve, b"")


def _write_over(reserve: Path, content: bytes) -> None:
    descriptor = os.open(reserve, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.ljust(SIZE))
        file.flush()
        os.fsync(descriptor)
