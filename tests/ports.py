"""A port for a test that has to name one before anybody listens there.

One that the kernel gave and that was let go may be given to somebody else at once: to a server of
another test, or to a connection's own end. So it comes from below those that the kernel gives.
"""

import random
import socket
from contextlib import suppress
from pathlib import Path

_TRIES = 50
_GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST_GIVEN = 32_768
"""Linux's default; other systems begin later."""


def quiet_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Find a port at which no socket is, and which nobody is given unasked."""
    first = int(_GIVEN.read_text().split()[0]) if _GIVEN.exists() else _FIRST_GIVEN
    for port in random.sample(range(first // 2, first), _TRIES):
        with socket.socket(socket.AF_INET, kind) as taken, suppress(OSError):
            taken.bind(("0.0.0.0", port))
            return port
    raise AssertionError(f"of {_TRIES} ports none is free")
