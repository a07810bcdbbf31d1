"""Which part of the service a request's instructions go to: `python -m tests.benchmarks.parts`.

The service runs under callgrind, one request in flight, as for `tests.benchmarks.instructions`,
which counts how many instructions it takes in all. How they are shared among the parts is sampled:
at random moments the service is stopped, and the innermost frame that is in one of our files tells
the part; libraries and C code count for whoever called them. In callgrind's time an instruction
takes about as long as any other and a machine that is busy with something else changes nothing, so
a share times the count is what a part takes, to about 1 % of the whole. Only what runs in user
space counts: neither a thread that waits nor the kernel's work. What goes by the clock (ticks, the
ledger's and the log's threads) comes more often to a request that takes callgrind's time.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import uvloop

from tests.benchmarks import trees, valgrind
from tests.benchmarks.frames import TELL_STATE, VERSION, Stack, Threads
from tests.benchmarks.instructions import PLAIN, TOKENS, ask, in_lockstep, rounds
from tests.benchmarks.processes import BenchmarkError
from tests.benchmarks.trees import Tree

SAMPLES, PAUSE = 2500, 0.004
"""How often each kind of request is looked at, and the most seconds between two looks."""
WORDS = 500
"""Of the streams that are watched for what a token takes: long, so that few begin and end."""
PACKAGE = "/exo_supervisor/"
LOOP, OTHER = "event loop", "other"
PARTS: dict[str, tuple[str, ...]] = {
    "server": (
        "http/head.py", "http/leaving.py", "http/peer.py", "http/request_reader.py",
        "http/response_writer.py", "http/server", "http/service.py", "http/state.py",
        "serve/clients.py", "serve/door.py", "serve/heads.py", "serve/listener.py",
        "serve/peer.py", "serve/response.py", "serve/token",
    ),
    "ingress": (
        "serve/browser.py", "serve/dispatch_head.py", "serve/encodings.py", "serve/ingress.py",
        "serve/profiles.py", "serve/reception.py", "serve/request_headers.py",
        "serve/request_id.py", "serve/target.py",
    ),
    "request read and sent on": (
        "wire/chat/body.py", "wire/chat/defaults.py", "wire/chat/members.py",
        "wire/chat/request.py", "wire/chat/session.py", "wire/chat/translated.py",
        "wire/openai/inbound.py", "wire/openai/inputs.py", "wire/openai/outbound.py",
    ),
    "core": ("core/",),
    "conductor": ("app/performer.py", "runtime/"),
    "HTTP client": ("http/", "serve/upstream.py"),
    "exchange": ("serve/",),
    "answer read and written": ("wire/",),
    "records": (
        "runtime/sinks.py", "views/", "host/ledger/", "host/log", "host/metrics/", "host/otel/",
    ),
    "other routes": ("serve/control/",),
    "probes and discovery": ("fleet_io/", "discovery/"),
    LOOP: ("__", "app/run.py", "cli/"),
    "start": ("app/", "config/", "errors.py", "host/"),
    "not of the service": ("bridge/", "client/", "demo/", "rehearse/"),
}  # fmt: skip
"""How the names of a part's files begin; where two parts have a beginning, the longer one tells."""
THREADS = {"thread: ledger": "host/ledger/", "thread: log": "host/log"}
"""Threads beside the main one, by the file that their work is in."""
WORKERS = "thread: workers"

Shares = dict[str, float]
"""The share of each part."""
Found = dict[str, tuple[float, Shares]]
"""Thousands of instructions by what they are for, and how they are shared."""


def part_of_file(name: str) -> str:
    """Name the part that a file of the package belongs to, by its path in there."""
    fits = ((len(mark), part) for part in PARTS for mark in PARTS[part] if name.startswith(mark))
    return max(fits, default=(0, OTHER))[1]


def part_of(stack: Stack) -> str:
    """Name the part that a thread at work works for."""
    ours = [found for _, mark, found in (f.rpartition(PACKAGE) for f in stack.files) if mark]
    if stack.is_main:
        return part_of_file(ours[0]) if ours else LOOP
    for thread, mark in THREADS.items():
        if any(name.startswith(mark) for name in ours):
            return thread
    return WORKERS


def shares(stacks: Iterable[Stack]) -> Shares:
    """Return each part's share of what was seen."""
    seen = Counter(map(part_of, stacks))
    whole = seen.total() or 1
    return {part: times / whole for part, times in seen.items()}


def main() -> int:
    """Count, watch, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.parts")
    parser.add_argument("--before", metavar="COMMIT", help="a commit of the same rooms beside it")
    before: str | None = parser.parse_args().before
    why = valgrind.why_not()
    if why is None and sys.version_info[:2] != VERSION:
        why = f"it reads the frames of Python {VERSION[0]}.{VERSION[1]} only"
    if why is not None:
        sys.stdout.write(f"skipped: {why}\n")
        return 0
    try:
        this = trees.this()
        found = {this.name: _measure(this)}
        if before is not None:
            with (
                TemporaryDirectory(prefix="before-") as place,
                trees.before(before, Path(place)) as then,
            ):
                found = {then.name: _measure(then)} | found
    except (TimeoutError, BenchmarkError) as fault:
        sys.stderr.write(f"error: {fault}\n")
        return 1
    sys.stdout.write("\n".join(_table(found)) + "\n")
    return 0


def _measure(tree: Tree) -> Found:
    with TemporaryDirectory(prefix="parts-") as home:
        return uvloop.run(_watch_all(tree, Path(home)))


async def _watch_all(tree: Tree, home: Path) -> Found:
    told = home / "state"

    def command(*arguments: str) -> list[str]:
        tell = TELL_STATE.format(path=str(told))
        return tree.python_command(tell + trees.MAIN, *arguments)

    async with in_lockstep(tree, command, home) as (service, client):
        figures = await rounds(service, client)
        threads = Threads(service.pid, int(told.read_text()))
        found: Found = {}
        for name, model in PLAIN.items():
            asks = partial(ask, client, model, 1, stream=False)
            found[name] = figures[name], await _watch(threads, asks, lambda: True)
        for name, model in TOKENS.items():
            asks = partial(ask, client, model, 1, stream=True, words=WORDS)
            found[name] = (
                figures[name],
                await _watch(threads, asks, lambda: 0 < client.seen < WORDS),
            )
        threads.close()
    return found


async def _watch(
    threads: Threads, asks: Callable[[], Awaitable[None]], counts: Callable[[], bool]
) -> Shares:
    """Look at the service while it is asked again and again, at moments that count."""
    over = asyncio.Event()

    async def go_on() -> None:
        while not over.is_set():
            await asks()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(go_on())
        stacks = await asyncio.to_thread(_look, threads, counts)
        over.set()
    return shares(stacks)


def _look(threads: Threads, counts: Callable[[], bool]) -> list[Stack]:
    """Look at random moments, by a clock of its own.

    The event loop's timers go off whole milliseconds after its last reading, which is what the
    service waits for: it would be caught at the same few places of each request.
    """
    moments, stacks = Random(1), list[Stack]()  # noqa: S311 -- moments, no secrets
    while len(stacks) < SAMPLES:
        time.sleep(moments.uniform(0, PAUSE))
        if counts():
            stacks += threads.at_work()
    return stacks


def _table(trees: dict[str, Found]) -> list[str]:
    columns = [(tree, name, *each) for tree, found in trees.items() for name, each in found.items()]
    lines = ["thousands of instructions in user space (share of them)"]
    lines += [f"  {at}: {name}, {tree}" for at, (tree, name, *_) in enumerate(columns, 1)]
    lines.append(" " * 26 + "".join(f"{at:>17}" for at in range(1, len(columns) + 1)))
    for part in (*PARTS, *THREADS, WORKERS, OTHER):
        if any(part in seen for *_, seen in columns):
            cells = [
                f"{all_ * (s := seen.get(part, 0)):8.1f} ({s:6.1%})" for *_, all_, seen in columns
            ]
            lines.append(f"{part:26}" + "".join(f"{cell:>17}" for cell in cells))
    lines.append(f"{'all':26}" + "".join(f"{all_:8.1f}{'':9}" for *_, all_, _ in columns))
    return lines


if __name__ == "__main__":
    sys.exit(main())
