"""Generation B is asked for ever more slowly, and believed as far as an address to look at."""

import json
import os
import shutil
import socket
import sys
from collections.abc import Sequence
from ipaddress import IPv4Address
from itertools import islice
from pathlib import Path

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from zeroconf._protocol.incoming import DNSIncoming
from zeroconf.asyncio import AsyncZeroconf

from exo_supervisor.core.events import Event, NodeSighted
from exo_supervisor.core.names import Address, NodeId
from exo_supervisor.demo import ExoNode
from exo_supervisor.demo.announce_b import GROUP, PORT, AnnouncerB, answer, query
from exo_supervisor.discovery.mdns import Claim, Mdns, questions
from exo_supervisor.discovery.mdns_group import Listener, read_claims
from exo_supervisor.discovery.throttle import MOST
from tests.discovery.house import HOUSE

PEER, OTHER = NodeId("12D3KooW" + "A" * 44), NodeId("12D3KooW" + "B" * 44)
LOOPBACK = "127.0.0.1"


def deaf(*ports: int, loopback: bool = False) -> Mdns:
    """Make a source that is only asked what it would say."""
    send, inbox = anyio.create_memory_object_stream[Event](8)
    send.close()
    inbox.close()
    return Mdns(send, ports or (52415,), HOUSE, loopback=loopback)


def claims(*addresses: str, who: NodeId = PEER) -> list[Claim]:
    return [(who, IPv4Address(address)) for address in addresses]


def sighted(address: str, who: NodeId = PEER) -> NodeSighted:
    url = f"http://{address}"
    return NodeSighted(node=Address(address), url=url, source="mdns", claimed=who)


def packet(*addresses: str, who: NodeId = PEER) -> bytes:
    return answer(0, [f"/ip4/{address}/tcp/41355/p2p/{who}" for address in addresses])


WHOLE = packet("192.168.1.7")


def read(data: bytes) -> list[Claim]:
    return read_claims(DNSIncoming(data).answers())


def test_the_questions_come_ever_more_slowly() -> None:
    """Each makes every libp2p program on the LAN send all that it has."""
    assert list(islice(questions(), 11)) == [0, 1, 2, 4, 8, 16, 32, 64, 120, 120, 120]


def test_an_answer_says_who_listens_on_which_addresses() -> None:
    assert read(packet(LOOPBACK, "192.168.1.7")) == claims(LOOPBACK, "192.168.1.7")


def test_a_text_of_another_name_than_the_answer_gives_is_not_believed() -> None:
    """It is an ordinary service's, which came in the same packet."""
    data = packet("192.168.1.7").replace(b"_p2p", b"_ipp")
    assert read(data) == []


def test_of_one_answer_so_many_addresses_count() -> None:
    assert len(read(packet(*[f"10.0.0.{n}" for n in range(40)]))) == 16


@given(st.data())
def test_no_packet_does_more_than_say_nothing(data: st.DataObject) -> None:
    whole = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    for _, ip in read(bytes(whole[:cut])):
        assert isinstance(ip, IPv4Address)


def test_a_peer_is_told_of_at_each_address_and_usual_port_a_docker_bridge_last() -> None:
    told = deaf(52415, 8000).hear(claims("172.17.0.1", LOOPBACK, "192.168.1.7"), 0.0)
    assert list(told) == [
        sighted("192.168.1.7:52415"),
        sighted("192.168.1.7:8000"),
        sighted("172.17.0.1:52415"),
        sighted("172.17.0.1:8000"),
    ]


def test_the_own_machine_is_told_of_only_if_asked_for() -> None:
    assert list(deaf().hear(claims(LOOPBACK), 0.0)) == []
    assert list(deaf(loopback=True).hear(claims(LOOPBACK), 0.0)) == [sighted("127.0.0.1:52415")]


@pytest.mark.parametrize("outside", ["8.8.8.8", "224.0.0.1", "0.0.0.0", "255.255.255.255"])
def test_an_address_outside_the_house_is_not_believed(outside: str) -> None:
    assert list(deaf().hear(claims(outside), 0.0)) == []


def test_a_peer_is_repeated_slowly_and_a_new_one_at_its_address_told_at_once() -> None:
    """Exo has a new id at every start, and nothing else says that the old one is gone."""
    mdns = deaf()
    ours = claims("192.168.1.7")
    assert [len(list(mdns.hear(ours, now))) for now in (0.0, 29.9, 30.0)] == [1, 0, 1]
    told = mdns.hear(claims("192.168.1.7", who=OTHER), 30.0)
    assert list(told) == [sighted("192.168.1.7:52415", OTHER)]


def test_a_flood_of_peers_is_remembered_within_a_bound() -> None:
    mdns = deaf()
    flood = [claims(f"10.0.{n // 250}.{n % 250}") for n in range(5000)]
    assert all(list(mdns.hear(each, 0.0)) for each in flood)
    assert not any(list(mdns.hear(each, 1.0)) for each in flood[-MOST:])


@pytest.mark.real_time
async def test_the_library_is_left_with_nothing_to_remember() -> None:
    """Each answer has a new name; remembered for 2500 s they would grow without end."""
    send, heard = anyio.create_memory_object_stream[list[Claim]](100)
    group = AsyncZeroconf(interfaces=[LOOPBACK])
    try:
        await group.zeroconf.async_wait_for_start()
        group.zeroconf.async_add_listener(Listener(send), None)
        manager = group.zeroconf.record_manager
        for _ in range(120):
            manager.async_updates_from_response(DNSIncoming(packet("10.0.0.1")))
            manager.async_updates_from_response(DNSIncoming(packet("10.0.0.1") * 2))
        assert group.zeroconf.cache.names() == []
        assert heard.statistics().current_buffer_used == 100, "a flood drops, and blocks nobody"
    finally:
        send.close()
        heard.close()
        await group.async_close()


async def until_told(inbox: MemoryObjectReceiveStream[Event], who: str) -> NodeSighted:
    """Receive until somebody is told of; other programs on this machine may answer too."""
    with anyio.fail_after(60):
        async for event in inbox:
            assert isinstance(event, NodeSighted)
            if event.claimed == who:
                return event
    raise AssertionError


@pytest.mark.real_time
@pytest.mark.parametrize("node_first", [True, False])
async def test_a_node_is_found_in_either_order(*, node_first: bool) -> None:
    send, inbox = anyio.create_memory_object_stream[Event](64)
    node = ExoNode("B")
    node.node_id = "12D3KooW" + ("C" if node_first else "D") * 44
    mdns = Mdns(send, [52415], HOUSE, interfaces=["lo"], loopback=True)
    announcer = AnnouncerB(node, interfaces=["lo"])
    order = (announcer, mdns) if node_first else (mdns, announcer)
    with send, inbox:
        async with anyio.create_task_group() as tasks:
            for each in order:
                tasks.start_soon(each.run)
                await anyio.wait_all_tasks_blocked()
            told = await until_told(inbox, node.node_id)
            assert told.node.endswith(":52415")
            tasks.cancel_scope.cancel()


def member(address: str = LOOPBACK) -> socket.socket:
    """Make one more member of the group, which hears all that is said on an interface."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.settimeout(0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("0.0.0.0", PORT))
    link = socket.inet_aton(address)
    listener.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, link)
    listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + link)
    return listener


@pytest.mark.real_time
async def test_it_asks_exactly_one_thing_and_never_answers() -> None:
    """Exo dials whatever answers for its service name."""
    send, inbox = anyio.create_memory_object_stream[Event](64)
    others = b"\x09_services\x07_dns-sd\x04_udp\x05local\x00"
    asked: list[bytes] = []
    with send, inbox, member() as listener, member() as asker:
        async with anyio.create_task_group() as tasks, anyio.create_task_group():
            tasks.start_soon(Mdns(send, [52415], HOUSE, interfaces=["lo"], loopback=True).run)
            with anyio.fail_after(60):
                while len(asked) < 2:
                    await anyio.wait_readable(listener)
                    data, (_, port) = listener.recvfrom(9000)
                    if port == PORT and data[:2] == b"\0\0":
                        asked.append(data)
                        asker.sendto(query(7), (GROUP, PORT))
                        asker.sendto(query(7)[:12] + others + b"\0\x0c\0\x01", (GROUP, PORT))
            tasks.cancel_scope.cancel()
    assert set(asked) == {query(0)}


@pytest.mark.real_time
async def test_hostile_packets_hide_no_node() -> None:
    send, inbox = anyio.create_memory_object_stream[Event](64)
    who = NodeId("12D3KooW" + "E" * 44)
    good = packet(LOOPBACK, who=who)
    with send, inbox, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((LOOPBACK, 0))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Mdns(send, [1], HOUSE, interfaces=["lo"], loopback=True).run)
            await anyio.wait_all_tasks_blocked()
            for bad in (b"", b"\xff" * 9000, good[:40], bytes(12), good[:12] + b"\xc0\x0c" * 40):
                sender.sendto(bad, (GROUP, PORT))
            sender.sendto(good, (GROUP, PORT))
            assert (await until_told(inbox, who)).node == "127.0.0.1:1"
            tasks.cancel_scope.cancel()


@pytest.mark.real_time
async def test_without_a_network_it_says_so_once_and_waits() -> None:
    send, inbox = anyio.create_memory_object_stream[Event](8)
    mdns = Mdns(send, [52415], HOUSE, interfaces=["nosuch0"], look=0.01)
    with send, inbox, capture_logs() as logs, anyio.move_on_after(0.1):
        await mdns.run()
    assert [line["event"] for line in logs] == ["mdns_unavailable"]
    assert "no interface" in (mdns.why_quiet or "")


async def asked_from(node: socket.socket, address: str) -> None:
    """Wait for the question on an interface, which only a socket of its own can send."""
    with anyio.fail_after(60):
        while True:
            await anyio.wait_readable(node)
            if node.recvfrom(9000) == (query(0), (address, PORT)):
                return


async def _plug(words: Sequence[str]) -> None:
    await anyio.run_process(["ip", *words])


async def interfaces_come_and_go() -> list[str | None]:
    """Run on a machine without a network: plug one in, unplug it, plug in another."""
    send, inbox = anyio.create_memory_object_stream[Event](64)
    seen: list[str | None] = []
    mdns = Mdns(send, [52415], HOUSE, look=0.05)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(mdns.run)
        await anyio.wait_all_tasks_blocked()
        seen.append(mdns.why_quiet)
        for n in (1, 2):
            await _plug(["link", "add", "v0", "type", "veth", "peer", "name", "v1"])
            await _plug(["addr", "add", f"10.9.{n}.1/24", "dev", "v0"])
            await _plug(["link", "set", "v1", "up"])
            await _plug(["link", "set", "v0", "up"])
            who = NodeId("12D3KooW" + "FG"[n - 1] * 44)
            with member(f"10.9.{n}.1") as node:
                await asked_from(node, f"10.9.{n}.1")
                node.sendto(packet(f"10.9.{n}.1", who=who), (GROUP, PORT))
                seen.append((await until_told(inbox, who)).node)
            await _plug(["link", "del", "v0"])
        tasks.cancel_scope.cancel()
    return seen


@pytest.mark.real_time
@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"),
    reason="a machine of its own to plug interfaces into takes root, unshare and ip",
)
async def test_interfaces_may_come_and_go() -> None:
    command = ["unshare", "--net", sys.executable, "-m", "tests.discovery.test_mdns"]
    with anyio.fail_after(60):
        ran = await anyio.run_process(command, cwd=Path(__file__).parents[2], stderr=None)
    quiet, *nodes = json.loads(ran.stdout.splitlines()[-1])
    assert quiet.startswith("no interface")
    assert nodes == ["10.9.1.1:52415", "10.9.2.1:52415"]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(anyio.run(interfaces_come_and_go)) + "\n")
