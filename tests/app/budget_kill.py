"""A budget under kill -9: `python -m tests.app.budget_kill [--clients 1000] [--limit 1.0]`.

The real service has a budget for the day. Very many clients ask at once, and it is killed in the
midst of them, again and again, until the budget is spent. The cloud bills each request whole as
soon as it comes, whoever reads the answer: it is the one that is to be believed.
"""

import argparse
import logging
import random
import resource
import sqlite3
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import anyio
import msgspec
from aiohttp import web
from msgspec import Struct, field

from exo_supervisor.core.books.amount import PICO
from exo_supervisor.demo import Cloud, Disease
from exo_supervisor.demo.answers import Answer
from exo_supervisor.demo.server import Stream
from tests.app.world import (
    CLOUD_MODEL,
    KEY,
    Json,
    World,
    asking,
    exchanged,
    folder,
    post,
    process_of_service,
    toml,
    until,
)
from tests.demo.raw import taken_apart

INPUT, OUTPUT = 1_000_000, 10_000_000
"""Pico-units for a token of a prompt and of an answer: 1 and 10 for a million."""
PRICE = {"provider": "house-cloud", "model": CLOUD_MODEL, "input": 1.0, "output": 10.0}
MAX_TOKENS = 20
BODY = msgspec.json.encode(asking(max_tokens=MAX_TOKENS))
MOST = len(BODY) * INPUT + MAX_TOKENS * OUTPUT
"""What each request holds, by hand."""
Row = tuple[str | None, int | None, int, str]
TRIES = 40
"""Of a client that is told to try again."""


class Billing(Cloud):
    """Bills each chat at its beginning, and all of it."""

    def __init__(self, **more: Any) -> None:  # noqa: ANN401 - handed on
        super().__init__(KEY, (CLOUD_MODEL,), **more)
        self.bills: dict[str, int] = {}

    async def perform(
        self, request: web.Request, answer: Answer, stream: Stream, ill: Disease, model: str
    ) -> web.StreamResponse:
        told = msgspec.json.decode(answer.closing[0].removeprefix(b"data: "))["usage"]
        self.bills[stream.id] = INPUT * told["prompt_tokens"] + OUTPUT * told["completion_tokens"]
        return await super().perform(request, answer, stream, ill, model)

    @property
    def billed(self) -> int:
        return sum(self.bills.values())


class Round(Struct):
    """What one run of the service came to."""

    seen: int
    restored: int
    spent: int
    statuses: Counter[int] = field(default_factory=Counter[int])


async def ask(path: str, statuses: Counter[int]) -> None:
    """Be one client: ask until there is an answer, a refusal, or nobody."""
    for _ in range(TRIES):
        try:
            reply = taken_apart(await exchanged(path, post(BODY)))
        except OSError:
            break
        if reply.status != 503:
            statuses[reply.status] += 1
            return
        await anyio.sleep(0.1)
    statuses[0] += 1


async def look(world: World) -> int:
    """Return what the service says that is spent."""
    [seen] = (await world.look("/supervisor/status"))["budgets"]
    return pico(seen["spent"])


def pico(digits: str) -> int:
    whole, _, part = digits.partition(".")
    return int(whole) * PICO + int(part.ljust(12, "0"))


def booked(path: Path) -> list[Row]:
    """Read the ledger as a stranger would: response, cost, reservation, fault of each attempt."""
    with closing(sqlite3.connect(path)) as file:
        [(state,)] = file.execute("PRAGMA integrity_check").fetchall()
        assert state == "ok", state
        return file.execute(
            "SELECT response_id, cost, COALESCE(reserved, 0), fault"
            " FROM attempt JOIN kind ON kind.id = attempt.kind"
        ).fetchall()


async def run(clients: int, limit: float, seed: int = 1, rounds: int = 30) -> list[Round]:
    """Tell the story, and hold every figure against the cloud's."""
    chance, done = random.Random(seed), list[Round]()  # noqa: S311 - a seed must replay
    most = int(limit * PICO)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # whoever is killed leaves
    with folder() as place:
        state = place / "state"
        tables: Json = {"price": [PRICE], "budget": {"day": limit}, "server": {"head": 60.0}}
        async with Billing(pace=0.0) as cloud:
            text = toml((), cloud, tables)
            while len(done) < rounds:
                last = bool(done) and done[-1].spent > most - MOST
                done.append(await _round(place, text, cloud, clients, last=last, chance=chance))
                _say(_line(done[-1], cloud, most))
                assert cloud.billed <= most, "overspent"
                assert done[-1].spent >= cloud.billed or not last, "forgotten"
                if last:
                    assert done[-1].statuses[402], "the limit was not reached"
                    break
            _compare(booked(state / "ledger.db"), cloud, done[-1].spent)
    assert len(done) > 2, "it was hardly ever killed"
    return done


async def _round(
    place: Path, text: str, cloud: Billing, clients: int, *, last: bool, chance: random.Random
) -> Round:
    """Start the service, let all ask at once, and kill it in the midst; the last may end well."""
    async with AsyncExitStack() as stack:
        env = {"STATE_DIRECTORY": str(place / "state")}
        entered = process_of_service(place, text, env=env)
        world, process = await stack.enter_async_context(entered)
        await world.ready(0)
        before = cloud.billed
        this = Round(cloud.seen, await look(world), 0)
        assert this.restored >= before, "what was billed before is not all counted"
        kill_at = cloud.seen + chance.randrange(1, max(2, clients // 3))

        async def progress() -> int:
            return kill_at if this.statuses.total() == clients else cloud.seen

        async with anyio.create_task_group() as tasks:
            for _ in range(clients):
                tasks.start_soon(ask, world.path, this.statuses)
            if not last:
                await until(progress, lambda seen: seen >= kill_at)
                process.kill()
        this.seen = cloud.seen - this.seen
        this.spent = await look(world) if last else this.restored + this.seen * MOST
        if last:
            process.terminate()
        await process.wait()
    return this


def _compare(rows: Sequence[Row], cloud: Billing, spent: int) -> None:
    """Add up by hand: each answer that was booked to the digit, each lost one at its most."""
    told = {name: cost for name, cost, _, _ in rows if name is not None}
    crashed = [reserved for _, _, reserved, fault in rows if fault == "crashed"]
    assert all(cost == cloud.bills[name] for name, cost in told.items()), "a figure differs"
    assert set(crashed) <= {MOST}, "a reservation is not what it should be"
    by_hand = sum(cloud.bills[name] for name in told) + MOST * len(crashed)
    assert spent == by_hand, (spent, by_hand)
    assert len(told) + len(crashed) >= len(cloud.bills), "an attempt left no row"
    _say(f"{len(told)} answers booked as billed, {len(crashed)} lost and counted in full")


def _line(this: Round, cloud: Billing, most: int) -> str:
    statuses = ", ".join(f"{many} x {status or 'none'}" for status, many in this.statuses.items())
    billed, left = cloud.billed / PICO, this.restored / PICO
    return (
        f"restored {left:.6f}, billed {billed:.6f} of {most / PICO:g}, {this.seen} seen; {statuses}"
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A budget under kill -9.")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--limit", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(words)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    done = anyio.run(run, given.clients, given.limit, given.seed)
    _say(f"{len(done)} runs, {len(done) - 1} of them killed: never overspent")
    return 0


if __name__ == "__main__":
    sys.exit(main())
