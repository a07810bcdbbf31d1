"""Finding the service's socket, and telling why it could not be reached."""

import os
from _socket import socket
from typing import NamedTuple

from exo_supervisor.cli.errors import BAD_CONFIG, UNREACHABLE, VerbError
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.client import http
from exo_supervisor.client.locate import UnreadableFileError, socket_paths
from exo_supervisor.config import where
from exo_supervisor.errors import why_failed

_RUN = "exo-supervisor run"
JOURNAL = "journalctl -u exo-supervisor -n 20"
_SYSTEMD = "/run/systemd/system"


class Failed(NamedTuple):
    """One place that was tried: what happened there, and what to do; the gravest comes first."""

    gravity: int
    why: str
    hint: str


def connect(arguments: Arguments) -> socket:
    """Connect to the first place where a service answers; raises `VerbError` that lists them."""
    failed: list[Failed] = []
    for path in _paths(arguments):
        try:
            return http.connect(path, http.CONNECT_TIMEOUT)
        except (OSError, ValueError) as error:
            failed.append(_explain(path, error))
    raise VerbError(
        "no service answers",
        why=[each.why for each in failed],
        hint=max(failed, key=lambda each: each.gravity).hint,
        exit_code=UNREACHABLE,
    )


def find(arguments: Arguments) -> str:
    """Return the path of the socket at which a service answers. Raises VerbError."""
    connection = connect(arguments)
    path = str(connection.getpeername())
    connection.close()
    return path


def _paths(arguments: Arguments) -> list[str]:
    try:
        return socket_paths(arguments.socket, arguments.config, os.environ)
    except UnreadableFileError as error:
        raise VerbError(
            "the configuration cannot be read",
            why=[f"{error.path}: {error.reason}"],
            hint=f"exo-supervisor check --config {error.path}",
            exit_code=BAD_CONFIG,
        ) from error


def _explain(path: str, error: OSError | ValueError) -> Failed:
    match error:
        case PermissionError():
            return _denied(path)
        case FileNotFoundError() | NotADirectoryError():
            return Failed(0, f"{path}: no such file", _start())
        case ConnectionRefusedError():
            return Failed(2, f"{path}: connection refused, the service is gone", gone(path))
        case TimeoutError() | BlockingIOError():
            return Failed(2, f"{path}: it takes no connection, too many wait", gone(path))
        case _:
            why = f"{path}: {why_failed(error)}"
            return Failed(1, why, "exo-supervisor status --socket PATH")


def _start() -> str:
    if not os.path.isdir(_SYSTEMD):  # noqa: PTH112 - as above
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
    if path == where.SYSTEM_SOCKET and os.path.isdir(_SYSTEMD):  # noqa: PTH112 - as above
        return JOURNAL
    from shlex import quote

    named = "" if path == where.user_socket(os.environ) else f" --socket {quote(path)}"
    return f"its log, on the standard error of: {_RUN}{named}"


def _denied(socket: str) -> Failed:
    """Name the group that may, on the socket or on the first folder that hides it."""
    from grp import getgrgid
    from pathlib import Path
    from stat import S_IRGRP, S_IWGRP

    path = Path(socket)
    for each in (path, *path.parents):
        try:
            status = each.stat()
        except OSError:
            continue
        try:
            group = getgrgid(status.st_gid).gr_name
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
