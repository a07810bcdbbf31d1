"""The sockets of generation C's multicast group; neither can disturb an Exo on this machine.

Exo answers and is answered on port 52413 of every address. A second socket there would be given
some of the answers in its place, so one of ours holds the group's address only, and the other,
which asks, any port but this one.
"""

import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv6Address

from exo_supervisor.discovery.neighbours import Link

GROUP = "ff12::e0a1:de89"
PORT = 52413
"""Exo's default for `--discovery-port`."""

_LONGEST = 64
_BURST = 64


def open_listener(link: Link) -> socket.socket:
    """Hear what is said to the group on one link; raises OSError."""
    listener = _datagram_socket()
    try:
        # Not REUSEPORT: it would share with Exo what REUSEADDR gives to both.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        member = struct.pack("=16sI", IPv6Address(GROUP).packed, link.index)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
        listener.bind((GROUP, PORT, 0, link.index))
    except OSError:
        listener.close()
        raise
    return listener


def open_sender(link: Link) -> socket.socket:
    """Take an ephemeral port to ask from, which the answers come to; raises OSError."""
    sender = _datagram_socket()
    try:
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, link.index)
        sender.bind(("::", 0))
        if sender.getsockname()[1] != PORT:
            return sender
        other = open_sender(link)  # while this one still holds Exo's port
    except OSError:
        sender.close()
        raise
    sender.close()
    return other


def send(sender: socket.socket, datagrams: list[bytes]) -> bool:
    """Say something to the group; tell whether the kernel took it."""
    try:
        for datagram in datagrams:
            sender.sendto(datagram, (GROUP, PORT))
    except OSError:  # the link is going down, or has no usable address yet
        return False
    return True


def drain(bound: socket.socket) -> Iterator[tuple[bytes, IPv6Address, int]]:
    """Yield what was received with its source, so much at a time that a flood stops nothing."""
    for _ in range(_BURST):
        try:
            datagram, (host, port, *_) = bound.recvfrom(_LONGEST)
        except OSError:  # nothing more, or the link is gone
            return
        yield datagram, IPv6Address(host.partition("%")[0]), port


def _datagram_socket() -> socket.socket:
    made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    made.settimeout(0)
    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made
