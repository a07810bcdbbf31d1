"""Opens the Unix socket so that nobody loses theirs and nobody gets in too early."""

import errno
import fcntl
import grp
import os
import socket
import stat
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import final

from exo_supervisor.errors import StartError, why_failed

BACKLOG = 4096  # a burst of clients must not see EAGAIN
_LONGEST_PATH = 107 if sys.platform == "linux" else 103  # bytes: sun_path without its last zero
LOCK_PATIENCE = 2.0
"""Seconds to wait for the lock: honest holders keep it for microseconds."""

_Identity = tuple[int, int, int]


@final
class ListeningSocket:
    """A listening Unix socket; closing it removes its file, if the file is the one we made."""

    def __init__(self, sock: socket.socket, path: str, made: _Identity | None) -> None:
        self.socket = sock
        self.path = path
        self._made = made

    def close(self) -> None:
        """Remove our own file, then close; calling it again, or after a server did, is harmless."""
        if self._made is not None:
            with suppress(OSError, StartError), _locked(self.path):
                if _identity(self.path) == self._made:
                    Path(self.path).unlink()
            self._made = None
        self.socket.close()


def make_base(path: str) -> None:
    """Make the directories that lead to a user's own socket, for that user alone.

    Never raises: who opens the socket says best what is wrong there.
    """
    with suppress(OSError):
        Path(path).parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)


def open_socket(
    path: str, *, mode: int, group: str, patience: float = LOCK_PATIENCE
) -> ListeningSocket:
    """Bind and listen on `path` with the file's `mode` and, unless empty, its `group`.

    A stale file is replaced; raises StartError when another service answers there, when the path
    is no socket, or when the machine refuses.

    Who starts holds a lock on the directory from the look at the old file until the new one
    listens, so of two services that start at once one wins and the other is refused. The kernel
    drops the lock with its process, and it leaves no lock file behind.
    """
    _check_path(path)
    group_id = group_id_of(group, "server.socket_group")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(0.0)
        _make_directory(path)
        with _locked(path, patience):
            _clear(path)
            made = _bind(sock, path, mode, group_id)
    except OSError as fault:
        sock.close()
        raise _refusal(path, fault) from fault
    except StartError:
        sock.close()
        raise
    return ListeningSocket(sock, path, made)


def adopt(sock: socket.socket) -> ListeningSocket:
    """Take a socket that systemd opened; its file is systemd's and is never removed here.

    Raises StartError unless it is a listening Unix stream socket.
    """
    is_stream = sock.family == socket.AF_UNIX and sock.type == socket.SOCK_STREAM
    if not is_stream or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise StartError(
            "systemd passed a socket that is not a listening Unix stream socket; "
            "use ListenStream= with a path, and Accept=no"
        )
    sock.settimeout(0.0)
    return ListeningSocket(sock, str(sock.getsockname()), None)


def _check_path(path: str) -> None:
    try:
        size = len(os.fsencode(path))
    except UnicodeEncodeError:
        size = 0
    if not size or "\0" in path:
        raise StartError(f"{path!r} is no path for a socket; set server.socket to a file's path")
    if size > _LONGEST_PATH:
        raise StartError(
            f"the socket path {path} has {size} bytes and the system allows {_LONGEST_PATH}; "
            "set server.socket to a shorter one"
        )


def group_id_of(group: str, key: str) -> int | None:
    """Find a group's id; None for no group. Raises StartError, naming the key that it stands at."""
    if not group:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, ValueError):
        raise StartError(
            f"there is no group {group!r} on this machine; create it with groupadd, or change {key}"
        ) from None


def _make_directory(path: str) -> None:
    """Make the last directory of the path, and no other; the socket's own mode guards it."""
    directory = Path(path).parent
    if directory.is_dir():
        return
    try:
        directory.mkdir()
        directory.chmod(0o755)
    except FileExistsError:
        if not directory.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "not a directory") from None


@contextmanager
def _locked(path: str, patience: float = LOCK_PATIENCE) -> Generator[None]:
    directory = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        give_up = time.monotonic() + patience
        while not _try_lock(directory):
            if time.monotonic() > give_up:
                raise StartError(
                    f"the directory of {path} stays locked by another process; "
                    "try again, or set server.socket to another directory"
                )
            time.sleep(0.02)
        yield
    finally:
        os.close(directory)


def _try_lock(directory: int) -> bool:
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _clear(path: str) -> None:
    """Remove a stale socket file; refuse a live one, and whatever is not a socket."""
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise StartError(
            f"{path} exists and is not a socket, so it was left alone; "
            "move it away, or set server.socket to another path"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.0)
        answer = probe.connect_ex(path)
    if answer in {0, errno.EAGAIN, errno.EPROTOTYPE}:  # also a full queue, or a datagram service
        raise StartError(
            f"another service answers on {path}; stop it (Ctrl-C or `kill` where it was started), "
            "or set server.socket to another path"
        )
    if answer == errno.ECONNREFUSED:
        Path(path).unlink()
    elif answer != errno.ENOENT:
        raise OSError(answer, os.strerror(answer))


def _bind(sock: socket.socket, path: str, mode: int, group_id: int | None) -> _Identity:
    """Bind, give the file its owner and mode, and only then let anybody connect.

    The file is born with its mode: a chmod afterwards could follow a link that was put there.
    """
    umask = os.umask(0o777 & ~mode)
    try:
        sock.bind(path)
    finally:
        os.umask(umask)
    try:
        if group_id is not None:
            os.chown(path, -1, group_id, follow_symlinks=False)
        sock.listen(BACKLOG)
        return _identity(path)
    except OSError:
        Path(path).unlink()
        raise


def _identity(path: str) -> _Identity:
    """Tell one file from the next: some file systems give a freed inode number out again."""
    status = os.lstat(path)
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _refusal(path: str, fault: OSError) -> StartError:
    directory = Path(path).parent
    advice = "set server.socket to a path this user may use"
    match fault.errno:
        case errno.ENOENT:
            advice = f"create {directory} first, or {advice}"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            advice = (
                f"let this user write to {directory} and belong to server.socket_group, or {advice}"
            )
        case _:
            pass
    return StartError(f"the socket {path} cannot be opened: {why_failed(fault)}; {advice}")
