"""Which interfaces a demo node may announce itself on, as an Exo node would list them."""

import socket
import struct
from collections.abc import Sequence
from fcntl import ioctl

_GET_ADDRESS = 0x8915  # SIOCGIFADDR, netdevice(7)


def links(names: Sequence[str] = ()) -> dict[str, str]:
    """Map each interface that has an IPv4 address to it; no `names` stand for all of them."""
    found: dict[str, str] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                answer = ioctl(probe, _GET_ADDRESS, struct.pack("16s24x", name.encode()))
            except OSError:
                continue
            if not names or name in names:
                found[name] = socket.inet_ntoa(answer[20:24])
    return found
