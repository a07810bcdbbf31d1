"""Opens the second listener, on loopback TCP, for clients that know only URLs."""

import socket

from exo_supervisor.errors import StartError, why_failed
from exo_supervisor.host.unix import BACKLOG


def open_tcp(place: str) -> socket.socket:
    """Bind and listen on `IP:PORT`, an IPv4 address of loopback; raises StartError."""
    host, _, port = place.rpartition(":")
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A connection of ours that waits out its end must not keep us from starting again.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.settimeout(0.0)
        listening.bind((host, int(port)))
        listening.listen(BACKLOG)
    except OSError as fault:
        listening.close()
        why = f"{place} cannot be listened on: {why_failed(fault)}"
        advice = "stop what listens there, or change server.tcp"
        raise StartError(f"{why}; {advice}") from fault
    return listening
