"""Which addresses a stranger's word may lead to: those of the own house."""

from ipaddress import IPv4Address, IPv4Network

_HOUSE = (
    IPv4Network("10.0.0.0/8"),  # RFC 1918
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("100.64.0.0/10"),  # RFC 6598; also what Tailscale gives out
    IPv4Network("169.254.0.0/16"),  # RFC 3927; a Thunderbolt bridge has no other
)
_DOCKER = IPv4Network("172.17.0.0/16")


def in_the_house(ip: IPv4Address, *, loopback: bool) -> bool:
    """Say whether a host may be asked if it is an Exo node; this machine only on `loopback`."""
    return (loopback and ip.is_loopback) or any(ip in network for network in _HOUSE)


def on_docker_bridge(ip: IPv4Address) -> bool:
    """Say whether an address is of Docker's default bridge, which exists on many hosts at once."""
    return ip in _DOCKER
