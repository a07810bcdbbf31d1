"""Whatever the LAN says, we look at our own links and the ranges only, at a bounded rate."""

import json
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address
from typing import Any
from urllib.parse import urlsplit

import anyio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from structlog.testing import capture_logs
from trio.testing import MockClock
from zeroconf._protocol.incoming import DNSIncoming

from exo_supervisor.app.policy import policy_of
from exo_supervisor.app.sources import crawl_points
from exo_supervisor.config.read import read
from exo_supervisor.core.effects import Effect, ReadPlacement, UnwatchNode, WatchNode
from exo_supervisor.core.events import Event, NodeSighted
from exo_supervisor.core.fleet.unverified import HOLD, MAX_UNVERIFIED, Unverified
from exo_supervisor.core.house import in_the_house
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address
from exo_supervisor.demo.announce_b import answer
from exo_supervisor.discovery.address_lookup import AddressLookup
from exo_supervisor.discovery.allowed_networks import AllowedNetworks
from exo_supervisor.discovery.broadcast import Broadcast
from exo_supervisor.discovery.crawl import Crawl, CrawlPoint
from exo_supervisor.discovery.hello_protocol import HelloProtocol
from exo_supervisor.discovery.mdns import Mdns
from exo_supervisor.discovery.mdns_group import read_claims
from exo_supervisor.discovery.namespaces import Namespaces
from exo_supervisor.discovery.neighbours import Link, Neighbour
from exo_supervisor.discovery.static import Static
from exo_supervisor.discovery.throttle import MOST
from exo_supervisor.fleet_io.health import UNPROVEN_AT_ONCE, Health
from exo_supervisor.runtime.conductor import Conductor
from exo_supervisor.runtime.fetch import NO_HEADERS
from exo_supervisor.wire.exo.identity import HttpAnswer
from tests.discovery.house import on_links
from tests.fleet_io.reads import reads
from tests.runtime.fake_get import FakeGet
from tests.runtime.timing import virtual

OWN, RANGE = IPv4Network("10.0.0.0/24"), IPv4Network("203.0.113.0/24")
SEED, STRANGER = IPv4Address("192.168.5.5"), IPv4Address("10.0.0.9")
SEED_ID, STRANGER_ID = "5eed", "bad"
PEER = "12D3KooW" + "A" * 44
NONCE = b"n" * 8
MAC, FE80 = b"\2\0\0\0\0\2", IPv6Address("fe80::2")
NOWHERE = Link(999_999, "eth9", (IPv4Interface("192.0.2.1/24"),), (IPv6Address("fe80::1"),))
"""A link that no machine has, so that nothing is sent there."""


class Border(FakeGet):
    """The network's border: who was not told to answer is silent, and each GET is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.most = self._open = 0

    async def __call__(
        self,
        url: str,
        *,
        timeout: float,  # noqa: ASYNC109 - see Get
        limit: int,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> HttpAnswer:
        self._open += 1
        self.most = max(self.most, self._open)
        if url not in self.answers:
            self.delays[url] = 60.0
        try:
            return await super().__call__(url, timeout=timeout, limit=limit, headers=headers)
        finally:
            self._open -= 1

    def is_exo(self, ip: IPv4Address, node_id: str, tells: Sequence[IPv4Address] = ()) -> None:
        """Let a node of generation C be there, whose state tells of these addresses."""
        faces = {"x": {"interfaces": [{"ipAddress": str(each)} for each in tells]}}
        edges = [{"sinkMultiaddr": {"address": f"/ip4/{each}/tcp/52416"}} for each in tells]
        says: dict[str, Any] = {
            "/node_id": node_id,
            "/state/nodeNetwork": faces,
            "/state/topology": {"nodes": [node_id], "connections": {node_id: {"y": edges}}},
            "/state/instances": {},
            "/state/runners": {},
            "/state/lastEventAppliedIdx": 7,
            "/v1/models": {"data": []},
        }
        for path, body in says.items():
            self.say(f"http://{ip}:52415{path}", json.dumps(body))

    def spoil(self, url: str, change: "Change") -> None:
        """Change the bytes of an answer."""
        told = self.answers[url]
        assert isinstance(told, HttpAnswer)
        self.answers[url] = HttpAnswer(told.status, change.of(told.body))

    def hosts(self) -> Counter[IPv4Address]:
        """Count who was asked, and how often."""
        return Counter(IPv4Address(urlsplit(url).hostname or "") for _, url in self.asked)


class House:
    """Crawl, conductor and health as the service joins them, before a fake border."""

    def __init__(
        self,
        get: Border,
        allowed: AllowedNetworks,
        *seeds: IPv4Address,
        unproven: int = MAX_UNVERIFIED,
        at_once: int = UNPROVEN_AT_ONCE,
    ) -> None:
        urls = [f"http://{each}:52415" for each in seeds]
        text = f"[discovery]\nstatic = {json.dumps(urls)}\n"
        self.machine = Machine(policy_of(read(text, file="t", environ={}).config, {}), 0.0)
        self.machine.tables.registry.unverified = Unverified(unproven)
        self._send, self._inbox = anyio.create_memory_object_stream[Event](1024)
        self._health: Health
        self._border, self._at_once = get, at_once
        self.crawl = Crawl(get, self._send, self._points, [52415], allowed)
        self._static = Static(self._send, self.machine.tables.policy.seeds)
        self._conductor = Conductor(
            self.machine, self._inbox, self._perform, beat=lambda: None, idle=30.0
        )

    def _points(self) -> list[CrawlPoint]:
        return crawl_points(self.machine, self.crawl.rooted)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case WatchNode():
                self._health.watch(effect)
            case UnwatchNode():
                self._health.unwatch(effect)
            case ReadPlacement():
                self._health.read(effect)
            case _:
                pass

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        with self._send, self._inbox:
            async with anyio.create_task_group() as tasks:
                self._health = Health(
                    *reads(self._border), self._conductor.hear, virtual(),
                    interval=5.0, timeout=2.0, unproven_at_once=self._at_once,
                )  # fmt: skip
                for each in (self._conductor, self._health, self._static, self.crawl):
                    tasks.start_soon(each.run)
                yield
                tasks.cancel_scope.cancel()

    async def tell(self, events: Iterable[NodeSighted]) -> None:
        for event in events:
            await self._send.send(event)


def within(network: IPv4Network) -> st.SearchStrategy[IPv4Address]:
    return st.ip_addresses(v=4, network=network).map(lambda ip: IPv4Address(str(ip)))


FAR = IPv4Network("172.16.0.0/12")
NAMED = IPv4Network("192.168.0.0/16")
"""What only the seed tells of: a private network that is none of ours."""
anywhere = st.one_of(
    st.ip_addresses(v=4).filter(lambda ip: ip not in NAMED), *map(within, (OWN, RANGE, FAR))
)
some = st.lists(anywhere, max_size=4)


class Change(Struct, frozen=True):
    """A change of some bytes of a message, and a cut at times."""

    places: list[tuple[int, int]]
    cut: int | None

    def of(self, whole: bytes) -> bytes:
        data = bytearray(whole)
        for place, value in self.places:
            data[place % len(data)] = value
        return bytes(data if self.cut is None else data[: self.cut % len(data)])


changed = st.builds(
    Change,
    places=st.lists(st.tuples(st.integers(0, 999), st.integers(0, 255)), max_size=3),
    cut=st.none() | st.integers(0, 999),
)


def legacy(node_id: str) -> bytes:
    machine = {"model": "m", "chip": "c", "memory": 1}
    said = {"type": "discovery", "node_id": node_id, "grpc_port": 1}
    return json.dumps({**said, "device_capabilities": machine}).encode()


class Hostile(Struct, frozen=True):
    """One thing that each source hears; `shares` has the hardware address of who said the last."""

    legacy: list[tuple[IPv4Address, Change]]
    mdns: tuple[list[IPv4Address], Change]
    whats_up: tuple[bytes, Change]
    shares: list[IPv4Address]


hostile = st.builds(
    Hostile,
    legacy=st.lists(st.tuples(anywhere, changed), max_size=4),
    mdns=st.tuples(some, changed),
    whats_up=st.tuples(st.binary(min_size=18, max_size=18), changed),
    shares=some,
)


async def hear(house: House, said: Hostile, allowed: AllowedNetworks) -> None:
    """Let every source hear something hostile, and hand on what it makes of it."""
    now = anyio.current_time()
    broadcast, mdns = deaf_sources(allowed)
    for source, change in said.legacy:
        await house.tell(broadcast.hear(change.of(legacy("a")), str(source), now))
    listed, change = said.mdns
    packet = answer(0, [f"/ip4/{ip}/tcp/41355/p2p/{PEER}" for ip in listed])
    await house.tell(mdns.hear(read_claims(DNSIncoming(change.of(packet)).answers()), now))
    neighbours = [Neighbour(NOWHERE.index, ip, MAC) for ip in (FE80, *said.shares)]
    lookup = AddressLookup([52415], house.crawl.addresses, allowed, neighbours=lambda: neighbours)
    talk = HelloProtocol(Namespaces([]))
    talk.question(NONCE, now)
    rest, change = said.whats_up
    answered = talk.answer(change.of(b"EXO\1" + NONCE + rest), FE80, now)
    if answered is not None:
        found = await lookup.find(answered.node_id, FE80, NOWHERE)
        await house.tell(NodeSighted(node=a, url=f"http://{a}", source="c") for a in found)


def deaf_sources(allowed: AllowedNetworks, remembered: int = MOST) -> tuple[Broadcast, Mdns]:
    """Make sources that are only asked what they would say."""
    send, inbox = anyio.create_memory_object_stream[Event](1)
    send.close()
    inbox.close()
    return Broadcast(send, [52415], allowed, remembered=remembered), Mdns(send, [52415], allowed)


@settings(max_examples=15, phases=[Phase.generate])  # to shrink a failure takes minutes
@given(
    said=st.tuples(hostile, hostile),
    named=st.lists(st.one_of(within(NAMED), anywhere), max_size=6),
    told=some,
    change=st.none() | changed,
)
def test_nothing_that_is_heard_leads_out_of_our_own_links_and_the_ranges(
    said: tuple[Hostile, Hostile],
    named: list[IPv4Address],
    told: list[IPv4Address],
    change: Change | None,
) -> None:
    """But for a seed's own word, which leads to any private address."""

    async def story() -> Border:
        border = Border()
        border.is_exo(SEED, SEED_ID, named)
        border.is_exo(STRANGER, STRANGER_ID, told)
        if change is not None:
            border.spoil(f"http://{STRANGER}:52415/state/topology", change)
        allowed = on_links(str(OWN), ranges=[str(RANGE)])
        house = House(border, allowed, SEED)
        async with house.open():
            stranger = Address(f"{STRANGER}:52415")
            await house.tell([NodeSighted(node=stranger, url=f"http://{stranger}", source="x")])
            for each in said:
                await hear(house, each, allowed)
                await anyio.sleep(40)
        return border

    with capture_logs():
        border = anyio.run(
            story, backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)}
        )
    hosts = border.hosts()
    spoke = {source for each in said for source, _ in each.legacy}
    for ip in hosts:
        near = ip in RANGE or (ip in OWN and in_the_house(ip))
        near = near or (
            ip.is_loopback and ip in spoke
        )  # only this very machine can send from there
        assert near or ip == SEED or (ip in named and in_the_house(ip)), ip
    assert hosts[SEED]
    assert all(hosts[ip] for ip in named if in_the_house(ip)), "a seed's word is followed"


async def test_a_flood_of_spoofed_nodes_is_bounded_and_a_real_one_gets_in() -> None:
    """On a link as wide as 10/8, where every source is one of our own network.

    All is a sixteenth of its size: what is remembered, asked at once, and comes in.
    """
    most, at_once, burst = MAX_UNVERIFIED // 16, UNPROVEN_AT_ONCE // 16, 64 // 16
    border, allowed = Border(), on_links("10.0.0.0/8")
    house = House(border, allowed, unproven=most, at_once=at_once)
    broadcast, _ = deaf_sources(allowed, MOST // 16)
    real, datagram = IPv4Address("10.200.0.7"), legacy("real")
    found: list[float] = []
    nodes = house.machine.tables.registry.nodes
    with capture_logs() as logs:
        async with house.open():
            for n in range(640):  # what the source takes in at most, each tenth of a second
                now = anyio.current_time()
                await house.tell(broadcast.hear(legacy("x"), f"10.1.{n // 250}.{n % 250}", now))
                if n == 180:
                    border.is_exo(real, "4ea1")
                if n > 180 and n % 100 == 0:  # each 2.5 s
                    await house.tell(broadcast.hear(datagram, str(real), now))
                if n % burst == burst - 1:
                    await anyio.sleep(0.1)
                if not found and f"{real}:52415" in nodes and nodes[Address(f"{real}:52415")].up:
                    found.append(now)
                assert len(nodes) <= most + 1
            flooded = anyio.current_time()
            await anyio.sleep(300)
        assert found[0] <= 5.0 + 10.0, "it was told of at 5.0 s for the first time"
        assert nodes[Address(f"{real}:52415")].up
    spoofed = [at for at, url in border.asked if str(real) not in url]
    assert at_once <= border.most <= at_once + 1
    during = sum(at < flooded for at in spoofed)
    assert during <= 3 * most * (1 + flooded / HOLD)
    after = sum(at >= flooded + 200 for at in spoofed)
    assert after / 100 <= most / 30 + 1, "a look at each every half minute"
    assert sum(line["log_level"] == "info" for line in logs) < 200
