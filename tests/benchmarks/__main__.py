"""Measures in one run: `python -m tests.benchmarks [--quick] [--before COMMIT]`.

`--peers` first sets up who it is measured beside; what is not there is left out, and said.
"""

import argparse
import resource
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks import costs, peers, trees
from tests.benchmarks.gateways import start_all
from tests.benchmarks.measure import Plan, measure
from tests.benchmarks.processes import BenchmarkError, module, started
from tests.benchmarks.table import Report, write
from tests.benchmarks.trees import Tree

FULL = Plan(rounds=5, busy=1.5, single=0.8, paced=4.0, nodes=15.0)
QUICK = Plan(rounds=3, busy=0.7, single=0.4, paced=2.0, nodes=6.0)


def main() -> int:
    """Print the table; 1 when it could not be measured, whether or not the aims are reached."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--before", metavar="COMMIT", help="beside the code of a commit")
    parser.add_argument("--peers", action="store_true", help="install the peers, and no more")
    asked = parser.parse_args()
    quick: bool = asked.quick
    before: str | None = asked.before
    setting_up: bool = asked.peers
    _open_many_files()
    try:
        with ExitStack() as stack:
            home = Path(stack.enter_context(TemporaryDirectory(prefix="bench-")))
            sources = [trees.this()]
            if before is not None:
                sources.append(stack.enter_context(trees.before(before, home)))
            if setting_up:
                peers.set_up(sources)
                return 0
            sys.stdout.write(_run(home, QUICK if quick else FULL, sources) + "\n")
    except (BenchmarkError, subprocess.CalledProcessError) as fault:
        sys.stderr.write(f"error: {fault}\n")
        return 1
    return 0


def _run(home: Path, plan: Plan, sources: list[Tree]) -> str:
    starts = {tree.name: list[costs.Start]() for tree in sources}
    for turn in range(-1, plan.rounds):  # the first writes the compiled files
        for tree in sources if turn % 2 == 0 else sources[::-1]:
            came = costs.start(tree, home, turn)
            if turn >= 0:
                starts[tree.name].append(came)
    with ExitStack() as running:
        fake = running.enter_context(
            started(module("tests.benchmarks.fake"), home / "fake.log", says=True)
        )
        assert fake.stdout is not None
        port = fake.stdout.readline().decode().strip()
        load = running.enter_context(
            started(module("tests.benchmarks.load"), home / "load.log", says=True)
        )
        gateways, missing = start_all(running, home, f"http://127.0.0.1:{port}", sources)
        results = measure(plan, gateways, load, fake.pid)
    probing = costs.probing(sources, home, plan.nodes)
    return write(Report(sources, missing, results, starts, probing))


def _open_many_files() -> None:
    """Let us and what we start open as many files as may be: the nodes alone are thousands."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main())
