"""Which discovery sources run, as the configuration asks for them."""

from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from pathlib import Path

from anyio import to_thread
from anyio.streams.memory import MemoryObjectSendStream

from exo_supervisor.app.kept_file import writes_to
from exo_supervisor.config.schema import Config, Discovery
from exo_supervisor.core.events import Event
from exo_supervisor.core.fleet.nodes import Node
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import ClusterKey
from exo_supervisor.discovery.allowed_networks import AllowedNetworks
from exo_supervisor.discovery.broadcast import Broadcast
from exo_supervisor.discovery.crawl import Crawl, CrawlPoint
from exo_supervisor.discovery.first_round import FirstRound
from exo_supervisor.discovery.last_known import Known, LastKnown
from exo_supervisor.discovery.manual import Manual
from exo_supervisor.discovery.mdns import Mdns
from exo_supervisor.discovery.multicast import Multicast
from exo_supervisor.discovery.static import Static
from exo_supervisor.host.kept import read_kept
from exo_supervisor.runtime.fetch import Get
from exo_supervisor.runtime.supervise import Service

NODES = "nodes.json"
"""The file of nodes in the state directory."""


class Sources:
    """All sources of sightings that are on; `state` is where nodes are kept across restarts."""

    def __init__(
        self,
        config: Config,
        machine: Machine,
        get: Get,
        send: MemoryObjectSendStream[Event],
        state: Path | None = None,
    ) -> None:
        discovery, ports = config.discovery, config.discovery.api_ports
        ranges = [IPv4Network(each) for each in discovery.ranges]
        allowed = AllowedNetworks(ranges, discovery.interfaces)
        self.services: list[Service] = [Static(send, machine.tables.policy.seeds)]
        crawl = Crawl(get, send, lambda: crawl_points(machine, crawl.rooted), ports, allowed)
        if discovery.crawl:
            self.services.append(crawl)
        self._lan = [*_listeners(discovery, send, allowed, crawl)]
        self.services += self._lan
        if _asks_the_lan(config):
            self.services.append(FirstRound(send))
        self._kept: LastKnown | None = None
        if state is not None and discovery.remember:
            self._kept = _last_known(state, machine, send, allowed)
            self.services.append(self._kept)

    def forget(self) -> None:
        """Look no more for the nodes of earlier runs that are not up."""
        if self._kept is not None:
            self._kept.forget()

    def quiet(self) -> list[str]:
        """Say which sources can hear nothing, and why."""
        return [f"{each.name} is quiet: {each.why_quiet}" for each in self._lan if each.why_quiet]


def _listeners(
    discovery: Discovery,
    send: MemoryObjectSendStream[Event],
    allowed: AllowedNetworks,
    crawl: Crawl,
) -> Iterator[Broadcast | Mdns | Multicast | Manual]:
    """Make the sources that can be quiet: what they hear is not asked for at a known address."""
    ports, links = discovery.api_ports, discovery.interfaces
    if discovery.broadcast != "off":
        yield Broadcast(send, ports, allowed, mode=discovery.broadcast, interfaces=links)
    if discovery.mdns:
        yield Mdns(send, ports, allowed, interfaces=links)
    if discovery.multicast:
        spaces = discovery.namespaces
        known = crawl.addresses
        yield Multicast(send, ports, allowed, namespaces=spaces, interfaces=links, addresses=known)
    if discovery.manual_file:
        yield Manual(send, ports, allowed, discovery.manual_file)


def awaited(config: Config, state: Path | None) -> frozenset[str]:
    """Name the sources that the first look waits for.

    Generation A is only overheard, at times of its own: it is no use to wait for that.
    """
    found = [FirstRound.name] if _asks_the_lan(config) else []
    remembers = state is not None and config.discovery.remember
    return frozenset([*found, LastKnown.name] if remembers else found)


def _asks_the_lan(config: Config) -> bool:
    return config.discovery.mdns or config.discovery.multicast


def _last_known(
    state: Path, machine: Machine, send: MemoryObjectSendStream[Event], allowed: AllowedNetworks
) -> LastKnown:
    path = state / NODES

    async def read() -> bytes | None:
        return await to_thread.run_sync(read_kept, path)

    return LastKnown(send, allowed, lambda: nodes_up(machine), read=read, write=writes_to(path))


def nodes_up(machine: Machine) -> Iterator[Known]:
    """List the nodes that are up, each by its first address, but for those that a person named."""
    for node in machine.tables.registry.nodes.values():
        found = node.url == f"http://{node.address}" and node.alias_of is None
        if node.up and found and not node.seeded and node.generation is not None:
            yield Known(node.address, node.generation, node.node_id, 0.0)


def crawl_points(machine: Machine, rooted: Callable[[str], bool]) -> list[CrawlPoint]:
    """Name one node of each cluster that can be asked for the others, at the best of its addresses.

    That is one which a person named, else one to which such a node led; it counts although the
    registry knows the node by another address first, since its own answer is what is believed.
    """
    registry, own = machine.tables.registry, machine.tables.registry.trust.own

    def by_person(node: Node) -> bool:
        return own(node) in ("named", "pinned")

    best: dict[ClusterKey, Node] = {}
    for node in registry.nodes.values():
        home = node if node.alias_of is None else registry.nodes.get(node.alias_of, node)
        if not node.up or not node.peer.has_state or home.cluster is None:
            continue
        rival = best.setdefault(home.cluster, node)
        if (by_person(node), rooted(node.url)) > (by_person(rival), rooted(rival.url)):
            best[home.cluster] = node
    return [
        CrawlPoint(node.url, node.state_paths, by_person(node), node.address, own(node) != "found")
        for node in best.values()
    ]
