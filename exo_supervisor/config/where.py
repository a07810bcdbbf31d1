"""Where this machine has the configuration, the socket and the state, for service and verbs.

Paths are texts: a verb has no time to import `pathlib`.
"""

import os
import stat
import sys
from collections.abc import Mapping

SYSTEM_FILE = "/etc/exo-supervisor/supervisor.toml"
SYSTEM_CREDENTIALS = "/etc/exo-supervisor/credentials"
SYSTEM_SOCKET = "/run/exo-supervisor/api.sock"
SYSTEM_STATE = "/var/lib/exo-supervisor"
FILE_VARIABLE = "EXO_SUPERVISOR_CONFIG"
SOCKET_VARIABLE = "EXO_SUPERVISOR_SERVER__SOCKET"
NO_KEY = "none needed"
"""Where the key of a provider comes from that needs none."""
_NAME = "exo-supervisor"
_USERS = "/run/user"
_MAC = "Library/Application Support"


def expand(path: str, environ: Mapping[str, str]) -> str:
    """Write out `~`, `$HOME` or `${HOME}` at the start of a path; where HOME is unset, nothing."""
    home = environ.get("HOME", "").rstrip("/")
    for sign in ("~", "$HOME", "${HOME}"):
        if home and (path == sign or path.startswith(f"{sign}/")):
            return home + path[len(sign) :]
    return path


def named_file(flag: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the configuration file that somebody named: then that one is meant, and no other."""
    return flag or environ.get(FILE_VARIABLE) or None


def found_file(environ: Mapping[str, str]) -> str | None:
    """Find a configuration file where nobody named one: the user's own, or the system's."""
    return next((path for path in _optional(environ) if _why_hidden(path) == ""), None)


def hidden_files(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the optional files that we may not even look at, and why: they count as missing.

    A service's user may have a home that its own unit hides from it (`ProtectHome=`).
    """
    looked = {path: _why_hidden(path) for path in _optional(environ)}
    return {path: why for path, why in looked.items() if why}


def _optional(environ: Mapping[str, str]) -> tuple[str, str]:
    home = environ.get("HOME", "").rstrip("/")
    base = (environ.get("XDG_CONFIG_HOME") or f"{home}/.config").rstrip("/")
    return f"{base}/{_NAME}/supervisor.toml", SYSTEM_FILE


def _why_hidden(path: str) -> str | None:
    """Return "" for a file that is there, None for a missing one, else why it is out of reach."""
    try:
        os.stat(path)  # noqa: PTH116 - see above
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else None
        return (why or type(fault).__name__).lower()
    return ""


def own_socket(named: str, environ: Mapping[str, str]) -> str | None:
    """Choose where a service listens; None if no place is ours."""
    if named:
        return named
    if runtime := environ.get("RUNTIME_DIRECTORY"):
        return f"{runtime.partition(':')[0]}/api.sock"
    return SYSTEM_SOCKET if os.geteuid() == 0 else user_socket(environ)


def likely_sockets(environ: Mapping[str, str]) -> list[str]:
    """List where a service may listen if nobody named its socket, the likeliest first."""
    own = user_socket(environ)
    return [SYSTEM_SOCKET] if own is None else [own, SYSTEM_SOCKET]


def user_socket(
    environ: Mapping[str, str],
    *,
    users: str = _USERS,
    uid: int | None = None,
    platform: str = sys.platform,
) -> str | None:
    """Return where this user's socket belongs; None if there is no place for it, as for root.

    `$XDG_RUNTIME_DIR`; where cron, `su` or a container left that unset, what systemd-logind would
    have set it to; where there is no such thing, the user's state directory, and on macOS what
    stands for it: `~/Library/Application Support`, else `$TMPDIR`, which there is the user's own.
    """
    uid = os.geteuid() if uid is None else uid
    base = environ.get("XDG_RUNTIME_DIR")
    if not base and uid == 0:
        return None
    if not base and _belongs_to(runtime := f"{users}/{uid}", uid):
        base = runtime
    if not base and platform == "darwin":
        home = environ.get("HOME")
        base = _absolute(home and f"{home}/{_MAC}", environ.get("TMPDIR"))
    elif not base:
        base = _state_home(environ)
    return f"{base.rstrip('/')}/{_NAME}/api.sock" if base else None


def state_directory(environ: Mapping[str, str]) -> str | None:
    """Choose where to keep what outlasts a restart; None if there is no place for it.

    systemd's choice, else for root the system's, else the user's.
    """
    if given := environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return given
    if os.geteuid() == 0:
        return SYSTEM_STATE
    base = _state_home(environ)
    return f"{base}/{_NAME}" if base else None


def _state_home(environ: Mapping[str, str]) -> str | None:
    home = environ.get("HOME")
    return _absolute(environ.get("XDG_STATE_HOME"), home and f"{home}/.local/state")


def _absolute(*paths: str | None) -> str | None:
    """Take the first absolute path: XDG Base Directory 0.8 wants a relative one to be ignored."""
    return next((path for path in paths if path and path.startswith("/")), None)


def _belongs_to(directory: str, uid: int) -> bool:
    """Tell whether it is a directory of this user's that nobody else writes to."""
    try:
        status = os.lstat(directory)
    except OSError:
        return False
    shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == uid and not shared
