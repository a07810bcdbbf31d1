"""Whether a text names a place in the network: networks, interfaces, namespaces, a listener."""

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from exo_supervisor.config.literal import shown
from exo_supervisor.core.house import in_the_house

Problem = tuple[str, str]
"What is wrong, said after the key's name, and a hint."

_WIDEST = 8
_LAST_PORT = 65_535
_TCP_EXAMPLE = 'for example "127.0.0.1:11435"'
_RANGE_EXAMPLE = 'for example "10.8.0.0/16"'
_INTERFACE = re.compile(r"[!-.0-9;-~]{1,15}")  # as the kernel has them: no blank, `/` or `:`
_LONGEST_NAMESPACE = 1024


def range_problem(text: str) -> Problem | None:
    """Find what keeps a text from being an IPv4 network that may be looked at, as CIDR has it."""
    try:
        interface = ipaddress.IPv4Interface(text)
    except ValueError:
        return f"wants an IPv4 network, got {shown(text)}", _RANGE_EXAMPLE
    network = interface.network
    if network.network_address != interface.ip:
        return f"has bits set behind its mask, got {shown(text)}", f'perhaps "{network}"'
    if network.prefixlen < _WIDEST:
        return f"is wider than a /{_WIDEST}, got {shown(text)}", _RANGE_EXAMPLE
    if network.is_loopback:
        return "is this machine's loopback", "name its nodes in discovery.static"
    if network.is_multicast or network.is_reserved or network.network_address.is_unspecified:
        return f"holds no hosts, got {shown(text)}", _RANGE_EXAMPLE
    return None


def tcp_problem(text: str) -> Problem | None:
    """Find what keeps a text from being a loopback address and a port; empty means no listener."""
    if not text:
        return None
    host, _, port = text.rpartition(":")
    wanted = f"wants an IPv4 address of loopback and a port, got {shown(text)}", _TCP_EXAMPLE
    if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) <= _LAST_PORT:
        return wanted
    try:
        return None if ipaddress.IPv4Address(host).is_loopback else wanted
    except ValueError:
        return wanted


def is_public(url: str, ranges: Iterable[str]) -> bool:
    """Say whether a URL has an address that is neither private nor in one of these networks."""
    try:
        ip = ipaddress.ip_address(urlsplit(url).hostname or "")
    except ValueError:  # a name, which may mean anything by the time of a connection
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    here = mapped or ip
    inside = any(here in ipaddress.ip_network(each) for each in ranges)
    return not (here.is_loopback or in_the_house(here) or inside)


def interface_problem(name: str) -> Problem | None:
    """Find what keeps a text from being an interface's name; whether it exists may change."""
    if _INTERFACE.fullmatch(name) is None or name in {".", ".."}:
        return f"wants an interface's name, got {shown(name)}", 'for example "eth0"'
    return None


def namespace_problem(name: str) -> Problem | None:
    """Find what keeps a text from being a namespace as exo's --namespace takes it."""
    size = len(name.encode())
    if not 0 < size <= _LONGEST_NAMESPACE:
        return f"wants 1 to {_LONGEST_NAMESPACE} bytes, got {size}", "as exo's --namespace has it"
    return None
