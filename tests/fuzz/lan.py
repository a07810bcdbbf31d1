"""Datagrams and states of strangers: read or refused, and never to the cost of a named node.

Beside the strangers stands a seed that is well. After each try what must stay in the house goes to
the seed, the machine's indexes are true, and its tables keep to their bounds.
"""

from contextlib import suppress
from ipaddress import IPv6Address
from pathlib import Path
from random import Random

from zeroconf._protocol.incoming import DNSIncoming

from exo_supervisor.core.events import AddressesRead, CapacityRead, CardsRead, PlacementRead
from exo_supervisor.core.fleet.known import MAX_PAST_MODELS, MAX_PAST_NODES
from exo_supervisor.core.fleet.registry import MAX_NODES
from exo_supervisor.core.names import Address, NodeId
from exo_supervisor.demo.announce_b import answer
from exo_supervisor.discovery.hello_protocol import PORT, HelloProtocol
from exo_supervisor.discovery.mdns_group import read_claims
from exo_supervisor.discovery.namespaces import Namespaces
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.exo.addresses import read_addresses, read_state_addresses
from exo_supervisor.wire.exo.capacity import read_full_machines, read_machine_a
from exo_supervisor.wire.exo.hello import (
    Hello,
    encode_hello,
    namespace_digest,
    read_hello,
    read_whats_up,
)
from exo_supervisor.wire.exo.identity import read_cards, read_node_id
from exo_supervisor.wire.exo.legacy import (
    read_discovery_datagram,
    read_manual_peers,
    read_models_a,
    read_topology_a,
)
from exo_supervisor.wire.exo.mdns import read_record
from exo_supervisor.wire.exo.state import read_full_state, read_state
from tests.core.invariants import check_clusters, check_index, check_judgement
from tests.core.story import LOCAL, M, Story, told
from tests.fuzz.mutation import mutated

PEER = "12D3KooW" + "A" * 44
RECORDINGS = Path(__file__).parent.parent / "recordings"
SEED = "10.0.0.5:52415"
STRANGERS = tuple(f"10.0.0.{n}:52415" for n in range(60, 68))
LEGACY = (
    b'{"type":"discovery","node_id":"x","grpc_port":1,"grpc_host":"h","priority":1,'
    b'"device_capabilities":{"model":"m","chip":"c","memory":1,"flops":{"fp32":1}}}'
)


class Lan:
    """One try is a datagram, or what a stranger says of itself and of its cluster."""

    def __init__(self, random: Random) -> None:
        self._random, self._tries = random, 0
        self._states = tuple(path.read_bytes() for path in sorted(RECORDINGS.rglob("state*.json")))
        hello = encode_hello(Hello(b"n" * 8, namespace_digest("")))
        whats_up = b"EXO\1" + b"m" * 8 + b"\1" * 18
        self._datagrams = (LEGACY, hello, whats_up, answer(1, [f"/ip4/10.0.0.9/tcp/1/p2p/{PEER}"]))
        self._begin()

    def _begin(self) -> None:
        self._house = Story(LOCAL)
        self._house.up(SEED, seeded=True)
        self._house.read(SEED, M)
        self._house.tick(5.0)

    def try_once(self) -> None:
        """Let a stranger speak. Raises AssertionError, or whatever a reader raised."""
        self._tries += 1
        if self._tries % 2000 == 0:
            self._begin()
        if self._random.random() < 0.5:
            self._hear(mutated(self._random.choice(self._datagrams), self._random))
        else:
            self._visit(mutated(self._random.choice(self._states), self._random, self._states))

    def _hear(self, data: bytes) -> None:
        read_discovery_datagram(data)
        read_hello(data)
        read_whats_up(data)
        read_record(data)
        read_claims(DNSIncoming(data).answers())
        with suppress(WireError):
            read_manual_peers(data)
        protocol = HelloProtocol(Namespaces(()))
        protocol.question(b"m" * 8, 0.0)
        protocol.hear(data, IPv6Address("fe80::2"), PORT, 0.0)
        protocol.answer(data, IPv6Address("fe80::2"), 0.0)

    def _visit(self, state: bytes) -> None:
        story, random = self._house, self._random
        node = random.choice(STRANGERS)
        own = random.choice((f"{node}#0", f"{SEED}#0", "x"))
        story.wait(random.choice((0.0, 0.1, 5.0, 20.0)))
        if random.random() < 0.3:
            story.up(node, born=random.randrange(2))
        if random.random() < 0.05:
            story.down(node)
        at = Address(node)
        for read in (read_node_id, read_machine_a, read_models_a, read_topology_a, read_cards):
            with suppress(WireError):
                read(state)
        with suppress(WireError):
            placement = read_full_state(state)
            listed = (*placement.nodes, NodeId(own), NodeId(f"{SEED}#0"))
            fields = (placement.models, placement.index, placement.runners, placement.orphans)
            models, index, runners, orphans = fields
            story.tell(
                PlacementRead(
                    node=at, listed=listed, models=models, index=index, runners=runners,
                    orphans=orphans,
                )
            )  # fmt: skip
            machines = read_full_machines(listed, state)
            story.tell(CapacityRead(node=at, capacities=dict(machines.capacities)))
            story.tell(CardsRead(node=at, cards={each.model: () for each in models}))
        with suppress(WireError):
            story.tell(AddressesRead(node=at, addresses=read_state_addresses(state)))
        with suppress(WireError):
            read_addresses(state, state)
        with suppress(WireError):
            read_state(state, state, state, state, state)
        self._check()

    def _check(self) -> None:
        story, registry = self._house, self._house.machine.tables.registry
        assert told(story.ask("r", local_only=True)) == [f"start {SEED} m"]
        story.leave("r")
        check_index(registry)
        check_judgement(registry)
        check_clusters(registry)
        assert len(registry.nodes) <= MAX_NODES
        assert len(vars(registry.known)["_told"]) <= MAX_PAST_MODELS * MAX_PAST_NODES
        story.said.clear()
