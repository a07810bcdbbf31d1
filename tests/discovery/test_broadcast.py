"""Announcements of generation A lead to their sources; whatever else comes costs nothing."""

import json
import os
import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Literal

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from exo_supervisor.core.events import Event, NodeSighted
from exo_supervisor.core.names import Address
from exo_supervisor.demo import ExoNode
from exo_supervisor.demo.announce_a import AnnouncerA
from exo_supervisor.discovery.broadcast import Broadcast
from exo_supervisor.discovery.raw import open_raw
from exo_supervisor.discovery.throttle import MOST
from tests.budget import EVER
from tests.discovery.house import HOUSE
from tests.ports import quiet_port

UDP = Path(__file__).parent.parent / "recordings/gen-a/cluster3/udp-received-by-supervisor.jsonl"
RECORDED = [json.loads(line) for line in UDP.read_text().splitlines()]
DATAGRAM: bytes = RECORDED[0]["bytes"].encode()


def deaf(*ports: int) -> Broadcast:
    """Make a broadcast that is only asked what it would say."""
    send, inbox = anyio.create_memory_object_stream[Event](8)
    send.close()
    inbox.close()
    return Broadcast(send, ports or (52415,), HOUSE)


def sighted(address: str) -> NodeSighted:
    return NodeSighted(node=Address(address), url=f"http://{address}", source="broadcast")


def test_a_recorded_lan_is_told_of_node_by_node_and_repeated_slowly() -> None:
    broadcast = deaf()
    told = [
        (line["t"], event.node)
        for line in RECORDED
        for event in broadcast.hear(line["bytes"].encode(), line["from"][0], line["t"])
    ]
    assert {node for _, node in told} == {f"10.77.0.{n}:52415" for n in (1, 2, 3)}
    for node in {node for _, node in told}:
        times = [at for at, each in told if each == node]
        assert all(later - at >= 30.0 for at, later in pairwise(times))


def test_every_usual_port_is_worth_a_look() -> None:
    told = deaf(52415, 8000).hear(DATAGRAM, "192.168.1.7", 0.0)
    assert told == [sighted("192.168.1.7:52415"), sighted("192.168.1.7:8000")]


@pytest.mark.parametrize("source", ["8.8.8.8", "224.0.0.1", "0.0.0.0", "255.255.255.255"])
def test_a_source_outside_the_house_is_not_believed(source: str) -> None:
    assert deaf().hear(DATAGRAM, source, 0.0) == []


def test_a_flood_of_sources_is_remembered_within_a_bound() -> None:
    broadcast = deaf()
    for n in range(5000):
        assert broadcast.hear(DATAGRAM, f"10.0.{n // 250}.{n % 250}", 0.0)
    repeated = sum(
        bool(broadcast.hear(DATAGRAM, f"10.0.{n // 250}.{n % 250}", 1.0))
        for n in range(5000 - MOST, 5000)
    )
    assert repeated == 0


@given(st.binary() | st.binary().map(lambda tail: DATAGRAM[:-1] + tail), st.ip_addresses(v=4))
def test_no_datagram_does_more_than_be_counted(datagram: bytes, source: object) -> None:
    for event in deaf().hear(datagram, str(source), 0.0):
        assert event.node == f"{source}:52415"


def test_bad_datagrams_are_counted_in_one_line_a_minute_that_repeats_none() -> None:
    broadcast = deaf()
    with capture_logs() as logs:
        for tenth in range(1300):
            assert broadcast.hear(b"garbage", "10.0.0.1", tenth / 10) == []
    assert [line["datagrams"] for line in logs] == [1, 600, 600]
    assert "garbage" not in repr(logs)


def datagram_socket(port: int = 0) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("0.0.0.0", port))
    return bound


@pytest.mark.real_time
async def test_a_datagram_on_the_port_is_heard_and_none_is_ever_sent() -> None:
    send, inbox = anyio.create_memory_object_stream[Event](8)
    broadcast = Broadcast(send, [52415], HOUSE, port=0)
    with send, inbox, datagram_socket() as sender:
        sender.settimeout(0)
        async with anyio.create_task_group() as tasks:
            port = await tasks.start(broadcast.run)
            for payload in (b"", b"\xff" * 60_000, DATAGRAM):
                sender.sendto(payload, ("127.0.0.1", port))
            with anyio.fail_after(60):
                assert await inbox.receive() == sighted("127.0.0.1:52415")
            with pytest.raises(BlockingIOError):
                sender.recvfrom(1)
            tasks.cancel_scope.cancel()


@pytest.mark.real_time
async def test_a_taken_port_is_told_once_and_tried_again_until_it_is_free() -> None:
    send, inbox = anyio.create_memory_object_stream[Event](8)
    with send, inbox, datagram_socket() as holder, capture_logs() as logs:
        port: int = holder.getsockname()[1]
        broadcast = Broadcast(send, [52415], HOUSE, port=port, retry=0.01)
        async with anyio.create_task_group() as tasks:
            with anyio.move_on_after(0.1):
                await broadcast.run()
            told = [line for line in logs if line["event"] == "broadcast_unavailable"]
            assert [(line["why"], line["port"]) for line in told] == [("port_taken", port)]
            assert 'discovery.broadcast = "off"' in told[0]["advice"]
            holder.close()
            with anyio.fail_after(60):
                assert await tasks.start(broadcast.run) == port
            tasks.cancel_scope.cancel()


@pytest.mark.real_time
async def test_the_port_is_not_shared_with_an_exo() -> None:
    """A second socket on the port must fail, as Exo's does, even if it is willing to share."""
    send, inbox = anyio.create_memory_object_stream[Event](8)
    with send, inbox:
        async with anyio.create_task_group() as tasks:
            port = await tasks.start(Broadcast(send, [52415], HOUSE, port=0).run)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
                second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                with pytest.raises(OSError, match="in use"):
                    second.bind(("0.0.0.0", port))
            tasks.cancel_scope.cancel()


def may_open_raw() -> bool:
    try:
        open_raw(5678).close()
    except PermissionError:
        return False
    return True


needs_raw = pytest.mark.skipif(not may_open_raw(), reason="a raw socket needs CAP_NET_RAW")


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Give up root, and with it CAP_NET_RAW, for the length of a test."""
    if os.geteuid() != 0:
        if may_open_raw():
            pytest.skip("this user has CAP_NET_RAW and cannot give it up")
        yield
        return
    os.seteuid(65_534)
    yield
    os.seteuid(0)


async def meets(announcer: AnnouncerA, peer: bytes) -> None:
    """Let a peer announce itself, and see that the announcer hears it."""
    with datagram_socket() as sender, anyio.fail_after(60):
        sender.sendto(peer, ("127.0.0.1", announcer.port))
        await announcer.node.until(lambda: announcer.peers)


@needs_raw
@pytest.mark.real_time
@pytest.mark.parametrize("exo_first", [True, False])
async def test_an_exo_on_this_machine_is_found_and_still_finds_its_peers(
    *, exo_first: bool
) -> None:
    """Whoever binds the port second is deaf, so only a listener that never binds is harmless."""
    send, inbox = anyio.create_memory_object_stream[Event](8)
    port = quiet_port(socket.SOCK_DGRAM)
    announcer = AnnouncerA(ExoNode("A"), interfaces=["lo"], port=port, every=0.05)
    broadcast = Broadcast(send, [52415], HOUSE, mode="raw", port=port)
    with send, inbox:
        async with anyio.create_task_group() as tasks:
            if exo_first:
                tasks.start_soon(announcer.run)
                await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(60):
                assert await tasks.start(broadcast.run) == port
            if not exo_first:
                tasks.start_soon(announcer.run)
                await anyio.wait_all_tasks_blocked()
            await meets(announcer, DATAGRAM)
            with anyio.fail_after(60):
                assert await inbox.receive() == sighted("127.0.0.1:52415")
            assert (broadcast.why_quiet, announcer.deaf) == (None, False)
            tasks.cancel_scope.cancel()


@pytest.mark.real_time
async def test_a_bound_port_leaves_an_exo_on_this_machine_deaf() -> None:
    """The trap itself: it announces itself and finds nobody, and says nothing."""
    send, inbox = anyio.create_memory_object_stream[Event](8)
    with send, inbox:
        async with anyio.create_task_group() as tasks:
            port = await tasks.start(Broadcast(send, [52415], HOUSE, port=0).run)
            announcer = AnnouncerA(ExoNode("A"), interfaces=["lo"], port=port, every=0.05)
            tasks.start_soon(announcer.run)
            with anyio.fail_after(60):
                assert await inbox.receive() == sighted("127.0.0.1:52415")
            assert (announcer.deaf, announcer.peers) == (True, {})
            tasks.cancel_scope.cancel()


@needs_raw
@pytest.mark.real_time
async def test_garbage_on_the_raw_port_is_counted_and_repeated_nowhere() -> None:
    send, inbox = anyio.create_memory_object_stream[Event](8)
    port = quiet_port(socket.SOCK_DGRAM)
    with send, inbox, datagram_socket() as sender, capture_logs() as logs:
        async with anyio.create_task_group() as tasks:
            await tasks.start(Broadcast(send, [52415], HOUSE, mode="raw", port=port).run)
            for payload in (b"", b"garbage", b"\xff" * 60_000, DATAGRAM):
                sender.sendto(payload, ("127.0.0.1", port))
            with anyio.fail_after(60):
                assert await inbox.receive() == sighted("127.0.0.1:52415")
            tasks.cancel_scope.cancel()
    assert [line["datagrams"] for line in logs if "datagrams" in line] == [1]
    assert "garbage" not in repr(logs)


@pytest.mark.real_time
@pytest.mark.parametrize("mode", ["bind", pytest.param("raw", marks=needs_raw)])
@pytest.mark.parametrize("interface", ["lo", "no-such-link"])
async def test_only_the_interfaces_that_are_named_are_heard(
    mode: Literal["raw", "bind"], interface: str
) -> None:
    send, inbox = anyio.create_memory_object_stream[Event](8)
    port = quiet_port(socket.SOCK_DGRAM)
    broadcast = Broadcast(send, [52415], HOUSE, mode=mode, port=port, interfaces=[interface])
    heard: list[Event] = []
    with send, inbox, datagram_socket() as sender:
        async with anyio.create_task_group() as tasks:
            await tasks.start(broadcast.run)
            sender.sendto(DATAGRAM, ("127.0.0.1", port))
            with anyio.move_on_after(EVER if interface == "lo" else 0.3):
                heard.append(await inbox.receive())
            tasks.cancel_scope.cancel()
    assert heard == ([sighted("127.0.0.1:52415")] if interface == "lo" else [])


@pytest.mark.real_time
async def test_without_the_capability_raw_is_quiet_for_good_and_says_why(
    unprivileged: None,
) -> None:
    del unprivileged
    send, inbox = anyio.create_memory_object_stream[Event](8)
    broadcast = Broadcast(send, [52415], HOUSE, mode="raw", port=5678)
    with send, inbox, capture_logs() as logs, anyio.fail_after(60):
        await broadcast.run()
    assert [line["event"] for line in logs] == ["broadcast_unavailable"]
    assert "CAP_NET_RAW" in logs[0]["advice"]
    assert "CAP_NET_RAW" in (broadcast.why_quiet or "")
