"""Writes down what was measured: figures, their ratios to the floor, and the aims."""

import os
import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import median

from tests.benchmarks.gateways import LOG_LEVEL, nginx_version
from tests.benchmarks.measure import PACE, SHORT, Results, Sample

THROUGHPUT_AIM = 0.5
"""Of the pass-through's requests per second, at least."""
TOKEN_AIM = 1.5
"""Times the pass-through's CPU per token, at most."""

Figure = Callable[[Sample], float]

_ROWS: tuple[tuple[str, str, Figure, int], ...] = (
    ("plain", "plain, 16 connections: requests/s", lambda s: s.rate, 0),
    ("stream", "stream, 16 connections: requests/s", lambda s: s.rate, 0),
    ("plain", "plain: CPU of the gateway, us/request", lambda s: s.cpu_per_request, 0),
    ("stream", "stream: CPU of the gateway, us/request", lambda s: s.cpu_per_request, 0),
    ("plain, one", "plain, one connection: mean, ms", lambda s: s.mean * 1e3, 2),
    ("plain, one", "plain, one connection: p99, ms", lambda s: _p99(s) * 1e3, 2),
    ("stream, one", "stream, one connection: mean, ms", lambda s: s.mean * 1e3, 2),
    ("stream, one", "stream, one connection: p99, ms", lambda s: _p99(s) * 1e3, 2),
    ("paced", "200 paced streams: CPU us/token", lambda s: s.cpu_per_token, 1),
)


def write(results: Results, cores: int) -> str:
    """Return the whole report."""
    names = list(results.memory)
    return "\n".join(
        [
            "exo-supervisor beside a bare aiohttp pass-through, over Unix sockets",
            *_machine(cores),
            "",
            *_table(results, names),
            "",
            *_busy(results, names),
            *_notes(results),
            "",
            *_aims(results),
        ]
    )


def _p99(sample: Sample) -> float:
    ranked = sorted(sample.latencies)
    return ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))]


def _machine(cores: int) -> Iterator[str]:
    found = Path("/proc/cpuinfo").read_text().partition("model name")[2]
    model = found.partition("\n")[0].strip("\t :") or platform.machine()
    yield f"{model}, {cores} cores, {platform.system()} {platform.release()}"
    packages = ("exo-supervisor", "aiohttp", "anyio", "msgspec", "uvloop")
    told = ", ".join(f"{name} {version(name)}" for name in packages)
    yield f"Python {platform.python_version()}, {told}, {nginx_version()}"


def _table(results: Results, names: list[str]) -> Iterator[str]:
    others = names[1:]
    heads = [*names, *(f"{name}/{names[0]}" for name in others)]
    yield f"{'medians of the rounds (least-most)':40}" + "".join(f"{each:>20}" for each in heads)
    for shape, title, figure, digits in _ROWS:
        cells = [_spread(_figures(results, shape, name, figure), digits) for name in names]
        cells += [_spread(_ratios(results, shape, name, figure), 2) for name in others]
        yield f"{title:40}" + "".join(f"{cell:>20}" for cell in cells)
    cells = [f"{results.memory[name]:.0f}" for name in names]
    cells += [f"{results.memory[name] / results.memory[names[0]]:.2f}" for name in others]
    yield f"{'peak memory, MiB':40}" + "".join(f"{cell:>20}" for cell in cells)


def _figures(results: Results, shape: str, name: str, figure: Figure) -> list[float]:
    return [figure(sample) for sample in results.samples[shape, name]]


def _ratios(results: Results, shape: str, name: str, figure: Figure) -> list[float]:
    """Divide round by round: what disturbed a round disturbed both."""
    floor = _figures(results, shape, next(iter(results.memory)), figure)
    mine = _figures(results, shape, name, figure)
    return [each / least for each, least in zip(mine, floor, strict=True)]


def _spread(figures: list[float], digits: int) -> str:
    least, most = min(figures), max(figures)
    return f"{median(figures):.{digits}f} ({least:.{digits}f}-{most:.{digits}f})"


def _busy(results: Results, names: list[str]) -> Iterator[str]:
    """Say what the tools themselves used: near 100 % it is they who were measured."""
    yield "of one core, median: the load generator / the fake upstream"
    for shape in ("plain", "stream", "paced"):
        told = [
            f"{name} {median(s.load for s in samples):.0%} / {median(s.fake for s in samples):.0%}"
            for name in names
            for samples in [results.samples[shape, name]]
        ]
        yield f"  {shape + ':':8}" + ", ".join(told)


def _notes(results: Results) -> Iterator[str]:
    asked = sum(len(s.latencies) for samples in results.samples.values() for s in samples)
    yield f"answers: {asked}, each checked: status 200, every token, its end"
    yield f"an answer has {SHORT} tokens; a paced stream sends {PACE} a second"
    yield "plain: ours asks a provider to stream and puts the answer together; the others pass on"
    yield "  one small JSON object, so that the difference is ours to pay"
    yield "stream: ours reads from an Exo node of generation C and rewrites every chunk"
    yield f"ours is `exo-supervisor run`, its log at level {LOG_LEVEL} into a file"


def _aims(results: Results) -> Iterator[str]:
    for shape in ("plain", "stream"):
        ratio = median(_ratios(results, shape, "ours", lambda s: s.rate))
        word = "reached" if ratio >= THROUGHPUT_AIM else "missed"
        yield f"aim: {shape}, at least {THROUGHPUT_AIM} of the throughput: {ratio:.2f}, {word}"
    ratio = median(_ratios(results, "paced", "ours", lambda s: s.cpu_per_token))
    word = "reached" if ratio <= TOKEN_AIM else "missed"
    yield f"aim: paced, at most {TOKEN_AIM} times the CPU per token: {ratio:.2f}, {word}"


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0))
