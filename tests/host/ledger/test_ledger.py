"""Booking never holds the loop up; where it cannot be done, that is said and serving goes on."""

import sqlite3
from asyncio import get_running_loop
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from time import time
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from exo_supervisor.host.ledger import writer
from exo_supervisor.host.ledger.file import PARTS
from exo_supervisor.host.ledger.ledger import Ledger
from exo_supervisor.host.ledger.schema import STEPS
from exo_supervisor.views.booked import Spent
from tests.host.ledger.booking import AT, PICO, done, held, rows

pytestmark = pytest.mark.real_time


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@asynccontextmanager
async def running(path: Path, **more: Any) -> AsyncGenerator[Ledger]:  # noqa: ANN401 -- its arguments
    ledger = Ledger(path, get_running_loop(), currency="USD", again=0.01, **more)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ledger.run)
        yield ledger
        tasks.cancel_scope.cancel()


def laid(path: Path, content: bytes = b"", mode: int = 0o600) -> None:
    """Put a file there that this program has not made."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def newer(path: Path) -> bytes:
    """Make a file of a later version, and return its content."""
    laid(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA journal_mode=WAL; CREATE TABLE new (x)")
        connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    return path.read_bytes()


def content(path: str | Path) -> bytes:
    return Path(path).read_bytes()


def modes(path: Path) -> tuple[int, set[int]]:
    """Return who may do what with a directory, and with what is in it."""
    return path.stat().st_mode & 0o777, {each.stat().st_mode & 0o777 for each in path.iterdir()}


async def reserved(ledger: Ledger, name: str = "01J9") -> None:
    written = anyio.Event()
    ledger.reserve(held(name), written.set)
    assert not written.is_set(), "not before it has returned"
    await written.wait()


async def until(met: Callable[[], object]) -> None:
    while not met():  # noqa: ASYNC110 -- the thread tells nobody else
        await anyio.sleep(0.01)


async def test_a_reservation_is_in_the_file_before_its_attempt_begins(path: Path) -> None:
    async with running(path) as ledger:
        await reserved(ledger)
        (row,) = rows(path, "* FROM reservation")
        assert (row["request_id"], row["amount"]) == ("01J9", PICO)
        ledger.done(done())
    (row,) = rows(path)
    assert (row["request_id"], row["reserved"]) == ("01J9", PICO)
    assert not rows(path, "* FROM reservation")


async def test_what_waited_for_a_reservation_may_do_what_the_loop_lets_it(path: Path) -> None:
    scopes = list[anyio.CancelScope]()
    async with running(path) as ledger:
        ledger.reserve(held(), lambda: scopes.append(anyio.CancelScope()))
        await until(lambda: scopes)


async def test_what_is_done_is_in_the_file_when_it_ends_and_for_us_alone(path: Path) -> None:
    async with running(path) as ledger:
        for number in range(2500):
            ledger.done(done(f"01J9{number:04}"))
    assert len(rows(path)) == 2500
    assert modes(path.parent) == (0o700, {0o600})
    assert rows(path, "* FROM pragma_integrity_check") == [{"integrity_check": "ok"}]


async def test_many_are_booked_before_long_has_passed(path: Path) -> None:
    async with running(path, gather=600.0) as ledger:
        await reserved(ledger)
        for number in range(writer.MANY):
            ledger.done(done(f"01JA{number:04}"))
        await until(lambda: len(rows(path)) == writer.MANY)


async def test_spent_is_what_stands_there(path: Path) -> None:
    async with running(path) as ledger:
        ledger.done(done())
        assert await ledger.spent(AT) == [Spent("default", "openrouter", 0, 3_000_000, 1)]


async def test_where_nothing_can_be_written_nobody_waits_and_it_is_said_once(path: Path) -> None:
    laid(path.parent)
    with capture_logs() as logs:
        async with running(path) as ledger:
            await until(lambda: ledger.trouble)
            await reserved(ledger)
            ledger.done(done())
            assert f"{path.parent}" in str(await ledger.spent(AT))
            await anyio.Path(path.parent).unlink()
            await until(lambda: ledger.trouble is None)
            await reserved(ledger, "01JA")
        assert [row["request_id"] for row in rows(path)] == ["01J9"], "it was kept until then"
    assert [each["event"] for each in logs] == ["ledger_stopped", "ledger_resumed"]
    assert logs[0]["errno"] in {"EEXIST", "ENOTDIR"}


async def test_more_than_can_wait_is_counted_not_kept(path: Path) -> None:
    await anyio.Path(path).mkdir(parents=True)
    with capture_logs() as logs:
        async with running(path, most=3) as ledger:
            await until(lambda: ledger.trouble)
            for number in range(5):
                ledger.done(done(f"01J9{number}"))
            assert (ledger.lost, ledger.lost_at()) == (2, pytest.approx(time(), abs=60))
    assert [each["event"] for each in logs] == ["ledger_stopped", "ledger_incomplete"]
    assert logs[-1]["unbooked"] == 5


async def test_a_torn_file_is_put_aside_whole_and_a_new_one_begun(path: Path) -> None:
    for part in PARTS:
        laid(path.with_name(path.name + part), b"no database" * 100)
    with capture_logs() as logs:
        async with running(path) as ledger:
            await reserved(ledger)
            ledger.done(done())
    assert len(rows(path)) == 1
    (told,) = logs
    assert (told["event"], told["log_level"]) == ("ledger_torn", "error")
    assert content(told["put_aside"]) == b"no database" * 100
    assert ledger.seen().aside == told["put_aside"]
    assert ledger.lost_at() == pytest.approx(time(), abs=60)
    for there in (told["put_aside"], None):
        async with running(path) as ledger:
            await reserved(ledger)
            assert (ledger.seen().aside, ledger.lost_at()) == (there, 0.0)
        await anyio.Path(told["put_aside"]).unlink(missing_ok=True)


async def test_a_file_of_a_newer_version_is_left_as_it_is(path: Path) -> None:
    before = newer(path)
    with capture_logs() as logs:
        async with running(path) as ledger:
            await until(lambda: ledger.trouble)
            await reserved(ledger)
            ledger.done(done())
    assert content(path) == before
    assert f"is of version {len(STEPS) + 1}" in logs[0]["why"]
    assert [each["event"] for each in logs] == ["ledger_stopped", "ledger_incomplete"]


async def test_of_two_services_one_keeps_the_books(path: Path) -> None:
    with capture_logs() as logs:
        async with running(path) as ours:
            await reserved(ours)
            async with running(path) as other:
                await until(lambda: other.trouble)
                await reserved(other, "01JA")
    assert "another service keeps its books" in logs[0]["why"]
    assert [row["request_id"] for row in rows(path, "* FROM reservation")] == ["01J9"]


async def test_a_file_that_others_may_read_is_closed_to_them_and_it_is_said(path: Path) -> None:
    """As one that was copied back from a backup."""
    async with running(path) as ledger:
        await reserved(ledger)
    laid(path.with_name(f"{path.name}-wal"))
    for each in path.parent.iterdir():
        each.chmod(0o644)
    with capture_logs() as logs:
        async with running(path) as ledger:
            await reserved(ledger, "01JA")
    assert modes(path.parent)[1] == {0o600}
    (told,) = logs
    assert (told["event"], told["mode"]) == ("ledger_was_readable", "644")
    assert str(path) in told["file"]


async def test_a_file_that_others_may_write_is_not_taken_for_ours(path: Path) -> None:
    laid(path, mode=0o620)
    async with running(path) as ledger:
        await until(lambda: ledger.trouble)
        assert "may have been written by another user" in str(ledger.trouble)
    assert content(path) == b""
