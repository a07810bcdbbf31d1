"""Which addresses are of the house: nobody outside of it means the same by them."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

HOUSE = (
    IPv4Network("10.0.0.0/8"),  # RFC 1918
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("100.64.0.0/10"),  # RFC 6598; also what Tailscale gives out
    IPv4Network("169.254.0.0/16"),  # RFC 3927; a Thunderbolt bridge has no other
    IPv6Network("fc00::/7"),  # RFC 4193
    IPv6Network("fe80::/10"),  # RFC 4291
)


def in_the_house(ip: IPv4Address | IPv6Address) -> bool:
    """Say whether an address is of the house; this machine's loopback is not of that kind."""
    return any(ip in network for network in HOUSE)
