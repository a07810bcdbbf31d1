"""Which instances are our own outlasts a restart; a file that is not ours is as none."""

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
import structlog
from anyio.lowlevel import checkpoint

from exo_supervisor.app.instances import (
    FILE,
    InstanceFile,
    decode_own,
    encode_own,
    instance_file,
    read_own,
)
from exo_supervisor.core.effects import OwnInstances
from exo_supervisor.core.names import InstanceId, ModelId
from exo_supervisor.core.placement.desired import MAX_OWN, MOST
from exo_supervisor.errors import NotOursError
from exo_supervisor.host.kept import LARGEST
from exo_supervisor.wire.exo.placement import LONGEST_ID

Own = tuple[OwnInstances, ...]


def own(model: str, *ordered: str, seen: tuple[str, ...] = ()) -> Own:
    ids = tuple(map(InstanceId, seen)), tuple(map(InstanceId, ordered))
    return (OwnInstances(ModelId(model), *ids),)


ONE, TWO = own("m", "i1"), own("m", "i2", seen=("i1",))
FULL = tuple(
    own(f"{n:0100}", *(f"{i:0{LONGEST_ID}}" for i in range(MAX_OWN)))[0] for n in range(MOST)
)


class Writing:
    """A file in virtual time, on a disk that takes a second."""

    def __init__(self, *, unwritable: bool = False) -> None:
        self.written: list[tuple[float, Own]] = []
        self.file = InstanceFile("instances", self._write, encode_own)
        self._unwritable = unwritable

    async def _write(self, content: bytes) -> None:
        if self._unwritable:
            raise PermissionError(13, "Permission denied")
        await anyio.sleep(1.0)
        self.written.append((anyio.current_time() - self._began, decode_own(content)))

    async def during(self, *steps: tuple[float, Callable[[], None]], rest: float = 5.0) -> None:
        """Write, doing each step at its instant, and be cancelled after a rest."""
        self._began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.file.run)
            for seconds, step in steps:
                await anyio.sleep(seconds)
                step()
            await anyio.sleep(rest)
            tasks.cancel_scope.cancel()


async def test_each_change_is_written_at_once_and_the_last_one_wins() -> None:
    writing = Writing()
    await writing.during(
        (1.0, lambda: writing.file.keep(ONE)),
        (0.5, lambda: writing.file.keep(())),
        (0.1, lambda: writing.file.keep(TWO)),
    )
    assert writing.written == [(2.0, ONE), (3.0, TWO)]


async def test_what_changes_at_the_very_end_is_written_too() -> None:
    writing = Writing()
    await writing.during((1.0, lambda: writing.file.keep(ONE)), rest=0.0)
    assert [each for _, each in writing.written] == [ONE]


async def test_nothing_is_written_where_nothing_changed() -> None:
    writing = Writing()
    await writing.during()
    assert writing.written == []


async def test_a_disk_that_takes_nothing_costs_a_line() -> None:
    writing = Writing(unwritable=True)
    with structlog.testing.capture_logs() as said:
        await writing.during((1.0, lambda: writing.file.keep(ONE)))
    [line] = said
    assert (line["event"], line["why"]) == ("instances_unwritable", "permission denied")


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"[" * 100_000, b"{}", b'{"version": 2, "placed": []}',
     b'{"version": 1, "placed": [{"model": "m", "seen": [1], "ordered": []}]}',
     encode_own(own("m", "")), encode_own(own("m", "i" * (LONGEST_ID + 1))),
     encode_own(own("m", *map(str, range(MAX_OWN + 1)))),
     encode_own(ONE * (MOST + 1))],
)  # fmt: skip
def test_what_is_not_ours_is_refused(content: bytes) -> None:
    with pytest.raises(NotOursError, match="not a list of instances"):
        decode_own(content)


def test_a_full_table_can_be_read_back() -> None:
    content = encode_own(FULL)
    assert len(content) < LARGEST
    assert decode_own(content) == FULL


@pytest.mark.real_time
async def test_an_earlier_run_is_read_back(tmp_path: Path) -> None:
    assert await read_own(tmp_path) == ()
    file = instance_file(tmp_path / "made")
    file.keep(TWO)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(file.run)
        await checkpoint()
        tasks.cancel_scope.cancel()
    assert await read_own(tmp_path / "made") == TWO


@pytest.mark.real_time
async def test_a_file_that_others_may_write_is_as_none(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(encode_own(ONE))
    (tmp_path / FILE).chmod(0o666)
    with structlog.testing.capture_logs() as said:
        assert await read_own(tmp_path) == ()
    [line] = said
    assert (line["event"], line["log_level"]) == ("instances_unreadable", "warning")


@pytest.mark.real_time
async def test_without_a_state_directory_nothing_is_kept() -> None:
    assert await read_own(None) == ()
    file = instance_file(None)
    file.keep(ONE)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(file.run)
        await checkpoint()
        tasks.cancel_scope.cancel()
