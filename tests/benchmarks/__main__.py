"""Measures in one run: `python -m tests.benchmarks [--quick]`."""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.gateways import start_all
from tests.benchmarks.measure import Plan, measure
from tests.benchmarks.processes import BenchmarkError, module, started
from tests.benchmarks.table import usable_cores, write

FULL = Plan(rounds=5, paced_rounds=3, busy=1.5, single=0.8, paced=8.0)
QUICK = Plan(rounds=2, paced_rounds=1, busy=0.8, single=0.4, paced=4.0)


def main() -> int:
    """Print the table; 1 when it could not be measured, whether or not the aims are reached."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, under 40 s")
    quick: bool = parser.parse_args().quick
    try:
        sys.stdout.write(_run(QUICK if quick else FULL) + "\n")
    except BenchmarkError as fault:
        sys.stderr.write(f"error: {fault}\n")
        return 1
    return 0


def _run(plan: Plan) -> str:
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="bench-")))
        fake = stack.enter_context(started(module("tests.benchmarks.fake"), home / "fake.log"))
        assert fake.stdout is not None
        port = fake.stdout.readline().decode().strip()
        load = stack.enter_context(started(module("tests.benchmarks.load"), home / "load.log"))
        gateways = start_all(stack, home, f"http://127.0.0.1:{port}")
        return write(measure(plan, gateways, load, fake.pid), usable_cores())


if __name__ == "__main__":
    sys.exit(main())
