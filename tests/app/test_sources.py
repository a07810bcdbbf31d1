"""The sources are those that the configuration asks for, and share one rule of where to look."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from exo_supervisor.app.policy import policy_of
from exo_supervisor.app.sources import NODES, Sources, crawl_points, nodes_up
from exo_supervisor.config.read import read
from exo_supervisor.core.events import Event, NodeSighted, PlacementRead, ProbeAnswered
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address, NodeId
from tests.runtime.fake_get import FakeGet

OFF = 'broadcast = "off"\nmdns = false\nmulticast = false\n'
SEED, LAN = "192.168.1.5:52415", "10.0.0.5:52415"


def machine_of(text: str) -> Machine:
    return Machine(policy_of(read(text, file="t", environ={}).config, {}), 0.0)


Ends = tuple[MemoryObjectSendStream[Event], MemoryObjectReceiveStream[Event]]


@pytest.fixture
def ends() -> Iterator[Ends]:
    send, receive = anyio.create_memory_object_stream[Event](8)
    with send, receive:
        yield send, receive


def sources_of(ends: Ends, text: str, state: Path | None = None) -> Sources:
    config = read(f"[discovery]\n{text}", file="t", environ={}).config
    return Sources(config, machine_of(""), FakeGet(), ends[0], state)


def test_each_source_runs_that_is_not_switched_off(ends: Ends) -> None:
    names = [each.name for each in sources_of(ends, "").services]
    assert names == ["static", "crawl", "broadcast", "mdns", "multicast", "lan"]
    assert [each.name for each in sources_of(ends, f"{OFF}crawl = false").services] == ["static"]


async def test_a_source_that_cannot_hear_says_so(ends: Ends) -> None:
    """Without CAP_NET_RAW, generation A's broadcasts are quietly not heard, and that is told."""
    if os.geteuid() == 0:
        os.seteuid(65_534)
    try:
        sources = sources_of(ends, "mdns = false\nmulticast = false\ncrawl = false")
        await sources.services[-1].run()
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
    (told,) = sources.quiet()
    assert told.startswith("broadcast is quiet: ")
    assert "CAP_NET_RAW" in told


def node(address: str, *, seeded: bool = False) -> NodeSighted:
    url = f"http://{address}"
    return NodeSighted(node=Address(address), url=url, source="x", seeded=seeded)


def up(address: str, who: str) -> list[Event]:
    return [
        ProbeAnswered(node=Address(address), generation="C", node_id=NodeId(who), latency=0.1),
        PlacementRead(node=Address(address), listed=(NodeId("a"), NodeId("b")), models=()),
    ]


def points(*events: Event, rooted: str = "") -> list[tuple[str, bool]]:
    machine = machine_of("")
    for event in events:
        machine.handle(event, 1.0)
    found = crawl_points(machine, lambda url: url == rooted)
    return [(each.url, each.seeded) for each in found]


def test_a_cluster_is_asked_at_the_address_that_a_person_named() -> None:
    """Even where the LAN found that node first, by another address."""
    known = [node(LAN), *up(LAN, "a"), node(SEED, seeded=True), *up(SEED, "a")]
    assert points(*known) == [(f"http://{SEED}", True)]


def test_without_a_seed_in_it_a_cluster_is_asked_at_who_was_named_by_one() -> None:
    known = [node(LAN), *up(LAN, "a"), node(SEED), *up(SEED, "b")]
    assert points(*known) == [(f"http://{LAN}", False)]
    assert points(*known, rooted=f"http://{SEED}") == [(f"http://{SEED}", False)]


def test_who_is_up_and_was_found_is_kept_and_who_was_named_is_not() -> None:
    machine = machine_of("")
    other = "10.0.0.6:52415"
    for event in [node(LAN), *up(LAN, "a"), node(SEED, seeded=True), *up(SEED, "b"), node(other)]:
        machine.handle(event, 1.0)
    assert [(each.address, each.generation, each.node_id) for each in nodes_up(machine)] == [
        (LAN, "C", "a")
    ]


@pytest.mark.real_time
async def test_with_a_state_directory_nodes_are_read_from_it(ends: Ends, tmp_path: Path) -> None:
    kept = {"address": "10.0.0.9:52415", "generation": "B", "node_id": None, "up_at": time.time()}
    (tmp_path / NODES).write_text(json.dumps({"version": 1, "nodes": [kept]}))
    (tmp_path / NODES).chmod(0o600)
    sources = sources_of(ends, f'{OFF}crawl = false\nranges = ["10.0.0.0/24"]', tmp_path)
    assert [each.name for each in sources.services] == ["static", "last_known"]
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sources.services[-1].run)
            seen = await ends[1].receive()
            assert isinstance(seen, NodeSighted)
            assert (seen.node, seen.source, seen.seeded) == ("10.0.0.9:52415", "last_known", False)
            tasks.cancel_scope.cancel()


def test_who_is_down_or_of_generation_a_is_not_asked() -> None:
    assert points(node(LAN)) == []
    legacy = ProbeAnswered(node=Address(LAN), generation="A", node_id=None, latency=0.1)
    assert points(node(LAN), legacy, up(LAN, "a")[1]) == []
