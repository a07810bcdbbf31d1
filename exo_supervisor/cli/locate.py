"""Finding the service's socket, and telling why it could not be reached."""

import os
from _socket import socket
from collections.abc import Mapping
from typing import NamedTuple

from exo_supervisor.cli.errors import BAD_CONFIG, UNREACHABLE, VerbError
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.client import http
from exo_supervisor.client.json_object import Fields, fields
from exo_supervisor.config import where

CONNECT_TIMEOUT = 2.0
_RUN = "exo-supervisor run"
JOURNAL = "journalctl -u exo-supervisor -n 20"
_UNSET = 'socket=""'
_SYSTEMD = "/run/systemd/system"


class Failed(NamedTuple):
    """One place that was tried: what happened there, and what to do; the gravest comes first."""

    gravity: int
    why: str
    hint: str


def connect(arguments: Arguments) -> socket:
    """Connect to the first place where a service answers; raises `VerbError` that lists them.

    A socket that was named (flag, environment, configuration) is the only one tried: another
    service must not answer in its stead.
    """
    failed: list[Failed] = []
    for path in socket_paths(arguments, os.environ):
        try:
            return http.connect(path, CONNECT_TIMEOUT)
        except (OSError, ValueError) as error:
            failed.append(_explain(path, error))
    raise VerbError(
        "no service answers",
        why=[each.why for each in failed],
        hint=max(failed, key=lambda each: each.gravity).hint,
        exit_code=UNREACHABLE,
    )


def socket_paths(arguments: Arguments, environ: Mapping[str, str]) -> list[str]:
    """List where the socket may be, the likeliest first."""
    named = (
        arguments.socket
        or _spelled(environ.get(where.SOCKET_VARIABLE, ""))
        or _configured(arguments, environ)
    )
    return [where.expand(named, environ)] if named else where.likely_sockets(environ)


def _spelled(value: str) -> str:
    """Read a variable that holds a TOML value; a bare path is taken as it stands."""
    if value[:1] not in {'"', "'"}:
        return value
    try:
        return str(_toml(f"it = {value}")["it"])
    except ValueError:
        return value


def _configured(arguments: Arguments, environ: Mapping[str, str]) -> str:
    """Take `server.socket` from a file; only a file that was named must be there and be TOML."""
    named = where.named_file(arguments.config, environ)
    path = named or where.found_file(environ)
    if path is None:
        return ""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib is slow to import
            text = file.read()
        server = fields(_toml(text).get("server")) if named or _may_name_it(text) else {}
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


def _may_name_it(text: str) -> bool:
    """Tell whether a file may name the socket: `tomllib` takes longer than all else of a verb."""
    lines = (line.strip() for line in text.replace("socket_", "").splitlines())
    telling = (line for line in lines if line[:1] != "#" and line.replace(" ", "") != _UNSET)
    return any("socket" in line or "\\" in line for line in telling)


def _toml(text: str) -> Fields:
    from tomllib import loads

    return loads(text)


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
            reason = getattr(error, "strerror", None) or str(error)
            return Failed(
                1, f"{path}: {str(reason).lower()}", "exo-supervisor status --socket PATH"
            )


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
