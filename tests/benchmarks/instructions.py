"""Instructions in user space per request and per token: `python -m tests.benchmarks.instructions`.

One request is in flight, one piece at a time, at the running service: that repeats to 1 % on the
busiest machine. `--check` compares with the figures in the tree, `instructions.json`: one that grew
by more than 3 % fails. A change that has to cost more writes them anew, `--write`, and says why in
its commit; so does one that costs less, so that it stays so.
"""

import argparse
import platform
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import uvloop

from tests.benchmarks import fake, trees, valgrind
from tests.benchmarks.lockstep import Client, answered, connect
from tests.benchmarks.processes import BenchmarkError
from tests.benchmarks.valgrind import Counted

FIGURES = Path(__file__).with_name("instructions.json")
GROWTH = 0.03
WORDS, LONG = 12, 112
"""Tokens of an ordinary answer and of a long one."""
WARM, REQUESTS = 30, 64
"""As many as are booked together, so that a batch is in every count: `request_done.TOGETHER`."""
PLAIN = {
    "plain, a provider's JSON": "from-whole",
    "plain, a provider's stream": "from-cloud",
    "plain, a node's stream": "from-exo",
}
TOKENS = {"a token of a provider": "from-cloud", "a token of a node": "from-exo"}

Figures = dict[str, float]
"""Thousands of instructions by what they are for."""


def main() -> int:
    """Count, and print, compare or keep; 1 if something grew."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.instructions")
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--check", action="store_true", help="fail where a figure grew by over 3 %%")
    asked.add_argument("--write", action="store_true", help="keep them as the figures to compare")
    parser.add_argument("--before", metavar="COMMIT", help="count at a commit, too")
    options = parser.parse_args()
    check: bool = options.check
    write: bool = options.write
    commit: str | None = options.before
    if (why := valgrind.why_not()) is not None:
        sys.stdout.write(f"skipped: {why}\n")
        return 0
    # The gate counts with the Python that it tests with
    tree = trees.this()
    if check or write:
        tree = msgspec.structs.replace(tree, python=Path(sys.executable))
    figures = count(tree)
    if check:
        return _compare(figures)
    if write:
        _keep(figures)
    _print(tree, figures, commit)
    return 0


def count(tree: trees.Tree) -> Figures:
    """Start a tree's service and count."""
    with TemporaryDirectory(prefix="count-") as home:
        return uvloop.run(_count(tree, Path(home)))


async def _count(tree: trees.Tree, home: Path) -> Figures:
    async with in_lockstep(tree, tree.command, home) as (service, client):
        return await rounds(service, client)


@asynccontextmanager
async def in_lockstep(
    tree: trees.Tree, command: Callable[..., list[str]], home: Path
) -> AsyncGenerator[tuple[Counted, Client]]:
    """Serve under callgrind, and have a client connected that asks for one thing at a time."""
    held = fake.Held()
    server = await fake.listen(held)
    upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    config, socket = home / "supervisor.toml", home / "api.sock"
    # Probed seldom: what a node's probes cost is another figure.
    trees.Setting(upstream, (upstream,), interval=300.0, listens=False).write(config, socket)
    run = command("run", "--config", str(config))
    async with valgrind.counted(run, tree.environ(home), home, socket) as service:
        client = await connect(socket, held)
        yield service, client
        client.close()
    server.close()


async def rounds(service: Counted, client: Client) -> Figures:
    """Warm up, and count each figure."""
    for model in PLAIN.values():
        await ask(client, model, WARM, stream=False)
    await service.switch_on()
    figures: Figures = {}
    for name, model in PLAIN.items():
        took = await service.count(partial(ask, client, model, REQUESTS, stream=False))
        figures[name] = took / REQUESTS / 1000
    for name, model in TOKENS.items():
        short = await service.count(partial(ask, client, model, 1, stream=True))
        long = await service.count(partial(ask, client, model, 1, stream=True, words=LONG))
        figures[name] = (long - short) / (LONG - WORDS) / 1000
    return figures


async def ask(
    client: Client, model: str, requests: int, *, stream: bool, words: int = WORDS
) -> None:
    """Ask so many times, each when the answer before is whole."""
    request = _request(model, stream=stream, words=words)
    for _ in range(requests):
        await answered(client, request, stream=stream, words=words)


def _request(model: str, *, stream: bool, words: int) -> bytes:
    body = msgspec.json.encode(
        {
            "model": model,
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": "Tell me about the rivers of Europe."},
            ],
            "max_tokens": words,
            "temperature": 0.2,
            "stream": stream,
            "step": stream,
        }
    )
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
    return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def key() -> str:
    """Name what the figures hold for: another Python or machine has others."""
    return f"{platform.python_implementation()}-{platform.python_version()}-{platform.machine()}"


def _kept() -> dict[str, Figures]:
    return msgspec.json.decode(FIGURES.read_bytes(), type=dict[str, Figures])


def grown(kept: Figures, figures: Figures) -> list[str]:
    """Say of each figure that grew too much by how much, and of each that is missing."""
    lines: list[str] = []
    for name, figure in figures.items():
        least = kept.get(name)
        if least is None:
            lines.append(f"{name}: {figure:.1f}, and nothing to compare it with")
        elif figure > least * (1 + GROWTH):
            lines.append(f"{name}: {figure:.1f}, {figure / least - 1:+.1%} over {least:.1f}")
    return lines


def _compare(figures: Figures) -> int:
    kept = _kept().get(key())
    if kept is None:
        told = "\n".join(f"  {name} {figure:.1f}" for name, figure in figures.items())
        sys.stdout.write(f"skipped: no figures for {key()} in {FIGURES.name}; here\n{told}\n")
        return 0
    lines = grown(kept, figures)
    for line in lines:
        sys.stdout.write(f"FAIL {line}\n")
    if lines:
        again = "python -m tests.benchmarks.instructions --write"
        sys.stdout.write(f"thousands of instructions; if it must be so: {again}, and say why\n")
        return 1
    told = ", ".join(f"{name} {figures[name] / kept[name] - 1:+.1%}" for name in figures)
    sys.stdout.write(f"ok   instructions against {FIGURES.name}: {told}\n")
    return 0


def _keep(figures: Figures) -> None:
    kept = _kept() | {key(): {name: round(figure, 1) for name, figure in figures.items()}}
    FIGURES.write_bytes(msgspec.json.format(msgspec.json.encode(kept)) + b"\n")


def _print(tree: trees.Tree, figures: Figures, commit: str | None) -> None:
    earlier: Figures = {}
    if commit is not None:
        with (
            TemporaryDirectory(prefix="before-") as place,
            trees.before(commit, Path(place)) as then,
        ):
            earlier = count(then)
    sys.stdout.write(f"thousands of instructions in user space, {tree.python}\n")
    for name, figure in figures.items():
        was = f"{earlier[name]:10.1f} {figure / earlier[name]:6.2f}" if earlier else ""
        sys.stdout.write(f"{name:28}{figure:10.1f}{was}\n")


def run() -> int:
    """Run it; a measurement that failed is one sentence."""
    try:
        return main()
    except (TimeoutError, BenchmarkError) as fault:
        sys.stderr.write(f"error: {fault}\n")
        return 1


if __name__ == "__main__":
    sys.exit(run())
