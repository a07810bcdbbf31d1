"""Finding the service's socket, and telling why it could not be reached."""

import grp
import os
import shlex
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from stat import S_IRGRP, S_IWGRP
from typing import NamedTuple

from exo_supervisor.cli.errors import BAD_CONFIG, UNREACHABLE, VerbError
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.client.json_object import fields
from exo_supervisor.home import expand
from exo_supervisor.host.user_socket import user_socket

SYSTEM_SOCKET = Path("/run/exo-supervisor/api.sock")
SYSTEM_CONFIG = Path("/etc/exo-supervisor/supervisor.toml")
SOCKET_VARIABLE = "EXO_SUPERVISOR_SERVER__SOCKET"
CONFIG_VARIABLE = "EXO_SUPERVISOR_CONFIG"
CONNECT_TIMEOUT = 2.0
_RUN = "exo-supervisor run"
JOURNAL = "journalctl -u exo-supervisor -n 20"
_SYSTEMD = Path("/run/systemd/system")


class Failed(NamedTuple):
    """One place that was tried: what happened there, and what to do; the gravest comes first."""

    gravity: int
    why: str
    hint: str


def connect(arguments: Arguments) -> socket.socket:
    """Connect to the first place where a service answers; raises `VerbError` that lists them.

    A socket that was named (flag, environment, configuration) is the only one tried: another
    service must not answer in its stead.
    """
    failed: list[Failed] = []
    for path in places(arguments, os.environ):
        plug = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        plug.settimeout(CONNECT_TIMEOUT)
        try:
            plug.connect(str(path))
        except (OSError, ValueError) as error:
            plug.close()
            failed.append(_explain(path, error))
        else:
            return plug
    raise VerbError(
        "no service answers",
        why=[each.why for each in failed],
        hint=max(failed, key=lambda each: each.gravity).hint,
        exit_code=UNREACHABLE,
    )


def places(arguments: Arguments, environ: Mapping[str, str]) -> list[Path]:
    """List where the socket may be, the likeliest first."""
    named = (
        arguments.socket
        or _spelled(environ.get(SOCKET_VARIABLE, ""))
        or _configured(arguments, environ)
    )
    if named:
        return [Path(expand(named, environ))]
    own = user_socket(environ)
    return [SYSTEM_SOCKET] if own is None else [own, SYSTEM_SOCKET]


def _spelled(value: str) -> str:
    """Read a variable that holds a TOML value; a bare path is taken as it stands."""
    if value[:1] not in {'"', "'"}:
        return value
    try:
        return str(tomllib.loads(f"it = {value}")["it"])
    except tomllib.TOMLDecodeError:
        return value


def _configured(arguments: Arguments, environ: Mapping[str, str]) -> str:
    named = arguments.config or environ.get(CONFIG_VARIABLE)
    if named:
        return _socket_in(Path(named), named=True)
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "/")) / ".config")
    for path in (home / "exo-supervisor" / "supervisor.toml", SYSTEM_CONFIG):
        if _is_there(path):
            return _socket_in(path, named=False)
    return ""


def _is_there(path: Path) -> bool:
    """Tell whether an optional file is there; what we may not look at is not."""
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def _socket_in(path: Path, *, named: bool) -> str:
    """Take `server.socket` from a file; only a file that was named must be there and be TOML."""
    try:
        server = fields(tomllib.loads(path.read_text(encoding="utf-8")).get("server"))
    except (OSError, ValueError, RecursionError) as error:
        if not named:
            return ""
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise VerbError(
            "the configuration cannot be read",
            why=[f"{path}: {reason.lower() if isinstance(error, OSError) else reason}"],
            hint=f"exo-supervisor check --config {path}",
            exit_code=BAD_CONFIG,
        ) from error
    found = server.get("socket")
    return found if isinstance(found, str) else ""


def _explain(path: Path, error: OSError | ValueError) -> Failed:
    match error:
        case PermissionError():
            return _denied(path)
        case FileNotFoundError() | NotADirectoryError():
            return Failed(0, f"{path}: no such file", _start())
        case ConnectionRefusedError():
            return Failed(2, f"{path}: connection refused, the service is gone", gone(str(path)))
        case TimeoutError() | BlockingIOError():
            return Failed(2, f"{path}: it takes no connection, too many wait", gone(str(path)))
        case _:
            reason = getattr(error, "strerror", None) or str(error)
            return Failed(
                1, f"{path}: {str(reason).lower()}", "exo-supervisor status --socket PATH"
            )


def _start() -> str:
    if not _SYSTEMD.is_dir():
        return _RUN
    return JOURNAL if has_failed() else f"systemctl start exo-supervisor, or {_RUN}"


def has_failed() -> bool:
    """Tell whether the system's service has failed: then its journal says more than a new start."""
    words = ["systemctl", "is-failed", "--quiet", "exo-supervisor"]
    silent = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    try:
        asked = os.posix_spawnp(words[0], words, os.environ, file_actions=silent)
    except OSError:
        return False
    return os.waitstatus_to_exitcode(os.waitpid(asked, 0)[1]) == 0


def gone(path: str) -> str:
    """Say where it stands why a service is gone or silent: the journal, if it is the system's."""
    if path == str(SYSTEM_SOCKET) and _SYSTEMD.is_dir():
        return JOURNAL
    named = "" if path == str(user_socket(os.environ)) else f" --socket {shlex.quote(path)}"
    return f"its log, on the standard error of: {_RUN}{named}"


def _denied(path: Path) -> Failed:
    """Name the group that may, on the socket or on the first folder that hides it."""
    for each in (path, *path.parents):
        try:
            status = each.stat()
        except OSError:
            continue
        try:
            group = grp.getgrgid(status.st_gid).gr_name
        except KeyError:
            group = str(status.st_gid)
        why = f"{path}: permission denied, " + (
            f"its group is {group}" if each == path else f"the group of {each} is {group}"
        )
        shared = status.st_mode & S_IRGRP and (each != path or status.st_mode & S_IWGRP)
        if shared and status.st_gid != 0:
            return Failed(3, why, f'sudo usermod -aG {group} "$USER" and log in again')
        return Failed(3, why, "set server.socket_group, or ask as the service's own user")
    return Failed(3, f"{path}: permission denied", "ask as the service's own user")
