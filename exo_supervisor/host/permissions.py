"""Whether another user may read a file, told from its mode and that of the folders above it."""

import grp
import os
import pwd
import stat
from pathlib import Path

SERVICE_USER = "exo-supervisor"
"""Whom the unit runs as."""


def unreadable_for(user: str, path: Path) -> Path | None:
    """Return what keeps a user from reading a file: it, or a folder above it; None if nothing does.

    A user that is not there is kept from nothing. Raises OSError where we may not look ourselves.
    """
    try:
        known = pwd.getpwnam(user)
    except KeyError:
        return None
    groups = {known.pw_gid, *(each.gr_gid for each in grp.getgrall() if user in each.gr_mem)}
    whole = path.resolve()
    for each in reversed(whole.parents):
        if not _may(known.pw_uid, groups, each.stat(), stat.S_IXOTH):
            return each
    return None if _may(known.pw_uid, groups, whole.stat(), stat.S_IROTH) else whole


def _may(uid: int, groups: set[int], status: os.stat_result, others: int) -> bool:
    """Tell whether the mode lets the user do what `others` has as the bit for everybody else."""
    if uid == 0:
        return True
    if status.st_uid == uid:
        return bool(status.st_mode & (others << 6))
    if status.st_gid in groups:
        return bool(status.st_mode & (others << 3))
    return bool(status.st_mode & others)
