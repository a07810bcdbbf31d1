"""Hears the UDP datagrams of one port without binding it, so that another program still can.

A raw socket is given a copy of whatever this machine takes in, before it is told whether anybody
listens (raw(7)); it needs CAP_NET_RAW. The kernel itself drops what is for other ports.
"""

import ctypes
import socket
import struct

_ATTACH_FILTER = 26  # SO_ATTACH_FILTER, socket(7)
_UDP_HEADER = 8
_SHORTEST = 20
_MORE_OR_OFFSET = 0x3FFF  # RFC 791: "more fragments", and where in the whole this one stands


def open_raw(port: int) -> socket.socket:
    """Open a socket that is given the packets for one UDP port, from the IP header on.

    Raises PermissionError without CAP_NET_RAW, and OSError.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    try:
        listener.settimeout(0)
        code = ctypes.create_string_buffer(_filter(port))
        program = struct.pack("HP", len(code) // 8, ctypes.addressof(code))  # struct sock_fprog
        listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)
    except OSError:
        listener.close()
        raise
    return listener


def payload(packet: bytes, port: int) -> bytes | None:
    """Cut the data out of an IPv4 packet for a UDP port; None for any other, and for fragments.

    The checksums are not looked at: the sender's network card may yet have had to write them.
    """
    if len(packet) < _SHORTEST or packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_UDP:  # noqa: PLR2004 - IPv4
        return None
    if int.from_bytes(packet[6:8]) & _MORE_OR_OFFSET:
        return None
    start = (packet[0] & 0xF) * 4
    header = packet[start : start + _UDP_HEADER]
    if start < _SHORTEST or len(header) < _UDP_HEADER:
        return None
    _, to, length, _ = struct.unpack("!4H", header)
    if to != port or length < _UDP_HEADER or start + length > len(packet):
        return None
    return packet[start + _UDP_HEADER : start + length]


def _filter(port: int) -> bytes:
    """Write a filter for the kernel: let the unfragmented packets for a UDP port through."""
    code = (  # struct sock_filter: what to do, jumps if true and if false, operand
        (0x28, 0, 0, 6),  # take 2 bytes at 6: flags and fragment offset
        (0x45, 4, 0, _MORE_OR_OFFSET),  # any of these bits: drop
        (0xB1, 0, 0, 0),  # x becomes the length of the IP header
        (0x48, 0, 0, 2),  # take 2 bytes at x + 2: the port it is for
        (0x15, 0, 1, port),  # another one: drop
        (0x06, 0, 0, 0xFFFFFFFF),  # let it through, all of it
        (0x06, 0, 0, 0),  # drop
    )
    return b"".join(struct.pack("HBBI", *line) for line in code)
