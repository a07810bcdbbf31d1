"""Writes down what was measured: figures, ratios to a peer's in the same round, and the aims."""

import os
import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import median

from msgspec import Struct

from tests.benchmarks import peers
from tests.benchmarks.costs import NODES, Start
from tests.benchmarks.measure import BURST, CLOSE, PACE, SHORT, Results, Sample
from tests.benchmarks.trees import LOG_LEVEL, Tree


class Report(Struct, frozen=True):
    """All that one run came to."""

    trees: list[Tree]
    missing: list[str]
    results: Results
    starts: dict[str, list[Start]]
    probing: dict[str, list[float]]


class Aim(Struct, frozen=True):
    """What ours is to come to beside a peer."""

    peer: str
    most: float = 0.0
    least: float = 0.0

    def judge(self, ratio: float) -> str:
        """Say whether it is reached."""
        reached = ratio <= self.most if self.most else ratio >= self.least
        bound = f"at most {self.most:g}" if self.most else f"at least {self.least:g}"
        return f"{ratio:.2f} x {self.peer}, aim {bound}: {'reached' if reached else 'MISSED'}"


class Row(Struct, frozen=True):
    """One line of the table."""

    title: str
    shape: str
    figure: Callable[[Sample], float]
    digits: int = 0
    aims: tuple[Aim, ...] = ()
    beside: str = ""
    """The shape of the peers that it is compared with, where it is another."""


_TOKEN = (Aim("envoy", most=0.8), Aim("nginx", most=1.4))
_RATE, _REQUEST = (Aim("envoy", least=1.1),), (Aim("envoy", most=0.9),)
_ONE = (Aim("envoy", most=1.0),)
ROWS = (
    Row("plain, 16 connections: requests/s", "plain", lambda s: s.rate, 0, _RATE),
    Row("  CPU, us a request", "plain", lambda s: s.cpu_per_request, 0, _REQUEST),
    Row("plain by a stream, 16: requests/s", "aggregate", lambda s: s.rate, 0, (), "plain"),
    Row("  CPU, us a request", "aggregate", lambda s: s.cpu_per_request, 0, (), "plain"),
    Row("plain, 1 connection: mean, ms", "one", lambda s: s.mean * 1e3, 2, _ONE),
    Row(f"{BURST} streams in {CLOSE:g} s: first content, ms", "close", lambda s: s.first * 1e3, 1),
    Row("  all in one instant", "burst", lambda s: s.first * 1e3, 1),
    Row("100 paced streams: CPU, us a token", "paced", lambda s: s.cpu_per_token, 1, _TOKEN),
    Row("  from Exo nodes", "paced from Exo", lambda s: s.cpu_per_token, 1, (), "paced"),
    Row("300 paced streams: CPU, us a token", "many", lambda s: s.cpu_per_token, 1, _TOKEN),
    Row("  resident, MiB", "many", lambda s: s.memory, 0),
)  # fmt: skip


def write(report: Report) -> str:
    """Return the whole report."""
    results = report.results
    names = list(results.idle)
    return "\n".join(
        [
            "exo-supervisor beside others, over Unix sockets, in one run",
            *_setting(report),
            "",
            *_traffic(results, names),
            "",
            *_alone(report),
            "",
            *_busy(results, names),
            *_notes(results),
            "",
            *_aims(report),
        ]
    )


def _setting(report: Report) -> Iterator[str]:
    found = Path("/proc/cpuinfo").read_text().partition("model name")[2]
    model = found.partition("\n")[0].strip("\t :") or platform.machine()
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    yield f"{model}, {cores} cores, load {load:.1f}, {platform.system()} {platform.release()}"
    packages = ("aiohttp", "httptools", "msgspec", "uvloop")
    told = ", ".join(f"{name} {version(name)}" for name in packages)
    yield f"{told}; {', '.join(peers.versions())}"
    for tree in report.trees:
        yield f"{tree.name}: {tree.root} by {tree.python.resolve()}"
    yield from (f"missing: {each}" for each in report.missing)


def _traffic(results: Results, names: list[str]) -> Iterator[str]:
    yield _line("medians of the rounds (least-most)", names)
    for row in ROWS:
        cells = [_spread(_figures(results, row, name), row.digits) for name in names]
        yield _line(row.title, cells)
    yield _line("idle: resident, MiB", [f"{results.idle[name]:.0f}" for name in names])
    peer = names[0]
    yield ""
    yield _line(f"ratio to {peer} within each round", names)
    for row in ROWS:
        yield _line(row.title, [_spread(ratios(results, row, name, peer), 2) for name in names])


def _line(title: str, cells: list[str]) -> str:
    return f"{title:42}" + "".join(f"{cell:>22}" for cell in cells)


def _figures(results: Results, row: Row, name: str) -> list[float]:
    return [row.figure(sample) for sample in results.samples.get((row.shape, name), ())]


def ratios(results: Results, row: Row, name: str, peer: str) -> list[float]:
    """Divide round by round: what disturbed a round disturbed both."""
    beside = results.samples.get((row.beside or row.shape, peer), ())
    mine = _figures(results, row, name)
    return [a / row.figure(b) for a, b in zip(mine, beside, strict=True)] if mine and beside else []


def _spread(figures: list[float], digits: int) -> str:
    if not figures:
        return "-"
    least, most = min(figures), max(figures)
    return f"{median(figures):.{digits}f} ({least:.{digits}f}-{most:.{digits}f})"


def _alone(report: Report) -> Iterator[str]:
    trees = list(report.starts)
    yield _line("without traffic", trees)
    rows: dict[str, Callable[[Start], float]] = {
        "start to ready, ms": lambda s: s.ready * 1e3,
        "version, ms": lambda s: s.version * 1e3,
        "  times the same interpreter's -c pass": lambda s: s.version / s.nothing,
        "status, ms": lambda s: s.status * 1e3,
        "  times the same interpreter's -c pass ": lambda s: s.status / s.nothing,
        "  the first after a start, ms": lambda s: s.first_status * 1e3,
        "-c pass, ms": lambda s: s.nothing * 1e3,
    }
    for title, figure in rows.items():
        digits = 2 if "times" in title else 0
        yield _line(title, [_spread([figure(s) for s in report.starts[t]], digits) for t in trees])
    title = f"probing {NODES:,} nodes: CPU, ms a second"
    yield _line(title, [_spread(report.probing.get(name, []), 0) for name in trees])


def _busy(results: Results, names: list[str]) -> Iterator[str]:
    """Say what the tools themselves used: near 100 % it is they who were measured."""
    yield "of one core, median: the load generator / the fake upstream"
    for shape in ("plain", "paced", "many"):
        told = [
            f"{name} {median(s.load for s in samples):.0%} / {median(s.fake for s in samples):.0%}"
            for name in names
            for samples in [results.samples[shape, name]]
        ]
        yield f"  {shape + ':':8}" + ", ".join(told)


def _notes(results: Results) -> Iterator[str]:
    asked = sum(sample.answers for samples in results.samples.values() for sample in samples)
    yield f"answers: {asked}, each checked: status 200, every token, its end"
    yield f"an answer has {SHORT} tokens; a paced stream sends {PACE} a second"
    yield f"all in one instant, half of {BURST} requests are worked off before the median's answer"
    yield "plain by a stream: ours puts the answer together; a peer's beside it passes JSON on"
    yield "LiteLLM is asked over TCP, and given 10 streams where others have 100 or 300"
    yield f"ours is `exo-supervisor run`, all on: its log at {LOG_LEVEL} in a file, and its ledger"
    yield "Envoy and nginx keep their connections, too, and write no line of a request"


def _aims(report: Report) -> Iterator[str]:
    for row in ROWS:
        for aim in row.aims:
            if found := ratios(report.results, row, "ours", aim.peer):
                yield f"{row.title.strip()} ({row.shape}): {aim.judge(median(found))}"
    close = [sample.first * 1e3 for sample in report.results.samples["close", "ours"]]
    yield _bound(f"first content of {BURST} streams in {CLOSE:g} s, ms", median(close), 3)
    yield _bound("resident idle, MiB", report.results.idle["ours"], 45)
    many = [sample.memory for sample in report.results.samples["many", "ours"]]
    yield _bound("resident at 300 streams, MiB", median(many), 50)
    if starts := report.starts.get("ours"):
        yield _bound("start to ready, ms", median(s.ready * 1e3 for s in starts), 400)
        yield _bound("version, ms", median(s.version * 1e3 for s in starts), 150)
        yield _bound("version, times -c pass", median(s.version / s.nothing for s in starts), 3)
        yield _bound("status, ms", median(s.status * 1e3 for s in starts), 150)
        yield _bound("status, times -c pass", median(s.status / s.nothing for s in starts), 3)
    if nodes := report.probing.get("ours"):
        yield _bound(f"probing {NODES:,} nodes, ms a second", median(nodes), 100)


def _bound(name: str, figure: float, most: float) -> str:
    return f"{name}: {figure:.1f}, aim at most {most}: {'reached' if figure <= most else 'MISSED'}"
