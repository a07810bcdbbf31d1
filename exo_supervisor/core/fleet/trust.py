"""Whom a prompt that must stay in the house may go to, and by whose word.

Found is not trusted. A person's word makes a node trusted (a seed, a pin), or the machine's own
(a loopback listener whose owner was looked up when we connected). Beside these stand the members
of such a node's own cluster, since Exo itself hands them every prompt; see `kinship`.

Ids are public: whoever can read Exo's state can say that it goes by any of them. So a member is
one only at an address that the trusted node's own state gives for its id.
"""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from msgspec import Struct

from exo_supervisor.core.fleet.nodes import Ground, Node
from exo_supervisor.core.names import Address, NodeId, TrustRule

MAX_PINS = 256
"""Pins that are held at once; one more is refused."""

_RANKS: dict[Ground, int] = {
    "named": 5,
    "pinned": 4,
    "loopback": 3,
    "cluster": 2,
    "link": 1,
    "found": 0,
}


class Pin(Struct):
    """One address that a person trusts.

    `link` is the link-layer address seen there, None while it is not known. A pin that was kept
    across a restart is not `sure` until that address is seen there again.
    """

    link: str | None = None
    sure: bool = True


class Trust:
    """Owns the pins, and which addresses each trusted node gives for the ids of its cluster.

    `strict`: nodes that are only found get no prompt at all.
    `owned`: on this machine the owner of a loopback listener is looked up at every connection, so
    that whoever answers there is root, we, or a user that the configuration names.
    """

    def __init__(
        self,
        rule: TrustRule = "private",
        pins: Iterable[tuple[Address, str | None]] = (),
        *,
        strict: bool = False,
        owned: bool = False,
    ) -> None:
        self.follow(rule, strict=strict, owned=owned)
        self.pins = {address: Pin(link, sure=link is None) for address, link in pins}
        self._told: dict[Address, Mapping[NodeId, frozenset[str]]] = {}

    def follow(self, rule: TrustRule, *, strict: bool, owned: bool) -> None:
        """Judge by this rule from now on; every node that is known has to be judged anew."""
        self._rule: TrustRule = rule
        self.strict = strict or rule == "named"
        self._owned = owned

    def own(self, node: Node) -> Ground:
        """Say on which ground a node is trusted by itself, whatever cluster it is in."""
        pin = self.pins.get(node.address)
        if node.seeded:
            return "named"
        if pin is not None and pin.sure:
            return "pinned"
        if self._owned and is_loopback(node.address):
            return "loopback"
        return "link" if self._rule == "link" else "found"

    def is_kept(self, address: Address) -> bool:
        """Say whether a pin keeps a node from being forgotten."""
        return address in self.pins

    def told(self, teller: Address, addresses: Mapping[NodeId, Iterable[str]]) -> bool:
        """Take in which addresses a node's state gives for ids; True if that changed."""
        now = {node_id: frozenset(map(host_of, each)) for node_id, each in addresses.items()}
        before = self._told.get(teller)
        self._told[teller] = now
        return before != now

    def forget(self, teller: Address) -> None:
        """Drop what a node told: it is gone, or trusted no more."""
        self._told.pop(teller, None)

    def vouched(self, node: Node, by: Address) -> bool:
        """Say whether a node's own state has this one's id at this one's address."""
        if node.node_id is None:
            return False
        return host_of(node.address) in self._told.get(by, {}).get(node.node_id, frozenset())


def outranks(node: Node, holder: Node) -> bool:
    """Say whether a node that answers takes an id from the one that holds it.

    On equal ground whoever has gone by it longer, once it is up: it may have been away.
    """
    ground = _RANKS[node.trust] - _RANKS[holder.trust]
    return ground > 0 or (ground == 0 and node.up and node.met < holder.met)


def host_of(address: str) -> str:
    """Take the host out of `host:port`, or out of a bare host."""
    host, colon, port = address.rpartition(":")
    return host.strip("[]") if colon and port.isdigit() and host else address


def is_loopback(address: Address) -> bool:
    """Say whether an address is this machine's own loopback; `localhost` is a name of it."""
    host = host_of(address)
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
