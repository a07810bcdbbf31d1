"""The demo's nodes announce themselves as Exo's did, byte for byte, and meet each other."""

import json
import socket
import struct
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf._dns import DNSPointer, DNSText
from zeroconf._protocol.incoming import DNSIncoming

from exo_supervisor.demo import ExoNode
from exo_supervisor.demo.announce_a import AnnouncerA
from exo_supervisor.demo.announce_b import GROUP, PORT, AnnouncerB, answer, enumeration, query, read
from exo_supervisor.demo.links import links
from tests.ports import quiet_port

UDP = Path(__file__).parent.parent / "recordings/gen-a/cluster3/udp-received-by-supervisor.jsonl"
RECORDED = [json.loads(line) for line in UDP.read_text().splitlines()]


def node_a(node_id: str) -> ExoNode:
    node = ExoNode("A")
    node.node_id = node_id
    return node


def node_b(letter: str) -> ExoNode:
    node = ExoNode("B")
    node.node_id = "12D3KooW" + letter * 44
    return node


def test_a_datagram_of_generation_a_is_the_recorded_one() -> None:
    for line in RECORDED[:10]:
        node_id = json.loads(line["bytes"])["node_id"]
        assert AnnouncerA(node_a(node_id)).datagram("eth0") == line["bytes"].encode()


@pytest.mark.parametrize(
    ("interface", "priority", "kind"),
    [
        ("lo", 6, "Loopback"),
        ("docker0", 7, "Container Virtual"),
        ("wlp3s0", 3, "WiFi"),
        ("enp1s0", 4, "Ethernet"),
        ("tun0", 1, "External Virtual"),
        ("bond0", 2, "Other"),
    ],
)
def test_an_interface_has_the_rank_that_generation_a_gives_it(
    interface: str, priority: int, kind: str
) -> None:
    said = json.loads(AnnouncerA(node_a("a")).datagram(interface))
    assert (said["priority"], said["interface_type"]) == (priority, kind)


def test_the_interfaces_are_those_that_have_an_address() -> None:
    assert links(["lo"]) == {"lo": "127.0.0.1"}
    assert links(["nosuch0"]) == {}
    assert links()["lo"] == "127.0.0.1"


@pytest.mark.real_time
async def test_generation_a_sends_from_a_fresh_port_of_the_interface_and_hears_others() -> None:
    port = quiet_port(socket.SOCK_DGRAM)
    announcer = AnnouncerA(node_a("one"), interfaces=["lo"], port=port, every=0.02)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(announcer.run)
            await anyio.wait_all_tasks_blocked()
            for said in (b"\xff", b"[]", b"{}", AnnouncerA(node_a("two")).datagram("lo")):
                sender.sendto(said, ("127.0.0.1", port))
            with anyio.fail_after(60):
                await announcer.node.until(lambda: announcer.peers)
            assert announcer.peers == {"two": "127.0.0.1"}, "and not itself"
            tasks.cancel_scope.cancel()


@pytest.mark.real_time
async def test_generation_a_is_deaf_but_not_dumb_once_its_port_is_taken() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("0.0.0.0", 0))
        holder.settimeout(0)
        port = holder.getsockname()[1]
        announcer = AnnouncerA(node_a("one"), interfaces=["lo"], port=port, every=0.02)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(announcer.run)
            ports: set[int] = set()
            with anyio.fail_after(60):
                while len(ports) < 2:
                    await anyio.wait_readable(holder)
                    said, (source, sent_from) = holder.recvfrom(65_536)
                    assert (json.loads(said)["node_id"], source) == ("one", "127.0.0.1")
                    ports.add(sent_from)
            assert announcer.deaf
            tasks.cancel_scope.cancel()


def test_the_question_of_generation_b_is_33_bytes() -> None:
    asked = query(0xBEEF)
    assert asked == (
        b"\xbe\xef\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"
        b"\x04_p2p\x04_udp\x05local\x00\x00\x0c\x00\x01"
    )
    assert len(asked) == 33


def test_an_answer_of_generation_b_is_one_pointer_to_a_new_name_and_texts() -> None:
    """Read by another library than wrote it."""
    addresses = [f"/ip4/10.0.0.{n}/tcp/41355/p2p/12D3KooW" for n in (1, 2)]
    labels: set[str] = set()
    for _ in range(20):
        data = answer(7, addresses)
        assert struct.unpack_from("!6H", data) == (7, 0x8400, 0, 1, 0, 2)
        [pointer, *texts] = DNSIncoming(data).answers()
        assert isinstance(pointer, DNSPointer)
        assert (pointer.name, pointer.ttl, pointer.unique) == ("_p2p._udp.local.", 2500, False)
        for text, address in zip(texts, addresses, strict=True):
            assert isinstance(text, DNSText)
            assert (text.name, text.ttl, text.unique) == (pointer.alias, 2500, True)
            assert text.text[1:] == f"dnsaddr={address}".encode()
        labels.add(pointer.alias)
        assert 32 <= len(pointer.alias.removesuffix(".")) <= 63
        assert pointer.alias.removesuffix(".").isalnum(), "one label, at the root"
    assert len(labels) == 20


def test_the_list_of_services_names_the_one() -> None:
    [pointer] = DNSIncoming(enumeration(7)).answers()
    assert isinstance(pointer, DNSPointer)
    assert (pointer.name, pointer.alias) == ("_services._dns-sd._udp.local.", "_p2p._udp.local.")


def test_a_name_may_point_back_and_never_in_circles() -> None:
    name = b"\x04_udp\x05local\x00"
    head = struct.pack("!6H", 1, 0, 2, 0, 0, 0)
    asked = head + name + b"\0\x0c\0\1" + b"\x04_p2p\xc0\x0c" + b"\0\x0c\0\1"
    assert read(asked)[2] == [("_udp", "local"), ("_p2p", "_udp", "local")]
    for circle in (b"\xc0\x0c", b"\x01a\xc0\x0c", b"\xc0\x0e\xc0\x0c"):
        with pytest.raises(IndexError):
            read(head + circle + bytes(8))


@given(st.binary(max_size=120) | st.binary(max_size=60).map(lambda t: answer(1, ["x"])[:12] + t))
def test_no_packet_does_more_than_raise_what_is_caught(data: bytes) -> None:
    try:
        read(data)
    except (IndexError, struct.error, UnicodeDecodeError):
        return


@pytest.mark.real_time
async def test_nodes_of_generation_b_meet() -> None:
    one = AnnouncerB(node_b("Y"), interfaces=["lo"], listen_port=4001)
    two = AnnouncerB(node_b("Z"), interfaces=["lo"], listen_port=4002)
    async with anyio.create_task_group() as tasks:
        for each in (one, two):
            tasks.start_soon(each.run)
        with anyio.fail_after(60):
            await one.node.until(lambda: two.node.node_id in one.peers)
            await two.node.until(lambda: one.node.node_id in two.peers)
        tasks.cancel_scope.cancel()
    assert "/ip4/127.0.0.1/tcp/4002" in one.peers[two.node.node_id]
    assert one.node.node_id not in one.peers


@pytest.mark.real_time
async def test_generation_b_answers_whoever_asks_and_never_from_the_groups_port() -> None:
    announcer = AnnouncerB(node_b("X"), interfaces=["lo"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.settimeout(0)
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        ear.bind(("0.0.0.0", PORT))
        loopback = socket.inet_aton("127.0.0.1")
        ear.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, loopback)
        joined = socket.inet_aton(GROUP) + loopback
        ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(announcer.run)
            await anyio.wait_all_tasks_blocked()
            ear.sendto(query(0xABCD), (GROUP, PORT))
            with anyio.fail_after(60):
                while True:
                    await anyio.wait_readable(ear)
                    data, (_, port) = ear.recvfrom(9000)
                    identity, response, _, texts = read(data)
                    if response and identity == 0xABCD and any(b"X" * 44 in text for text in texts):
                        break
            assert port != PORT
            tasks.cancel_scope.cancel()
