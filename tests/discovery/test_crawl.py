"""One known node leads to the others of its cluster, and to nothing outside the house."""

import json
from ipaddress import IPv4Address

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.events import Event, NodeSighted
from exo_supervisor.core.names import Address, NodeId
from exo_supervisor.discovery.allowed_networks import AllowedNetworks
from exo_supervisor.discovery.crawl import Crawl, CrawlPoint, candidates
from exo_supervisor.runtime.fetch import GetError
from tests.discovery.house import HOUSE, on_links
from tests.runtime.fake_get import FakeGet, note

URL = "http://10.0.0.1:52415"
POINT = CrawlPoint(URL, state_paths=True, seeded=True, trusted=True)
N = NodeId("n")


def network(*ips: str) -> bytes:
    faces = [{"name": "eth0", "ipAddress": ip} for ip in ips]
    return json.dumps({"n": {"interfaces": faces}}).encode()


def topology(*edges: str) -> bytes:
    sinks = [{"sinkMultiaddr": {"address": edge}} for edge in edges]
    return json.dumps({"nodes": ["n"], "connections": {"m": {"n": sinks}}}).encode()


def tells(get: FakeGet, ips: list[str], edges: list[str] | None = None, url: str = URL) -> None:
    get.say(f"{url}/state/nodeNetwork", network(*ips))
    get.say(f"{url}/state/topology", topology(*(edges or [])))


class Crawling:
    """A crawl in virtual time; what it tells of is noted with its instant."""

    def __init__(self, get: FakeGet, *points: CrawlPoint, allowed: AllowedNetworks = HOUSE) -> None:
        self.get, self.points, self.allowed = get, list(points), allowed
        self.told: list[tuple[float, Event]] = []

    async def last(self, seconds: float, also: float | None = None) -> list[tuple[float, str]]:
        """Crawl for so long; at the instant `also`, the first cluster becomes known."""
        send, inbox = anyio.create_memory_object_stream[Event](8)
        self.crawl = crawl = Crawl(self.get, send, lambda: self.points, [52415], self.allowed)

        async with send, inbox, anyio.create_task_group() as tasks:
            tasks.start_soon(note, inbox, self.told)
            tasks.start_soon(crawl.run)
            if also is not None:
                await anyio.sleep(also)
                self.points.append(POINT)
                seconds -= also
            await anyio.sleep(seconds)
            tasks.cancel_scope.cancel()
        return [(at, event.node) for at, event in self.told if isinstance(event, NodeSighted)]


async def test_a_cluster_is_asked_after_a_second_and_every_thirty() -> None:
    get = FakeGet()
    tells(get, ["10.0.0.2"], ["/ip4/10.0.0.3/tcp/8000"])
    crawling = Crawling(get, POINT)
    assert await crawling.last(62.0) == [(1.0, "10.0.0.3:8000")]
    assert crawling.told[1][1] == NodeSighted(
        node=Address("10.0.0.3:8000"), url="http://10.0.0.3:8000", source="crawl"
    )
    asked = [(at, url.removeprefix(URL)) for at, url in get.asked]
    paths = ("/state/nodeNetwork", "/state/topology")
    assert asked == [(at, path) for at in (1.0, 31.0, 61.0) for path in paths]


async def test_until_a_cluster_is_known_it_is_looked_for_every_second() -> None:
    get = FakeGet()
    tells(get, ["10.0.0.2"])
    assert await Crawling(get).last(10.0, also=3.5) == [(4.0, "10.0.0.2:52415")]


async def test_an_old_node_is_asked_for_its_whole_state() -> None:
    get = FakeGet()
    state = b'{"topology":' + topology("/ip4/10.0.0.3/tcp/52415") + b',"tasks":{"t":"prompt"}}'
    get.say(f"{URL}/state", state)
    old = CrawlPoint(URL, state_paths=False, seeded=False)
    assert await Crawling(get, old).last(5.0) == [(1.0, "10.0.0.3:52415")]
    assert [url for _, url in get.asked] == [f"{URL}/state"]


async def test_an_address_is_told_of_again_before_it_would_be_forgotten() -> None:
    get = FakeGet()
    tells(get, ["10.0.0.2"])
    told = await Crawling(get, POINT).last(610.0)
    assert [at for at, _ in told] == [1.0, 301.0, 601.0]


async def test_a_flood_of_addresses_is_told_of_in_portions() -> None:
    get = FakeGet()
    state = {str(n): {"interfaces": [{"ipAddress": f"10.1.0.{n}"}]} for n in range(1, 151)}
    get.say(f"{URL}/state/nodeNetwork", json.dumps(state).encode())
    get.say(f"{URL}/state/topology", b"{}")
    told = await Crawling(get, POINT).last(100.0)
    assert [[at for at, _ in told].count(at) for at in (1.0, 31.0, 61.0, 91.0)] == [64, 64, 22, 0]


async def test_who_was_named_by_a_person_is_heard_before_a_stranger_in_a_flood() -> None:
    get = FakeGet()
    tells(get, [f"10.2.0.{n}" for n in range(1, 65)], url="http://10.9.9.9:1")
    tells(get, ["10.0.0.2"])
    stranger = CrawlPoint("http://10.9.9.9:1", state_paths=True, seeded=False)
    told = await Crawling(get, stranger, POINT).last(2.0)
    assert told[0] == (1.0, "10.0.0.2:52415")
    assert len(told) == 64


@pytest.mark.parametrize("trouble", ["get", "status", "shape"])
async def test_a_cluster_that_does_not_tell_hinders_no_other(trouble: str) -> None:
    get = FakeGet()
    tells(get, ["10.0.0.2"], url="http://10.9.9.9:1")
    if trouble == "get":
        get.answers[f"{URL}/state/nodeNetwork"] = GetError("timeout")
    elif trouble == "shape":
        tells(get, [])
        get.say(f"{URL}/state/nodeNetwork", b"[" * 100_000)
    other = CrawlPoint("http://10.9.9.9:1", state_paths=True, seeded=False)
    assert await Crawling(get, POINT, other).last(2.0) == [(1.0, "10.0.0.2:52415")]


OWN = on_links("10.0.0.0/24", ranges=["172.30.0.0/16"])
STRANGER = CrawlPoint("http://10.0.0.9:52415", state_paths=True, seeded=False)
FAR = ["192.168.7.7", "10.0.0.2", "172.30.1.1", "8.8.8.8"]


async def test_a_stranger_leads_to_our_own_links_and_to_the_ranges_only() -> None:
    get = FakeGet()
    tells(get, FAR, url=STRANGER.url)
    crawling = Crawling(get, STRANGER, allowed=OWN)
    told = await crawling.last(2.0)
    assert [node for _, node in told] == ["10.0.0.2:52415", "172.30.1.1:52415"]
    assert crawling.crawl.addresses(N) == ("10.0.0.2", "172.30.1.1")


async def test_a_seed_leads_to_any_private_address() -> None:
    get = FakeGet()
    tells(get, FAR)
    crawling = Crawling(get, POINT, allowed=OWN)
    told = await crawling.last(2.0)
    assert [node for _, node in told] == [f"{ip}:52415" for ip in FAR[:3]]
    assert crawling.crawl.addresses(N) == (*FAR[:3],)


async def test_who_was_named_by_a_seed_leads_on_and_who_was_not_does_not() -> None:
    get = FakeGet()
    heir = CrawlPoint("http://192.168.7.7:52415", state_paths=True, seeded=False)
    tells(get, ["192.168.7.7"])
    tells(get, ["192.168.8.8"], url=heir.url)
    tells(get, ["192.168.9.9"], url=STRANGER.url)
    crawling = Crawling(get, POINT, STRANGER, heir, allowed=OWN)
    told = await crawling.last(2.0)
    assert told == [(1.0, "192.168.7.7:52415"), (1.0, "192.168.8.8:52415")]


async def test_without_its_seed_a_node_leads_nowhere_far() -> None:
    get = FakeGet()
    far = CrawlPoint("http://192.168.7.7:52415", state_paths=True, seeded=False)
    tells(get, ["192.168.8.8"], url=far.url)
    assert await Crawling(get, far, allowed=OWN).last(2.0) == []


async def test_a_stranger_cannot_take_the_place_of_what_a_seed_told() -> None:
    get = FakeGet()
    tells(get, ["192.168.7.7"])
    tells(get, ["10.0.0.66"], url=STRANGER.url)
    crawling = Crawling(get, POINT, STRANGER, allowed=OWN)
    await crawling.last(2.0)
    assert crawling.crawl.addresses(N) == ("192.168.7.7",)


def listed(*told: str, loopback: bool = False, ports: tuple[int, ...] = (52415,)) -> list[str]:
    """List the candidates where each address is told of a node of its own."""
    nodes = {NodeId(str(place)): (text,) for place, text in enumerate(told)}

    def allowed(ip: IPv4Address) -> bool:
        return (loopback and ip.is_loopback) or HOUSE.allows(ip)

    return list(candidates(nodes, ports, allowed))


def test_tried_addresses_come_first_and_interfaces_are_tried_at_each_usual_port() -> None:
    assert listed("192.168.1.2", "10.0.0.3:9000", ports=(52415, 8000)) == [
        "10.0.0.3:9000",
        "192.168.1.2:52415",
        "192.168.1.2:8000",
    ]


def test_interfaces_of_a_node_that_another_one_reached_are_left_alone() -> None:
    told = {N: ("10.0.0.3:9000", "192.168.1.2"), NodeId("m"): ("127.0.0.1:1", "10.0.0.4")}
    assert list(candidates(told, [52415], HOUSE.allows)) == ["10.0.0.3:9000", "10.0.0.4:52415"]


def test_link_local_addresses_come_last() -> None:
    told = ("169.254.0.5:52415", "169.254.0.6", "10.0.0.2", "100.64.0.1")
    assert listed(*told) == [
        "10.0.0.2:52415",
        "100.64.0.1:52415",
        "169.254.0.5:52415",
        "169.254.0.6:52415",
    ]


def test_dockers_bridge_counts_only_where_a_node_reached_another_on_it() -> None:
    assert listed("172.17.0.2", "172.18.0.2", "172.17.0.3:52415") == [
        "172.17.0.3:52415",
        "172.18.0.2:52415",
    ]


def test_loopback_counts_only_where_the_asked_node_is_on_it() -> None:
    assert listed("127.0.0.1", "127.0.0.1:52416") == []
    assert listed("127.0.0.1", "127.0.0.1:52416", loopback=True) == ["127.0.0.1:52416"]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:52415", 1),
        ("http://localhost:52415", 1),
        ("http://10.0.0.1:52415", 0),
        ("http://127.0.0.1.evil.test:52415", 0),
    ],
)
async def test_where_the_asked_node_is_decides_about_loopback(url: str, told: int) -> None:
    get = FakeGet()
    tells(get, [], ["/ip4/127.0.0.1/tcp/52416"], url=url)
    point = CrawlPoint(url, state_paths=True, seeded=True, trusted=True)
    assert len(await Crawling(get, point).last(2.0)) == told


@pytest.mark.parametrize(
    "ip",
    ["8.8.8.8", "1.1.1.1:52415", "100.128.0.1", "172.32.0.1", "192.169.0.1", "198.18.0.1"],
)
def test_nothing_outside_the_house_is_looked_at(ip: str) -> None:
    assert listed(ip) == []


@given(st.lists(st.ip_addresses(v=4).map(str)), st.booleans())
def test_every_candidate_is_private(ips: list[str], loopback: bool) -> None:  # noqa: FBT001
    for address in listed(*ips, loopback=loopback):
        first, second, *_ = (int(part) for part in address.partition(":")[0].split("."))
        assert (
            first == 10
            or (first == 172 and 16 <= second < 32 and second != 17)
            or (first == 192 and second == 168)
            or (first == 100 and 64 <= second < 128)
            or (first == 169 and second == 254)
            or (first == 127 and loopback)
        )
