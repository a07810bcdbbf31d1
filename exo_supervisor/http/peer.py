"""What a socket tells of its other end: which user it is, has it left, has it spoken."""

import select
import socket
from select import POLLERR, POLLHUP, POLLIN, poll
from struct import Struct

_LINUX = Struct("=3i")
"""struct ucred of unix(7): process, user, group."""
_BSD_LEVEL, _BSD_PEER = 0, 1
"""SOL_LOCAL and LOCAL_PEERCRED of unix(4) on macOS and the BSDs."""
_BSD = Struct("=2I")
_BSD_SIZE = 76
"""Bytes of struct xucred: version, user, and up to 16 groups, of which the first two are read."""
_GID = Struct("=I")
_GROUPS_SIZE = 1024
"""Bytes for the groups of a peer, all that Python asks for: who is in more than 256 is in none."""
_POLLRDHUP = getattr(select, "POLLRDHUP", 0)
"""The other end sends no more (poll(2), Linux); without it, only a reset tells."""


def user_of(peer: socket.socket) -> int | None:
    """Return the user id; None where nobody can tell, as of a client that is gone."""
    if peer.family != socket.AF_UNIX:
        return None
    linux: int | None = getattr(socket, "SO_PEERCRED", None)
    try:
        if linux is not None:
            return _LINUX.unpack(peer.getsockopt(socket.SOL_SOCKET, linux, _LINUX.size))[1]
        return read_xucred(peer.getsockopt(_BSD_LEVEL, _BSD_PEER, _BSD_SIZE))
    except OSError:
        return None


def groups_of(peer: socket.socket) -> frozenset[int]:
    """Return the groups of whoever connected to a Unix socket, as they were then."""
    own: int | None = getattr(socket, "SO_PEERCRED", None)
    all_of: int = getattr(socket, "SO_PEERGROUPS", 59)
    if own is None or peer.family != socket.AF_UNIX:
        return frozenset()
    try:
        credentials = peer.getsockopt(socket.SOL_SOCKET, own, _LINUX.size)
        groups = peer.getsockopt(socket.SOL_SOCKET, all_of, _GROUPS_SIZE)
    except OSError:
        return frozenset()
    return frozenset([_LINUX.unpack(credentials)[2], *(gid for (gid,) in _GID.iter_unpack(groups))])


def read_xucred(raw: bytes) -> int | None:
    """Read the user of a struct xucred; None if it is of another version than 0, or cut."""
    if len(raw) < _BSD.size:
        return None
    version, user = _BSD.unpack_from(raw)
    return user if version == 0 else None


def has_left(peer: socket.socket) -> bool:
    """Say whether the other end is closed: no event tells it to one who does not read.

    On a Unix socket a half-close is no leave; on TCP the two cannot be told apart.
    """
    half = 0 if peer.family == socket.AF_UNIX else _POLLRDHUP
    look = poll()
    look.register(peer.fileno(), half)
    gone = POLLHUP | POLLERR | half  # the first two come unasked
    return any(said & gone for _, said in look.poll(0))


def bytes_wait(peer: socket.socket) -> bool:
    """Say whether anything, an end included, waits to be read."""
    look = poll()
    look.register(peer.fileno(), POLLIN)
    return bool(look.poll(0))
