"""Kill -9 in a loop while the ledger is written: `python -m tests.app.ledger_kill --rounds 100`.

A cloud notes each attempt as it begins, and looks whether its reservation is in the file by then;
clients note each answer whose end they had. After each kill: whatever ended over a second before
has its row, no row stands twice, what was reserved is settled or still open, and SQLite finds its
file whole. The next round goes on with that file. Every second round has no budget: without
reservations, which are written at once, rows wait for each other.
"""

import argparse
import random
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import anyio
import httpx
from aiohttp import web
from anyio import to_thread
from msgspec import Struct, field

from exo_supervisor.demo import Cloud
from tests.app.world import CHAT, CLOUD_MODEL, World, asking, folder, process_of_service, toml

CLIENTS = 8
WITHIN = 1.0
"""Seconds: what ended longer than so before the kill is in the file."""
_PRICE = {"provider": "house-cloud", "model": CLOUD_MODEL, "input": 1.0, "output": 2.0}


class Tally(Struct):
    """What the cloud and the clients saw.

    `late` are attempts whose reservation was not there, `due` answers that must have a row for
    ever, by the seconds that they had ended before the kill.
    """

    budget: bool = True
    begun: int = 0
    late: int = 0
    answers: int = 0
    due: dict[str, float] = field(default_factory=dict[str, float])
    ended: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])


class Watched(Cloud):
    """A cloud that looks into the ledger before it answers."""

    def __init__(self, file: Path, tally: Tally) -> None:
        super().__init__(models=(CLOUD_MODEL,))
        self._file, self._tally = file, tally

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self._tally.begun += self._tally.budget
        begun = self._tally.begun
        if self._tally.budget and await to_thread.run_sync(reserved, self._file) < begun:
            self._tally.late += 1
        return await super().chat(request)


def read(file: Path, question: str) -> list[tuple[object, ...]]:
    """Ask the file."""
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(question).fetchall()


def reserved(file: Path) -> int:
    """Count what was ever reserved: what is open, and what was settled or left open by a crash."""
    ((count,),) = read(
        file,
        "SELECT (SELECT COUNT(*) FROM reservation)"
        " + (SELECT COUNT(*) FROM attempt WHERE reserved > 0)",
    )
    return int(str(count))


async def round_of(place: Path, cloud: Cloud, tally: Tally, seconds: float) -> list[str]:
    """Run the service for a while under load, kill it, and say what is wrong with its books."""
    state = place / "state"
    budget = {"budget": {"day": 1_000_000.0}} if tally.budget else {}
    text, killed = toml([], cloud, {"price": [_PRICE], **budget}), 0.0
    async with process_of_service(place, text) as (world, process):
        await world.until("/supervisor/status", lambda body: body["ready"])
        async with anyio.create_task_group() as tasks:
            for number in range(CLIENTS):
                tasks.start_soon(_ask_on, world, tally, bool(number % 2))
            await anyio.sleep(seconds)
            process.kill()
            killed = time.monotonic()
            await process.wait()
            tasks.cancel_scope.cancel()
    return wrong(state / "ledger.db", tally, killed)


async def _ask_on(world: World, tally: Tally, stream: bool) -> None:  # noqa: FBT001 -- of a task
    """Ask again and again, and note each answer whose end came."""
    while True:
        try:
            answer = await world.http.post(CHAT, json=asking(stream=stream))
        except httpx.HTTPError:
            return
        whole = answer.text.endswith("[DONE]\n\n") if stream else "usage" in answer.text
        if answer.status_code == 200 and whole:
            tally.ended.append((time.monotonic(), answer.headers["x-request-id"]))


def wrong(file: Path, tally: Tally, killed: float) -> list[str]:
    """Hold what was seen against the file."""
    found: list[str] = []
    if (said := read(file, "PRAGMA integrity_check")) != [("ok",)]:
        found.append(f"integrity_check says {said}")
    rows = [str(name) for (name,) in read(file, "SELECT request_id FROM attempt WHERE cost > 0")]
    if len(rows) != len(set(rows)):
        found.append(f"{len(rows) - len(set(rows))} rows stand twice")
    due = {name: killed - at for at, name in tally.ended if at < killed - WITHIN}
    tally.due |= due
    tally.answers += len(tally.ended)
    tally.ended.clear()
    if missing := [age for name, age in tally.due.items() if name not in set(rows)]:
        ages = ", ".join(f"{age:.2f} s" for age in missing)
        found.append(f"{len(missing)} of {len(tally.due)} answers have no row, after {ages}")
    if tally.late:
        found.append(f"{tally.late} of {tally.begun} attempts began before their reservation")
    return found


async def loop(rounds: int, seed: int) -> list[str]:
    """Kill so many times, at moments that a seed draws."""
    draw, tally = random.Random(seed), Tally()  # noqa: S311 -- a seed decides, and guards nothing
    with folder() as place:
        async with Watched(place / "state" / "ledger.db", tally) as cloud:
            for number in range(rounds):
                tally.budget = number % 2 == 0
                found = await round_of(place, cloud, tally, draw.uniform(0.2, 3.0))
                if found:
                    return [f"round {number + 1}, seed {seed}: {each}" for each in found]
            if not tally.due or not tally.begun:
                return [f"seed {seed}: no answer was old enough to be missed: more rounds"]
            rows = read(place / "state" / "ledger.db", "SELECT COUNT(*) FROM attempt")[0][0]
    sys.stdout.write(
        f"{rounds} kills, seed {seed}: {tally.answers} answers, {len(tally.due)} due, "
        f"{tally.begun} reservations, {rows} rows; nothing was lost that was a second old\n"
    )
    return []


def main() -> int:
    """Kill, and say what came of it; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.app.ledger_kill", description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    found = anyio.run(loop, options.rounds, options.seed)
    sys.stdout.write("".join(f"{each}\n" for each in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
