"""What generation B says of itself in multicast DNS, as libp2p-mdns writes it (Exo 1.0.x)."""

import re
from ipaddress import AddressValueError, IPv4Address

from exo_supervisor.core.names import NodeId

SERVICE = "_p2p._udp.local."
"""The service name that every program on libp2p shares, Exo among them."""

_RECORD = re.compile(
    rb"dnsaddr=/ip4/([0-9.]{7,15})/tcp/[1-9][0-9]{0,4}/p2p/([1-9A-HJ-NP-Za-km-z]{40,64})"
)


def read_record(text: bytes) -> tuple[NodeId, IPv4Address] | None:
    """Read the data of one TXT record: who listens, and on which address.

    The data is a length and a string, `dnsaddr=/ip4/IP/tcp/PORT/p2p/ID` (RFC 1035, section 3.3.14).
    The port is that of Exo's peers, not of its API. None stands for anything else.
    """
    match = _RECORD.fullmatch(text[1 : 1 + text[0]]) if text else None
    if match is None:
        return None
    try:
        return NodeId(match[2].decode()), IPv4Address(match[1].decode())
    except AddressValueError:
        return None
