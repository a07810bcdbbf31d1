"""Nodes that were up are looked at again after a restart, and nothing that a file says is more."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from trio.testing import MockClock

from exo_supervisor.core.events import Event, NodeSighted, SourceHeard
from exo_supervisor.core.names import Address, NodeId
from exo_supervisor.discovery.allowed_networks import AllowedNetworks
from exo_supervisor.discovery.last_known import EVERY, FORGET, MOST, STALE, Known, LastKnown
from exo_supervisor.host.kept import NotOursError
from tests.discovery.house import on_links
from tests.runtime.fake_get import note

OWN = on_links("10.0.0.0/24")
WALL = 1_800_000_000.0


def known(address: str, node_id: str = "n") -> Known:
    return Known(Address(address), "C", NodeId(node_id), 0.0)


def filed(*addresses: str, up_at: float = WALL, **more: object) -> bytes:
    row = {"generation": "C", "node_id": "n", "up_at": up_at, **more}
    return json.dumps({"version": 1, "nodes": [{"address": a, **row} for a in addresses]}).encode()


class Disk:
    """A file that is read and written without a disk; it may refuse either."""

    def __init__(self, content: bytes | None = None) -> None:
        self.content = content
        self.fault: Exception | None = None
        self.writes: list[float] = []

    async def read(self) -> bytes | None:
        if self.fault is not None:
            raise self.fault
        return self.content

    async def write(self, content: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        if self.fault is not None:
            raise self.fault
        self.content = content
        self.writes.append(anyio.current_time())

    def addresses(self) -> list[str]:
        assert self.content is not None
        rows: list[dict[str, Any]] = json.loads(self.content)["nodes"]
        return [row["address"] for row in rows]


@asynccontextmanager
async def keeping(
    disk: Disk, up: Sequence[Known] = (), allowed: AllowedNetworks = OWN, speed: float = 1.0
) -> AsyncGenerator[list[str]]:
    """Keep nodes until the test ends; what is told of is noted. The wall's clock has a speed."""
    send, inbox = anyio.create_memory_object_stream[Event](8)
    told: list[tuple[float, Event]] = []
    nodes: list[str] = []
    begun = anyio.current_time()
    last = LastKnown(
        send,
        allowed,
        lambda: up,
        read=disk.read,
        write=disk.write,
        wall=lambda: WALL + speed * (anyio.current_time() - begun),
    )
    with send, inbox:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(note, inbox, told)
            tasks.start_soon(last.run)
            await anyio.sleep(1)
            nodes += [e.node for _, e in told if isinstance(e, NodeSighted)]
            yield nodes
            tasks.cancel_scope.cancel()
    assert not any(isinstance(e, NodeSighted) and (e.seeded or e.claimed) for _, e in told)


async def test_what_was_kept_is_told_of_once_at_the_start() -> None:
    disk = Disk(filed("10.0.0.2:52415", "10.0.0.3:8000"))
    async with keeping(disk) as told:
        await anyio.sleep(300)
        assert told == ["10.0.0.2:52415", "10.0.0.3:8000"]
    assert disk.writes == []


async def test_what_is_up_is_kept_for_the_next_start() -> None:
    disk = Disk()
    async with keeping(disk, [known("10.0.0.2:52415"), known("10.0.0.3:8000")]):
        await anyio.sleep(EVERY)
        assert len(disk.writes) == 1
    async with keeping(disk) as told:
        assert told == ["10.0.0.2:52415", "10.0.0.3:8000"]


async def test_what_came_last_is_kept_at_the_end_of_the_service() -> None:
    disk, up = Disk(), list[Known]()
    async with keeping(disk, up):
        up.append(known("10.0.0.2:52415"))
        assert disk.writes == []
    assert disk.addresses() == ["10.0.0.2:52415"]


async def test_an_hour_in_which_nothing_changes_costs_one_write() -> None:
    disk, up = Disk(), [known("10.0.0.2:52415")]
    async with keeping(disk, up):
        await anyio.sleep(STALE)
        assert len(disk.writes) == 1
        await anyio.sleep(2 * EVERY)
        assert len(disk.writes) == 2


async def test_changes_are_written_at_most_every_thirty_seconds() -> None:
    disk, up = Disk(), [known("10.0.0.2:52415")]
    async with keeping(disk, up):
        for n in range(200):
            up[0] = known("10.0.0.2:52415", node_id=str(n))
            await anyio.sleep(1)
        assert len(disk.writes) == 200 // EVERY


async def test_a_node_that_was_not_up_for_a_week_is_dropped() -> None:
    disk = Disk(filed("10.0.0.2:52415", up_at=WALL - FORGET + 60))
    async with keeping(disk, [known("10.0.0.3:52415")]) as told:
        assert told == ["10.0.0.2:52415"]
        await anyio.sleep(120)
        assert disk.addresses() == ["10.0.0.3:52415"]
    async with keeping(Disk(filed("10.0.0.2:52415", up_at=WALL - FORGET))) as told:
        assert told == []


async def test_a_time_to_come_is_no_later_than_now() -> None:
    disk = Disk(filed("10.0.0.2:52415", up_at=1e300))
    async with keeping(disk, speed=100.0):
        await anyio.sleep(FORGET / 100.0 + 60)
        assert disk.addresses() == []


async def test_only_so_many_are_kept_those_that_were_up_last() -> None:
    disk = Disk(filed(*(f"10.0.0.{n}:1" for n in range(200)), up_at=WALL - 60))
    async with keeping(disk, [known(f"10.0.0.{n}:2") for n in range(200)]):
        await anyio.sleep(EVERY)
        assert len(disk.addresses()) == MOST
        assert sum(each.endswith(":2") for each in disk.addresses()) == 200


FAR = ["192.168.1.7:52415", "8.8.8.8:52415", "127.0.0.1:52415"]


async def test_a_file_leads_to_our_own_links_and_nowhere_else() -> None:
    async with keeping(Disk(filed(*FAR, "10.0.0.2:52415"))) as told:
        assert told == ["10.0.0.2:52415"]


async def test_what_is_elsewhere_or_has_a_name_is_not_kept() -> None:
    disk = Disk()
    up = [*map(known, FAR), known("mac.local:52415"), known("[fd00::1]:1"), known("10.0.0.2:52415")]
    async with keeping(disk, up):
        await anyio.sleep(EVERY)
        assert disk.addresses() == ["10.0.0.2:52415"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"version":2,"nodes":[]}',
        filed("10.0.0.2:52415", generation="D"),
        filed("10.0.0.2:52415", node_id="n" * 257),
        filed("10.0.0.2:0"),
        filed("10.0.0.2:65536"),
        filed("10.0.0.2:0000065536"),
        filed("10.0.0.2"),
        filed("evil.test:52415"),
        filed("10.0.0.2:52415@evil.test"),
        filed("10.0.0.2:52415/../x"),
        filed("10.0.0.2:\u0661"),
    ],
)
async def test_a_file_that_we_did_not_write_costs_a_line(content: bytes) -> None:
    disk = Disk(content)
    with capture_logs() as logs:
        async with keeping(disk, [known("10.0.0.3:52415")]) as told:
            assert told == []
            await anyio.sleep(EVERY)
            assert disk.addresses() == ["10.0.0.3:52415"]
    assert [line["event"] for line in logs] == ["last_known_unreadable"]


@pytest.mark.parametrize("fault", [PermissionError(13, "Permission denied"), NotOursError("x")])
async def test_a_disk_that_refuses_is_said_once_and_tried_again(fault: Exception) -> None:
    disk, up = Disk(), [known("10.0.0.2:52415")]
    with capture_logs() as logs:
        async with keeping(disk, up):
            disk.fault = fault
            await anyio.sleep(10 * EVERY)
            disk.fault = None
            await anyio.sleep(EVERY)
            assert disk.addresses() == ["10.0.0.2:52415"]
    assert [line["event"] for line in logs] == ["last_known_unwritable"]


@given(st.data())
def test_no_content_does_more_than_lead_to_our_own_links(data: st.DataObject) -> None:
    whole = bytearray(filed("10.0.0.2:52415", "192.168.1.7:52415"))
    for _ in range(data.draw(st.integers(0, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))

    async def told() -> list[str]:
        async with keeping(Disk(bytes(whole))) as nodes:
            return nodes

    for node in anyio.run(
        told, backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)}
    ):
        assert node.startswith("10.0.0.")


async def test_a_disk_that_does_not_give_it_back_costs_a_line_too() -> None:
    disk = Disk()
    disk.fault = PermissionError(13, "Permission denied")
    with capture_logs() as logs:
        async with keeping(disk, [known("10.0.0.3:52415")]):
            disk.fault = None
            await anyio.sleep(EVERY)
            assert disk.addresses() == ["10.0.0.3:52415"]
    assert [(line["event"], line["why"]) for line in logs] == [
        ("last_known_unreadable", "permission denied")
    ]


async def test_it_is_said_once_that_all_was_told_even_if_that_was_nothing() -> None:
    for kept in (("10.0.0.2:52415", "10.0.0.3:8000"), ()):
        send, inbox = anyio.create_memory_object_stream[Event](8)
        disk = Disk(filed(*kept))
        last = LastKnown(send, OWN, tuple, read=disk.read, write=disk.write)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(last.run)
            await anyio.sleep(3 * EVERY)
            tasks.cancel_scope.cancel()
        send.close()
        with inbox:
            told = [event async for event in inbox]
        assert [e.node for e in told[:-1] if isinstance(e, NodeSighted)] == list(kept)
        assert told[-1] == SourceHeard(source="last_known")


async def test_what_is_to_be_forgotten_is_in_no_file_any_more_unless_it_is_up() -> None:
    send, inbox = anyio.create_memory_object_stream[Event](8)
    disk, up = Disk(filed("10.0.0.2:52415", "10.0.0.3:8000")), [known("10.0.0.3:8000")]
    last = LastKnown(send, OWN, lambda: up, read=disk.read, write=disk.write, wall=lambda: WALL)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(last.run)
        await anyio.sleep(1)
        last.forget()
        await anyio.sleep(EVERY)
        assert disk.addresses() == ["10.0.0.3:8000"]
        tasks.cancel_scope.cancel()
    send.close()
    inbox.close()
