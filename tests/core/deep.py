"""Many simulated hours, on every core: `python -m tests.core.deep --seeds 1000`.

It stops at the first seed that breaks a promise, and prints the story that led there and the
command that tells it again. `--seed N` lives through one seed alone.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from time import monotonic

from tests.core.hours import BrokenPromiseError, hours
from tests.core.simulation import digest, write_line

BATCH = 10
"""Seeds that one process lives through at a time."""


def live(seeds: Iterable[int], trouble: float) -> str:
    """Live through some seeds: nothing, or the story of the first that broke a promise."""
    for seed in seeds:
        try:
            hours(seed, trouble=trouble)
        except BrokenPromiseError as broken:
            return _told(broken, seed, trouble)
    return ""


def _told(broken: BrokenPromiseError, seed: int, trouble: float) -> str:
    again = f"python -m tests.core.deep --seed {seed} --trouble {trouble:g}"
    lines = [*map(write_line, broken.log), str(broken)]
    return "\n".join([*lines, f"its log is {digest(broken.log)}; again: {again}"])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the seeds that were asked for; 1 if one broke a promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.core.deep", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--trouble", type=float, default=900.0, help="seconds of churn and faults")
    asked = parser.parse_args(argv)
    if asked.seed is not None:
        return _one(asked.seed, asked.trouble)
    return _many(range(asked.first, asked.first + asked.seeds), asked.trouble)


def _one(seed: int, trouble: float) -> int:
    try:
        told = digest(hours(seed, trouble=trouble).log)
    except BrokenPromiseError as broken:
        sys.stdout.write(_told(broken, seed, trouble) + "\n")
        return 1
    sys.stdout.write(f"seed {seed}: every promise held; its log is {told}\n")
    return 0


def _many(seeds: range, trouble: float) -> int:
    batches = [seeds[at : at + BATCH] for at in range(0, len(seeds), BATCH)]
    began, lived = monotonic(), 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for batch, story in zip(
            batches, pool.map(partial(live, trouble=trouble), batches), strict=True
        ):
            if story:
                pool.shutdown(wait=False, cancel_futures=True)
                sys.stdout.write(story + "\n")
                return 1
            lived += len(batch)
            sys.stderr.write(f"{lived} of {len(seeds)} seeds, {monotonic() - began:.0f} s\n")
    sys.stdout.write(f"{len(seeds)} seeds from {seeds.start} on: every promise held\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
