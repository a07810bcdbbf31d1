"""The whole service keeps its books: through a kill, on a full disk, and to the last figure."""

import os
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from exo_supervisor.demo import Cloud, ExoNode
from tests.app.ledger_kill import loop
from tests.app.world import (
    CLOUD_MODEL,
    MODEL,
    World,
    folder,
    in_process,
    process_of_service,
    run,
    toml,
    until,
)

pytestmark = pytest.mark.real_time


@pytest.mark.alone
async def test_what_ended_a_second_before_a_kill_is_in_the_file_and_nothing_twice() -> None:
    assert await loop(rounds=2, seed=2) == []


PRICE = {"provider": "house-cloud", "model": CLOUD_MODEL, "input": 1.0, "output": 2.5}


async def test_a_few_requests_come_to_what_is_reckoned_by_hand(tmp_path: Path) -> None:
    async with (
        Cloud(models=(CLOUD_MODEL,)) as cloud,
        in_process(cloud=cloud, state=tmp_path, price=[PRICE]) as world,
    ):
        answers = [await world.chat(stream=False) for _ in range(3)]
        used = [each.json()["usage"] for each in answers]
        prompt = sum(each["prompt_tokens"] for each in used)
        completion = sum(each["completion_tokens"] for each in used)
        body = await world.until(
            "/supervisor/ledger?by=model", lambda body: body["total"]["requests"] == 3
        )
        (row,) = body["rows"]
        assert (row["key"], row["prompt_tokens"], row["completion_tokens"]) == (
            MODEL, prompt, completion,
        )  # fmt: skip
        micros = prompt * 1_000_000 + completion * 2_500_000  # pico-units
        assert row["cost"] == f"0.{micros:012}".rstrip("0")
        ended = await run("ledger", "--socket", world.path)
        assert ended.code == 0
        assert ended.out.splitlines()[0].split()[0] == "REQUESTS"
    assert (tmp_path / "ledger.db").stat().st_mode & 0o777 == 0o600


async def test_without_a_state_directory_nothing_is_kept_and_it_is_said() -> None:
    async with ExoNode("C") as exo, in_process(exo) as world:
        assert (await world.look("/supervisor/status"))["ledger"] is None
        answer = await world.look("/supervisor/ledger")
        assert answer["error"]["code"] == "no_ledger"


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """Mount a disk of 512 KiB: the day book's reserve takes the half of it."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with folder() as place:
        mounted = place / "disk"
        mounted.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(mounted)]
        if subprocess.run(mount, check=False, capture_output=True).returncode:  # noqa: S603 -- ours
            pytest.skip("may not mount")
        try:
            yield mounted
        finally:
            subprocess.run(["umount", str(mounted)], check=True)  # noqa: S603, S607 -- ours


@pytest.mark.alone
async def test_a_full_disk_stops_booking_loudly_and_never_serving(small_disk: Path) -> None:
    with folder() as place:
        async with Cloud(models=(CLOUD_MODEL,)) as cloud:
            text = toml([], cloud, {"budget": {"day": 1000.0}, "price": [PRICE]})
            environment = {"STATE_DIRECTORY": str(small_disk)}
            async with process_of_service(place, text, env=environment) as (world, _):
                await world.until("/supervisor/status", lambda body: body["ready"])
                assert (await world.chat()).status_code == 200
                filler = small_disk / "filler"
                await anyio.to_thread.run_sync(_fill, filler)
                served = await served_until_it_stops(world)
                (line,) = await world.lines("ledger_stopped")
                assert (line["errno"], line["level"]) == ("ENOSPC", "error")
                status = await world.look("/supervisor/status")
                assert "the disk is full" in status["ledger"]["stopped"]
                assert (await world.chat()).status_code == 200
                filler.unlink()
                await world.lines("ledger_resumed")
                body = await world.until(
                    "/supervisor/ledger", lambda body: body["total"]["requests"] == served + 2
                )
                assert body["total"]["unpriced"] == 0


@pytest.mark.alone
async def test_what_is_spent_while_the_disk_is_full_outlasts_a_kill(small_disk: Path) -> None:
    rows = {"budget": {"day": 1000.0}, "price": [PRICE]}
    environment = {"STATE_DIRECTORY": str(small_disk)}

    reserve = anyio.Path(small_disk / "day_book.json.reserve")

    async def spent(world: World) -> Decimal:
        return Decimal((await world.look("/supervisor/status"))["budgets"][0]["spent"])

    async with Cloud(models=(CLOUD_MODEL,)) as cloud:
        with folder() as place:
            text = toml([], cloud, rows)
            async with process_of_service(place, text, env=environment) as (world, process):
                await world.until("/supervisor/status", lambda body: body["ready"])
                assert (await world.chat()).status_code == 200
                await until(reserve.exists, bool)
                await anyio.to_thread.run_sync(_fill, small_disk / "filler")
                await served_until_it_stops(world)
                for _ in range(5):
                    assert (await world.chat()).status_code == 200
                before = await spent(world)
                sum_of_day = f'"day":{int(before * 10**12)},'.encode()
                await until(reserve.read_bytes, lambda held: sum_of_day in held)
                process.kill()
                await process.wait()
        (small_disk / "filler").unlink()
        with folder() as place:
            text = toml([], cloud, rows)
            async with process_of_service(place, text, env=environment) as (world, _):
                await world.until("/supervisor/status", lambda body: body["ready"])
                assert await spent(world) >= before
                assert await world.lines("ledger_lacks")


async def served_until_it_stops(world: World) -> int:
    """Ask until nothing is booked any more; return how often."""
    served = 0

    async def log() -> bytes:
        nonlocal served
        assert (await world.chat()).status_code == 200
        served += 1
        return world.log()

    await until(log, lambda told: b"ledger_stopped" in told)
    return served


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
