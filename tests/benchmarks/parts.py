"""Which part of the service a request's CPU goes to: `python -m tests.benchmarks.parts`.

The running service is watched under load by py-spy, from outside, five hundred times a second; each
look at it counts for the innermost frame whose file names a part. C code counts for the Python that
calls it. Watch on an idle machine: on a busy one a process that waits for its turn is seen where it
was stopped, mostly in a system call, and the shares of client and server swing by ten points.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory

from msgspec import Struct
from msgspec.structs import replace

from tests.benchmarks import peers, trees
from tests.benchmarks.gateways import Gateway, serve
from tests.benchmarks.measure import Plan, Shape, await_models, sample
from tests.benchmarks.processes import BenchmarkError, module, started, tail
from tests.benchmarks.trees import Tree

SECONDS, RATE = 8, 500
LOOP = "event loop"
PARTS: dict[str, tuple[str, ...]] = {
    LOOP: ("asyncio/runners", "uvloop/"),
    "log line": ("structlog/", "logging/", "host/log", "runtime/sinks", "views/request_done"),
    "cancel scopes": ("anyio/",),
    "server": (
        "aiohttp/web", "http/server", "http/request_reader", "http/response_writer", "http/service",
        "http/leaving", "http/head", "http/peer", "edge/listener", "edge/reply",
        "serve/listener", "serve/response", "serve/client_response", "serve/heads", "serve/front",
        "serve/handed_over", "serve/door", "serve/authority", "edge/token", "serve/token",
    ),
    "HTTP client": (
        "aiohttp/client", "aiohttp/connector", "edge/upstream", "serve/upstream",
        "serve/chat_upstream", "serve/peer", "serve/target", "exo_supervisor/http/",
    ),
    "core": ("exo_supervisor/core/",),
    "decode and encode the request": (
        "wire/openai.py", "wire/providers", "wire/openai/inbound", "wire/openai/outbound",
    ),
    "answer read and written": ("exo_supervisor/wire/",),
    "ingress": (
        "edge/ingress", "edge/wishes", "edge/request_id", "edge/body", "edge/routes",
        "serve/ingress", "serve/chat_ingress", "serve/request", "serve/body", "serve/routes",
    ),
    "events": ("exo_supervisor/runtime/",),
    "exchange": ("exo_supervisor/edge/", "exo_supervisor/serve/"),
    "other of ours": ("exo_supervisor/",),
}  # fmt: skip
"""What a file's path has in it; the first part that fits is it."""


class Shares(Struct, frozen=True):
    """What was seen of one tree under one shape of traffic."""

    seen: dict[str, float]
    """The share of each part."""
    cost: float
    """Microseconds of CPU a request, or a token where it is paced."""


def part_of(stack: str) -> str:
    """Name the part that a stack belongs to, from its innermost frame outwards."""
    for frame in reversed(stack.split(";")):
        for part, marks in PARTS.items():
            if any(mark in frame for mark in marks):
                return part
    return LOOP


def shares(lines: Iterable[str]) -> dict[str, float]:
    """Return each part's share of what was seen; a line is a stack and how often it was met."""
    seen = Counter[str]()
    for line in lines:
        stack, _, times = line.rpartition(" ")
        seen[part_of(stack)] += int(times)
    whole = seen.total() or 1
    return {part: times / whole for part, times in seen.items()}


def main() -> int:
    """Watch, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.parts")
    parser.add_argument("--before", metavar="COMMIT", help="beside the code of a commit")
    before: str | None = parser.parse_args().before
    if peers.py_spy() is None:
        sys.stdout.write("skipped: no py-spy; run `python -m tests.benchmarks --peers`\n")
        return 0
    try:
        with ExitStack() as stack:
            home = Path(stack.enter_context(TemporaryDirectory(prefix="parts-")))
            sources = [trees.this()]
            if before is not None:
                sources.insert(0, stack.enter_context(trees.before(before, home)))
            found = {tree.name: _watch_all(tree, home) for tree in sources}
    except BenchmarkError as fault:
        sys.stderr.write(f"error: {fault}\n")
        return 1
    sys.stdout.write("\n".join(_table(found)) + "\n")
    return 0


def _shapes() -> list[Shape]:
    every = Plan(1, 1.0, 1.0, 1.0, 1.0).shapes()
    shapes = [shape for shape in every if shape.name in ("plain", "aggregate", "paced")]
    more = float(SECONDS + 3)
    return [replace(s, seconds=more) if s.seconds else replace(s, tokens=600) for s in shapes]


def _watch_all(tree: Tree, home: Path) -> dict[str, Shares]:
    with ExitStack() as stack:
        fake = stack.enter_context(
            started(module("tests.benchmarks.fake"), home / "fake.log", says=True)
        )
        assert fake.stdout is not None
        upstream = f"http://127.0.0.1:{fake.stdout.readline().decode().strip()}"
        load = stack.enter_context(
            started(module("tests.benchmarks.load"), home / "load.log", says=True)
        )
        gateway = serve(stack, home, upstream, tree)
        shapes = _shapes()
        await_models(gateway, tuple(shapes), load)
        return {shape.name: _watch(shape, gateway, load, fake.pid, home) for shape in shapes}


def _watch(shape: Shape, gateway: Gateway, load: Popen[bytes], fake: int, home: Path) -> Shares:
    out, log = home / f"{gateway.name}-{shape.name}.raw", home / "py-spy.log"
    watch = [
        *(peers.py_spy() or "py-spy", "record", "--pid", str(gateway.pid), "--output", str(out)),
        *("--format", "raw", "--rate", str(RATE), "--duration", str(SECONDS), "--full-filenames"),
    ]
    with started(watch, log) as watching:
        came = sample(shape, gateway, load, fake)
        watching.wait(timeout=SECONDS * 10)
    if not out.exists():
        raise BenchmarkError(f"py-spy saw nothing: {tail(log)}")
    cost = came.cpu_per_token if shape.pace else came.cpu_per_request
    return Shares(shares(out.read_text().splitlines()), cost)


def _table(found: dict[str, dict[str, Shares]]) -> list[str]:
    columns = [(tree, shape, each) for tree, all_ in found.items() for shape, each in all_.items()]
    lines = ["share of the service's CPU (us); plain: a request, paced: a token"]
    lines.append(" " * 32 + "".join(f"{tree + ' ' + shape:>20}" for tree, shape, _ in columns))
    for part in PARTS:
        cells = [
            f"{each.seen.get(part, 0):.1%} {each.seen.get(part, 0) * each.cost:7.1f}"
            for *_, each in columns
        ]
        lines.append(f"{part:32}" + "".join(f"{cell:>20}" for cell in cells))
    lines.append(f"{'all':32}" + "".join(f"{each.cost:20.1f}" for *_, each in columns))
    return lines


if __name__ == "__main__":
    sys.exit(main())
