"""Which discovery sources run, as the configuration asks for them."""

from anyio.streams.memory import MemoryObjectSendStream

from exo_supervisor.config import Config
from exo_supervisor.core.events import Event
from exo_supervisor.core.machine import Machine
from exo_supervisor.discovery.broadcast import Broadcast
from exo_supervisor.discovery.crawl import Crawl, CrawlPoint
from exo_supervisor.discovery.mdns import Mdns
from exo_supervisor.discovery.multicast import Multicast
from exo_supervisor.discovery.static import Static
from exo_supervisor.runtime.fetch import Get
from exo_supervisor.runtime.supervise import Service


class Sources:
    """All sources of sightings that are on."""

    def __init__(
        self, config: Config, machine: Machine, get: Get, send: MemoryObjectSendStream[Event]
    ) -> None:
        discovery = config.discovery
        ports = discovery.api_ports
        self.services: list[Service] = [Static(send, machine.tables.policy.seeds)]
        self._lan: list[Broadcast | Mdns | Multicast] = []
        crawl = Crawl(get, send, lambda: crawl_points(machine), ports)
        if discovery.crawl:
            self.services.append(crawl)
        if discovery.broadcast != "off":
            self._lan.append(Broadcast(send, ports, mode=discovery.broadcast))
        if discovery.mdns:
            self._lan.append(Mdns(send, ports))
        if discovery.multicast:
            self._lan.append(Multicast(send, ports, addresses=crawl.addresses))
        self.services += self._lan

    def quiet(self) -> list[str]:
        """Say which sources can hear nothing, and why."""
        return [f"{each.name} is quiet: {each.why_quiet}" for each in self._lan if each.why_quiet]


def crawl_points(machine: Machine) -> list[CrawlPoint]:
    """Name one member of each cluster that can be asked for the others."""
    registry = machine.tables.registry
    points: list[CrawlPoint] = []
    for cluster in registry.clusters.values():
        nodes = (registry.nodes[member] for member in cluster.members)
        up = [each for each in nodes if each.up and each.generation != "A"]
        if up:
            node = max(up, key=lambda each: each.seeded)  # a person's own word comes first
            points.append(CrawlPoint(node.url, node.state_paths, node.seeded))
    return points
