"""Speaks with systemd: says how we are, learns how often to, and takes the sockets it opened."""

import fcntl
import os
import socket
from collections.abc import Mapping, MutableMapping
from contextlib import suppress

from exo_supervisor.errors import StartError

_FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START of sd_listen_fds(3)


def notify(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """Send `READY=1`, `WATCHDOG=1` and the like, as sd_notify(3) says.

    Never waits and never raises: outside systemd, or when it does not listen, nothing happens.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with (
        suppress(OSError, ValueError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
    ):
        sender.settimeout(0.0)
        sender.connect(address)
        sender.send(state.encode())


def watchdog_period(environ: Mapping[str, str] = os.environ) -> float | None:
    """Give the seconds within which systemd wants `WATCHDOG=1`, None if it does not.

    The rule is sd_watchdog_enabled(3)'s; it advises to send at half the period.
    """
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    period = _count(environ.get("WATCHDOG_USEC", ""))
    return period / 1_000_000 if period else None


def passed_sockets(environ: MutableMapping[str, str] = os.environ) -> list[socket.socket]:
    """Take the sockets that systemd opened for us, and unset the variables that named them.

    The rule is sd_listen_fds(3)'s. Raises StartError when what was passed is not a socket.
    """
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()):
        return []
    sockets: list[socket.socket] = []
    for descriptor in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + _count(count)):
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
            sockets.append(socket.socket(fileno=descriptor))
        except OSError:
            for taken in sockets:
                taken.close()
            raise StartError(
                f"descriptor {descriptor} was passed by LISTEN_FDS={count} but is not a socket; "
                "pass only sockets, or unset LISTEN_FDS and LISTEN_PID"
            ) from None
    return sockets


def _count(text: str) -> int:
    """Read a plain decimal number; anything else counts as nothing."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0  # noqa: PLR2004 - fits 64 bits
