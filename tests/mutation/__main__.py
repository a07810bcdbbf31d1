"""Try mutants of rooms of the package, and say which no test noticed.

A mutant of `wire/chat/judge.py` is `wire.chat.judge`'s; it meets its module's own tests first, then
those of its folder, then all others of its room in `tests/`, until one fails.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path
from random import Random

from tests.mutation.mutants import Mutant, mutants
from tests.mutation.trial import Bench, Verdict

ROOT = Path(__file__).parent.parent.parent
ALLOWED = Path(__file__).parent / "allowed.txt"
PROOF_SECONDS = 900.0
TIMES = 4
"""How many times longer than the tests of its room a mutant is waited for, at least."""

_benches: list[Bench] = []


def main() -> int:
    """Run it; always 0, since the figure is for people to judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument(
        "--module", action="append", help="a room or a module: core, wire.chat.judge; else: core"
    )
    parser.add_argument("--sample", type=int, help="so many mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=1, help="of the draw")
    parser.add_argument("--seconds", type=float, default=3600.0, help="stop after so long")
    parser.add_argument("--patience", type=float, default=60.0, help="a test that hangs so long")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="at a time")
    asked = parser.parse_args()
    modules: list[str] = asked.module or ["core"]
    chosen = _chosen(modules, asked.sample, asked.seed)
    with tempfile.TemporaryDirectory(prefix="es-mutants-") as place:
        patience = _prove(Path(place), chosen, asked.patience)
        if patience is None:
            return 1
        verdicts = _try_all(chosen, place, asked.seconds, patience, asked.workers)
    sys.stdout.write(report(verdicts) + "\n")
    return 0


def _chosen(modules: list[str], sample: int | None, seed: int) -> list[Mutant]:
    allowed = read_allowed(ALLOWED.read_text(encoding="utf-8"))
    found = [
        mutant
        for module, path in named(modules).items()
        for mutant in mutants(path, module)
        if (mutant.module, mutant.source, mutant.what) not in allowed
    ]
    dice = Random(seed)  # noqa: S311 - a draw that can be repeated
    return found if sample is None else dice.sample(found, min(sample, len(found)))


def named(modules: list[str]) -> dict[str, Path]:
    """Return the files of the modules, and of all within the rooms, that are asked for."""
    package = ROOT / "exo_supervisor"
    found = {
        ".".join(path.relative_to(package).with_suffix("").parts): path
        for path in sorted(package.rglob("*.py"))
    }
    return {
        module: path
        for module, path in found.items()
        if any(f"{module}.".startswith(f"{asked}.") for asked in modules)
    }


def _prove(place: Path, chosen: list[Mutant], patience: float) -> float | None:
    """Run each room's tests on the code as it is; None if they fail, so that all seems killed.

    Returns for how long a mutant is waited: several times what its tests take that all pass.
    """
    _import_heavy()
    bench = Bench(ROOT, Path(tempfile.mkdtemp(dir=place)), patience=PROOF_SECONDS)
    for room in sorted({mutant.module.partition(".")[0] for mutant in chosen}):
        began = time.monotonic()
        if bench.attempt(None, room) != "survived":
            sys.stderr.write(f"error: the tests of {room} fail, or hang, without any mutant\n")
            return None
        took = time.monotonic() - began
        sys.stderr.write(f"the tests of {room} pass in {took:.0f} s\n")
        patience = max(patience, TIMES * took)
    return patience


def read_allowed(text: str) -> dict[tuple[str, str, str], str]:
    """Read the mutants that change nothing: module, line, change, and why it is none."""
    rows = [line.split(" | ") for line in text.splitlines() if line and line[0] != "#"]
    return {(module, source, what): why for module, source, what, why in rows}


def _try_all(
    chosen: list[Mutant], place: str, seconds: float, patience: float, workers: int
) -> dict[Mutant, Verdict]:
    verdicts: dict[Mutant, Verdict] = {}
    began = time.monotonic()
    with ProcessPoolExecutor(workers, initializer=_set_up, initargs=(place, patience)) as pool:
        results = pool.map(_attempt, chosen, timeout=seconds)
        for mutant in chosen:
            try:
                verdicts[mutant] = next(results)
            except TimeoutError:
                break
            if verdicts[mutant] != "killed":
                sys.stderr.write(f"{verdicts[mutant]}  {_spell(mutant)}\n")
            if len(verdicts) % 25 == 0:
                took = time.monotonic() - began
                sys.stderr.write(f"{len(verdicts)} of {len(chosen)} mutants, {took:.0f} s\n")
        pool.shutdown(wait=False, cancel_futures=True)
    return verdicts


def _set_up(place: str, patience: float) -> None:
    _import_heavy()
    _benches.append(Bench(ROOT, Path(tempfile.mkdtemp(dir=place)), patience=patience))


def _import_heavy() -> None:
    for heavy in ("pytest", "hypothesis.stateful"):
        import_module(heavy)  # once here, and not anew in every child


def _attempt(mutant: Mutant) -> Verdict:
    return _benches[0].attempt(mutant, mutant.module)


def report(verdicts: dict[Mutant, Verdict]) -> str:
    """Lay out, per module and in all, how many mutants were noticed."""
    modules: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for mutant, verdict in verdicts.items():
        modules[mutant.module]["survived" if verdict == "survived" else "killed"] += 1
    rows = [_row(name, count) for name, count in sorted(modules.items())]
    total = sum(modules.values(), Counter[str]())
    return "\n".join([_HEAD, *rows, _row("all", total)])


_HEAD = f"{'MODULE':<32}{'KILLED':>8}{'SURVIVED':>10}{'SHARE':>8}"


def _row(name: str, count: Counter[str]) -> str:
    killed, survived = count["killed"], count["survived"]
    share = killed / max(1, killed + survived)
    return f"{name:<32}{killed:>8}{survived:>10}{share:>8.1%}"


def _spell(mutant: Mutant) -> str:
    return f"{mutant.module}:{mutant.line}  {mutant.what}  | {mutant.source}"


if __name__ == "__main__":
    sys.exit(main())
