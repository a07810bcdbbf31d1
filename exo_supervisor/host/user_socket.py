"""Where a user's own service has its socket; the service and the verbs must agree on it."""

import os
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_FILE = Path("exo-supervisor") / "api.sock"
_USERS = Path("/run/user")
_MAC = "Library/Application Support"


def user_socket(
    environ: Mapping[str, str],
    *,
    users: Path = _USERS,
    uid: int | None = None,
    platform: str = sys.platform,
) -> Path | None:
    """Return where this user's socket belongs; None if there is no place for it, as for root.

    `$XDG_RUNTIME_DIR`; where cron, `su` or a container left that unset, what systemd-logind would
    have set it to; where there is no such thing, the user's state directory, and on macOS what
    stands for it: `~/Library/Application Support`, else `$TMPDIR`, which there is the user's own.
    """
    if given := environ.get("XDG_RUNTIME_DIR"):
        return Path(given) / _FILE
    uid = os.geteuid() if uid is None else uid
    if uid == 0:
        return None
    runtime = users / str(uid)
    if _belongs_to(runtime, uid):
        return runtime / _FILE
    home = environ.get("HOME", "")
    if platform == "darwin":
        for base in (home and f"{home}/{_MAC}", environ.get("TMPDIR", "")):
            if base.startswith("/"):
                return Path(base) / _FILE
        return None
    for base in (environ.get("XDG_STATE_HOME", ""), home and f"{home}/.local/state"):
        if base.startswith("/"):
            return Path(base) / _FILE
    return None


def make_base(path: str, environ: Mapping[str, str]) -> None:
    """Make what leads to a user's own socket, for that user alone; of other paths nothing.

    Never raises: who opens the socket says best what is wrong there.
    """
    if path == str(user_socket(environ)):
        with suppress(OSError):
            Path(path).parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)


def _belongs_to(directory: Path, uid: int) -> bool:
    """Tell whether it is a directory of this user's that nobody else writes to."""
    try:
        status = directory.lstat()
    except OSError:
        return False
    shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == uid and not shared
