"""Many houses in which a model is kept: `python -m tests.core.keep_deep --seeds 1000`.

It lives through each seed with one supervisor and with two, stops at the first that breaks a
promise, and prints the story that led there and the command that tells it again.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.core.keep import BrokenKeepError, live

BATCH = 20
"""Seeds that one process lives through at a time."""


def live_all(seeds: Iterable[int], supervisors: int) -> tuple[Counter[str], str]:
    """Live through some seeds: what there was of it, and the story of the first that failed."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        try:
            keep = live(seed, supervisors)
        except BrokenKeepError as broken:
            again = f"python -m tests.core.keep_deep --first {seed} --seeds 1"
            return seen, f"{broken}\nwith {supervisors} supervisor(s); again: {again}"
        seen["orders"] += sum(each.orders for each in keep.supervisors)
        seen["houses with more than one at some time"] += keep.exo.most > 1
    return seen, ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the seeds that were asked for; 1 if one broke a promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.core.keep_deep", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    asked = parser.parse_args(argv)
    seeds = range(asked.first, asked.first + asked.seeds)
    batches = [seeds[at : at + BATCH] for at in range(0, len(seeds), BATCH)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for supervisors in (1, 2):
            seen: Counter[str] = Counter()
            for more, story in pool.map(partial(live_all, supervisors=supervisors), batches):
                if story:
                    pool.shutdown(wait=False, cancel_futures=True)
                    sys.stdout.write(story + "\n")
                    return 1
                seen += more
            told = ", ".join(f"{many} {what}" for what, many in sorted(seen.items()))
            sys.stdout.write(f"{len(seeds)} seeds, {supervisors} supervisor(s): one each; {told}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
