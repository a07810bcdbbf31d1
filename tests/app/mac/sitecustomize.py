"""Takes from Python what it has on Linux only, before the program starts.

With this folder on PYTHONPATH a process runs as it would on macOS, as far as names and files go:
the kernel stays Linux's, and so do the numbers behind the names that are left.
"""

import builtins
import io
import os
import select
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

_LINUX_SELECT = ("EPOLL", "POLLRDHUP", "epoll")
for _name in [each for each in vars(select) if each.startswith(_LINUX_SELECT)]:
    delattr(select, _name)

import signal  # noqa: E402 -- what looks for epoll when it is imported comes after it is gone
import socket  # noqa: E402

_LINUX_SOCKET = (
    "AF_ALG", "AF_BLUETOOTH", "AF_CAN", "AF_NETLINK", "AF_PACKET", "AF_QIPCRTR", "AF_RDS",
    "AF_TIPC", "AF_VSOCK", "ALG_", "BDADDR_", "BTPROTO_", "CAN_", "HCI_", "IOCTL_VM",
    "IPV6_RECVERR", "IP_BIND_ADDRESS_NO_PORT", "IP_TRANSPARENT", "MSG_CMSG_CLOEXEC",
    "MSG_CONFIRM", "MSG_ERRQUEUE", "MSG_FASTOPEN", "MSG_MORE", "MSG_NOSIGNAL", "NETLINK_",
    "PACKET_", "PF_CAN", "PF_PACKET", "PF_RDS", "SCM_CREDENTIALS", "SOCK_CLOEXEC",
    "SOCK_NONBLOCK", "SOL_ALG", "SOL_CAN", "SOL_HCI", "SOL_RDS", "SOL_TIPC", "SO_BINDTODEVICE",
    "SO_DOMAIN", "SO_INCOMING_CPU", "SO_MARK", "SO_PASSCRED", "SO_PASSSEC", "SO_PEERCRED",
    "SO_PEERSEC", "SO_PRIORITY", "SO_PROTOCOL", "SO_VM", "TCP_CONGESTION", "TCP_CORK",
    "TCP_DEFER_ACCEPT", "TCP_INFO", "TCP_KEEPIDLE", "TCP_LINGER2", "TCP_QUICKACK", "TCP_SYNCNT",
    "TCP_USER_TIMEOUT", "TCP_WINDOW_CLAMP", "TIPC_", "VMADDR", "VM_SOCKETS",
)  # fmt: skip
_LINUX_OS = (
    "EFD_", "MFD_", "O_LARGEFILE", "O_NOATIME", "O_PATH", "O_RSYNC", "O_TMPFILE",
    "P_PIDFD", "SCHED_BATCH", "SPLICE_", "copy_file_range", "eventfd", "getrandom",
    "getresgid", "getresuid", "getxattr", "listxattr", "memfd_create", "pidfd_open", "pipe2",
    "posix_fadvise", "posix_fallocate", "removexattr", "sched_getaffinity", "sched_setaffinity",
    "setresgid", "setresuid", "setxattr", "splice",
)  # fmt: skip
_LINUX_SIGNAL = ("SIGCLD", "SIGPOLL", "SIGPWR", "SIGRT", "SIGSTKFLT", "sigtimedwait", "sigwaitinfo")


def _strip(module: object, starts: tuple[str, ...]) -> None:
    for name in list(vars(module)):
        if name.startswith(starts):
            delattr(module, name)


def _without_proc(opens: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(path: object, *rest: object, **more: object) -> object:
        if isinstance(path, str | bytes | Path) and os.fsdecode(path).startswith("/proc"):
            raise FileNotFoundError(2, "No such file or directory", os.fsdecode(path))
        return opens(path, *rest, **more)

    return guarded


_options: Callable[..., Any] = socket.socket.getsockopt
_LOCAL_PEERCRED, _PEERCRED = (0, 1), (socket.SOL_SOCKET, socket.SO_PEERCRED, 12)


def _peer_as_on_macos(self: socket.socket, level: int, option: int, *size: int) -> int | bytes:
    """Answer LOCAL_PEERCRED with a struct xucred, made of what Linux knows."""
    if (level, option) != _LOCAL_PEERCRED or self.family != socket.AF_UNIX:
        return cast("int | bytes", _options(self, level, option, *size))
    _process, user, group = struct.unpack("3i", _options(self, *_PEERCRED))
    return struct.pack("=2Ih2x16I", 0, user, 1, group, *([0] * 15))


cast("Any", socket.socket).getsockopt = _peer_as_on_macos
_strip(socket, _LINUX_SOCKET)
_strip(os, _LINUX_OS)
if hasattr(os, "O_DIRECT"):  # `O_DIRECTORY` begins alike, and stays
    del os.O_DIRECT
_strip(signal, _LINUX_SIGNAL)
builtins.open = io.open = _without_proc(io.open)
os.open = _without_proc(os.open)
os.stat = _without_proc(os.stat)
os.listdir = _without_proc(os.listdir)
cast("dict[str, object]", sys.modules)["uvloop"] = None  # it is installed on Linux only
