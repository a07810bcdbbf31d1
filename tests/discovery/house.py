"""A machine whose links are in every private network, for tests that use any address of them."""

from collections.abc import Sequence
from ipaddress import IPv4Network

from exo_supervisor.discovery.allowed_networks import AllowedNetworks

PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")


def on_links(*networks: str, ranges: Sequence[str] = ()) -> AllowedNetworks:
    """Make the allowed networks of a machine that is in these networks."""
    own = [IPv4Network(each) for each in networks]
    return AllowedNetworks([IPv4Network(each) for each in ranges], networks=lambda _: own)


HOUSE = on_links(*PRIVATE)
