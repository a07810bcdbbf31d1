"""Generation A's manual file leads to its peers; whatever else stands there costs a line."""

import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from exo_supervisor.core.events import Event, NodeSighted
from exo_supervisor.discovery.manual import MOST, Manual, read_if_changed
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.exo.legacy import read_manual_peers
from tests.discovery.house import on_links

pytestmark = pytest.mark.real_time
Told = MemoryObjectReceiveStream[Event]
OWN = on_links("10.0.0.0/24", ranges=["203.0.113.0/24"])


def written(*addresses: str) -> bytes:
    """Write the file as Exo's own tests have it."""
    capabilities = {"model": "Mac", "chip": "M3", "memory": 1, "flops": {"fp32": 0, "fp16": 0}}
    peer = {"port": 50051, "device_capabilities": capabilities}
    peers = {f"node{n}": {"address": each, **peer} for n, each in enumerate(addresses)}
    return json.dumps({"peers": peers}).encode()


@asynccontextmanager
async def reading(path: Path, *ports: int) -> AsyncGenerator[tuple[Manual, Told]]:
    send, inbox = anyio.create_memory_object_stream[Event](1000)
    manual = Manual(send, ports or (52415,), OWN, str(path), every=0.01)
    with send, inbox:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(manual.run)
            yield manual, inbox
            tasks.cancel_scope.cancel()


async def told(inbox: Told, many: int) -> list[str]:
    with anyio.fail_after(60):
        events = [await inbox.receive() for _ in range(many)]
    assert all(isinstance(event, NodeSighted) and not event.seeded for event in events)
    return [event.node for event in events if isinstance(event, NodeSighted)]


async def until(manual: Manual, why: str) -> None:
    """Wait until the source says this of itself."""
    with anyio.fail_after(60):
        while why not in (manual.why_quiet or ""):  # noqa: ASYNC110 - it has no event to wait for
            await anyio.sleep(0.005)


async def test_each_peer_is_told_of_at_each_port_and_once(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    path.write_bytes(written("10.0.0.2", "192.168.7.7"))
    async with reading(path, 52415, 8000) as (_, inbox):
        assert await told(inbox, 4) == [
            "10.0.0.2:52415",
            "10.0.0.2:8000",
            "192.168.7.7:52415",
            "192.168.7.7:8000",
        ]
        path.write_bytes(written("10.0.0.2", "10.0.0.3"))
        assert await told(inbox, 2) == ["10.0.0.3:52415", "10.0.0.3:8000"]


async def test_an_address_outside_the_house_is_skipped_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    path.write_bytes(written("8.8.8.8", "mac.local", "203.0.113.9", "127.0.0.1", "10.0.0.2"))
    with capture_logs() as logs:
        async with reading(path) as (_, inbox):
            assert await told(inbox, 3) == [
                "203.0.113.9:52415",
                "127.0.0.1:52415",
                "10.0.0.2:52415",
            ]
    (line,) = logs
    assert (line["event"], line["count"]) == ("manual_peers_skipped", 2)
    assert line["first"] == ["8.8.8.8", "mac.local"]


async def test_a_missing_file_is_said_once_and_read_when_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    with capture_logs() as logs:
        async with reading(path) as (manual, inbox):
            await until(manual, "no such file")
            await anyio.sleep(0.1)
            path.write_bytes(written("10.0.0.2"))
            assert await told(inbox, 1) == ["10.0.0.2:52415"]
            assert manual.why_quiet is None
    assert [line["event"] for line in logs] == ["manual_file_bad"]


async def test_a_bad_file_is_said_once_for_each_change_and_what_was_read_still_counts(
    tmp_path: Path,
) -> None:
    path = tmp_path / "peers.json"
    with capture_logs() as logs:
        async with reading(path) as (manual, inbox):
            for n, bad in enumerate((b"{", b'{"peers": []}', b"[" * 100_000), 1):
                path.write_bytes(bad)
                with anyio.fail_after(60):
                    while len(logs) < n:  # noqa: ASYNC110 - a log has no event to wait for
                        await anyio.sleep(0.005)
                await until(manual, "not a manual discovery file")
            path.write_bytes(written("10.0.0.2"))
            assert await told(inbox, 1) == ["10.0.0.2:52415"]
    assert [line["event"] for line in logs] == ["manual_file_bad"] * 3


@pytest.mark.parametrize("kind", ["pipe", "folder", "huge"])
async def test_what_is_no_file_keeps_nobody_waiting(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "peers.json"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            path.write_bytes(b" " * (2**20 + 1))
    with capture_logs() as logs:
        async with reading(path) as (manual, _):
            await until(manual, "it cannot be read")
            await anyio.sleep(0.05)
    assert len(logs) == 1


async def test_of_a_long_list_so_many_count(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    path.write_bytes(written(*(f"10.0.{n // 250}.{n % 250}" for n in range(400))))
    async with reading(path) as (_, inbox):
        assert len(await told(inbox, MOST)) == MOST
        await anyio.sleep(0.05)
        assert inbox.statistics().current_buffer_used == 0


def test_a_file_is_read_again_only_if_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    path.write_bytes(b"1")
    first = read_if_changed(str(path), None)
    assert first is not None
    assert first[1] == b"1"
    assert read_if_changed(str(path), first[0]) is None
    os.utime(path, ns=(0, first[0][0] + 1))
    assert read_if_changed(str(path), first[0]) is not None


@given(st.binary() | st.text().map(str.encode))
def test_no_content_does_more_than_be_refused(body: bytes) -> None:
    with suppress(WireError):
        assert read_manual_peers(body) == ()
