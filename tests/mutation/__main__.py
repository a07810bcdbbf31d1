"""Try mutants of rooms of the package, and say which no test noticed.

`python -m tests.mutation --module wire --sample 120 --seed 1` draws from every module of the room
by its size. The first run measures which tests reach which line, which takes as long as the room's
tests do, and keeps it in `~/.cache/exo-supervisor-mutation`.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from random import Random

from tests.mutation.mutants import Mutant, mutants
from tests.mutation.reach import reach_of
from tests.mutation.room import modules_of
from tests.mutation.trial import Verdict, order, try_all

ALLOWED = Path(__file__).parent / "allowed.txt"


def main() -> int:
    """Run it; always 0, since the figure is for people to judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument(
        "--module", action="append", help="a room or a module: core, wire.chat.judge; else: core"
    )
    parser.add_argument("--sample", type=int, help="so many mutants of each, drawn at random")
    parser.add_argument("--seed", type=int, default=1, help="of the draw")
    parser.add_argument("--seconds", type=float, default=3600.0, help="stop after so long")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="at a time")
    parser.add_argument("--anew", action="store_true", help="measure the tests once more")
    asked = parser.parse_args()
    until = time.monotonic() + asked.seconds
    with tempfile.TemporaryDirectory(prefix="es-mutants-") as place:
        for module in asked.module or ["core"]:
            drawn = draw(module, asked.sample, asked.seed)
            allowed = read_allowed(ALLOWED.read_text(encoding="utf-8"))
            known = [each for each in drawn if (each.module, each.source, each.what) in allowed]
            room = module.partition(".")[0]
            reach = reach_of(room, anew=asked.anew)
            orders = [order(each, reach) for each in drawn if each not in known]
            verdicts = try_all(orders, Path(place), workers=asked.workers, until=until)
            sys.stdout.write(report(verdicts, known) + "\n")
    return 0


def draw(module: str, sample: int | None, seed: int) -> list[Mutant]:
    """Draw mutants: of each module about as great a share as of all."""
    dice = Random(seed)  # noqa: S311 - a draw that can be repeated
    found: list[Mutant] = []
    for name, path in modules_of([module]).items():
        own = mutants(path, name)
        dice.shuffle(own)
        found += own
    if sample is None or sample >= len(found):
        return found
    step, first = len(found) / sample, dice.random()
    drawn = [found[int(step * (first + n))] for n in range(sample)]
    dice.shuffle(drawn)
    return drawn


def read_allowed(text: str) -> dict[tuple[str, str, str], str]:
    """Read the mutants that change nothing: module, line, change, and why it is none."""
    rows = [line.rsplit(" | ", 2) for line in text.splitlines() if line and line[0] != "#"]
    places = [(*place.partition(" | "), what, why) for place, what, why in rows]
    return {(module, source, what): why for module, _, source, what, why in places}


def report(verdicts: dict[Mutant, Verdict], known: list[Mutant]) -> str:
    """Lay out, per module and in all, how many mutants were noticed; a hang is noticed, too."""
    modules: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for mutant, verdict in verdicts.items():
        modules[mutant.module].update(_COUNTED[verdict])
    for mutant in known:
        modules[mutant.module]["equal"] += 1
    rows = [_row(name, count) for name, count in sorted(modules.items())]
    total = sum(modules.values(), Counter[str]())
    return "\n".join([_HEAD, *rows, _row("all", total)])


_COUNTED: dict[Verdict, tuple[str, ...]] = {
    "killed": ("killed",),
    "timeout": ("killed", "hung"),
    "survived": ("survived",),
    "unreached": ("survived",),
}
_HEAD = f"{'MODULE':<32}{'KILLED':>8}{'(HUNG)':>8}{'SURVIVED':>10}{'EQUIVALENT':>12}{'SHARE':>8}"


def _row(name: str, count: Counter[str]) -> str:
    killed, survived, equal = count["killed"], count["survived"], count["equal"]
    share = killed / max(1, killed + survived)
    return f"{name:<32}{killed:>8}{count['hung']:>8}{survived:>10}{equal:>12}{share:>8.1%}"


if __name__ == "__main__":
    sys.exit(main())
