"""Which sockets listen at a port, asked of the kernel for that port alone (sock_diag(7)).

Its answer costs the same however many connections there are, where the tables in /proc are written
in full, a walk over all of them.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import Final

HAS_NETLINK: Final = hasattr(socket, "AF_NETLINK")
"""Whether the kernel can be asked: Linux, which may refuse it all the same."""
_SOCK_DIAG: Final = 4
"""NETLINK_SOCK_DIAG."""
_BY_FAMILY, _ERROR, _DONE = 20, 2, 3
_REQUEST, _DUMP = 0x001, 0x300
_LISTEN: Final = 10
"""TCP_LISTEN; a question has a bit for each state."""

_HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_QUESTION: Final = struct.Struct("=BBxxI2s46x")  # family, protocol, states, local port, the rest
_SOCKET: Final = struct.Struct("=BB2x2s2x16s40xI4x")  # family, state, local port, address, user
_ERRNO: Final = struct.Struct("=i")
_AT_ONCE: Final = 65_536
_SIZES: Final = {socket.AF_INET: 4, socket.AF_INET6: 16}


def read_listeners_at(port: int) -> list[tuple[bytes, int]]:
    """List the addresses at which sockets listen on a port, with their users; raises OSError.

    The kernel answers while it is read, so nothing here waits.
    """
    here = port.to_bytes(2, "big")
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
            kernel.settimeout(0)
            return [each for family in _SIZES for each in _ask(kernel, family, here)]
    except struct.error:  # it is cut, or another kernel's than Linux's
        raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG)) from None


def _ask(
    kernel: socket.socket, family: socket.AddressFamily, here: bytes
) -> Iterator[tuple[bytes, int]]:
    """Ask one question; raises OSError and struct.error."""
    question = _QUESTION.pack(family, socket.IPPROTO_TCP, 1 << _LISTEN, here)
    head = _HEADER.pack(_HEADER.size + _QUESTION.size, _BY_FAMILY, _REQUEST | _DUMP, 1, 0)
    kernel.send(head + question)
    for body in _answers(kernel):
        _, state, at, address, user = _SOCKET.unpack_from(body)
        if (state, at) == (_LISTEN, here):
            yield address[: _SIZES[family]], user


def _answers(kernel: socket.socket) -> Iterator[bytes]:
    """Read what a question is answered with, to its end; raises OSError if that is an error."""
    while True:
        part = kernel.recv(_AT_ONCE)
        at = 0
        while at < len(part):
            length, kind, *_ = _HEADER.unpack_from(part, at)
            body = part[at + _HEADER.size : at + length]
            if kind in {_DONE, _ERROR}:
                (error,) = _ERRNO.unpack_from(body)
                if error:
                    raise OSError(-error, os.strerror(-error))
                return
            yield body
            at += (length + 3) & ~3
