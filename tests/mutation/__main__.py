"""Try mutants of the core on every core of the machine, and say which no test noticed."""

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

_benches: list[Bench] = []


def main() -> int:
    """Run it; always 0, since the figure is for people to judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--module", action="append", help="only this module of the core")
    parser.add_argument("--sample", type=int, help="so many mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=1, help="of the draw")
    parser.add_argument("--seconds", type=float, default=3600.0, help="stop after so long")
    asked = parser.parse_args()
    chosen = _chosen(asked.module, asked.sample, asked.seed)
    verdicts = _try_all(chosen, asked.seconds)
    sys.stdout.write(report(verdicts) + "\n")
    return 0


def _chosen(modules: list[str] | None, sample: int | None, seed: int) -> list[Mutant]:
    core = ROOT / "exo_supervisor" / "core"
    named = {
        ".".join(path.relative_to(core).with_suffix("").parts): path
        for path in sorted(core.rglob("*.py"))
    }
    allowed = read_allowed(ALLOWED.read_text(encoding="utf-8"))
    found = [
        mutant
        for module, path in named.items()
        if modules is None or module in modules
        for mutant in mutants(path, module)
        if (mutant.module, mutant.source, mutant.what) not in allowed
    ]
    dice = Random(seed)  # noqa: S311 - a draw that can be repeated
    return found if sample is None else dice.sample(found, min(sample, len(found)))


def read_allowed(text: str) -> dict[tuple[str, str, str], str]:
    """Read the mutants that change nothing: module, line, change, and why it is none."""
    rows = [line.split(" | ") for line in text.splitlines() if line and line[0] != "#"]
    return {(module, source, what): why for module, source, what, why in rows}


def _try_all(chosen: list[Mutant], seconds: float) -> dict[Mutant, Verdict]:
    verdicts: dict[Mutant, Verdict] = {}
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="es-mutants-") as place,
        ProcessPoolExecutor(os.cpu_count(), initializer=_set_up, initargs=(place,)) as pool,
    ):
        results = pool.map(_attempt, chosen, timeout=seconds)
        for mutant in chosen:
            try:
                verdicts[mutant] = next(results)
            except TimeoutError:
                break
            if verdicts[mutant] == "survived":
                sys.stderr.write(f"{_spell(mutant)}\n")
            if len(verdicts) % 25 == 0:
                took = time.monotonic() - began
                sys.stderr.write(f"{len(verdicts)} of {len(chosen)} mutants, {took:.0f} s\n")
        pool.shutdown(wait=False, cancel_futures=True)
    return verdicts


def _set_up(place: str) -> None:
    for heavy in ("pytest", "hypothesis.stateful"):
        import_module(heavy)  # once here, and not anew in every child
    _benches.append(Bench(ROOT, Path(tempfile.mkdtemp(dir=place))))


def _attempt(mutant: Mutant) -> Verdict:
    return _benches[0].attempt(mutant)


def report(verdicts: dict[Mutant, Verdict]) -> str:
    """Lay out, per module and in all, how many mutants were noticed."""
    modules: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for mutant, verdict in verdicts.items():
        modules[mutant.module]["survived" if verdict == "survived" else "killed"] += 1
    rows = [_row(name, count) for name, count in sorted(modules.items())]
    total = sum(modules.values(), Counter[str]())
    return "\n".join([_HEAD, *rows, _row("all", total)])


_HEAD = f"{'MODULE':<24}{'KILLED':>8}{'SURVIVED':>10}{'SHARE':>8}"


def _row(name: str, count: Counter[str]) -> str:
    killed, survived = count["killed"], count["survived"]
    share = killed / max(1, killed + survived)
    return f"{name:<24}{killed:>8}{survived:>10}{share:>8.1%}"


def _spell(mutant: Mutant) -> str:
    return f"survived  {mutant.module}.py:{mutant.line}  {mutant.what}  | {mutant.source}"


if __name__ == "__main__":
    sys.exit(main())
