"""Whether any test of its room notices a mutant."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Literal

from tests.mutation.mutants import Mutant

Verdict = Literal["killed", "survived", "timeout"]
LAST = ("test_simulation.py",)
HOURS = "test_the_promises_hold_through_random_hours"
SEEDS = 3
"""Simulated hours that a mutant has to live through at the very end."""


class Bench:
    """A copy of the tree in which one mutant after another is tried.

    After `patience` seconds one is taken to hang, which a test has then noticed.
    """

    def __init__(self, root: Path, place: Path, *, patience: float) -> None:
        self._tree, self._patience = place, patience
        for name in ("exo_supervisor", "tests"):
            ignored = shutil.ignore_patterns("__pycache__", "recordings")
            shutil.copytree(root / name, place / name, ignore=ignored)
        (place / "tests/recordings").symlink_to(root / "tests/recordings")
        shutil.copy(root / "pyproject.toml", place)

    def attempt(self, mutant: Mutant | None, module: str) -> Verdict:
        """Run the tests of a module's room, its own first, until one fails."""
        if mutant is None:
            return self._run(files_for(self._tree / "tests", module))
        target = self._tree / "exo_supervisor" / _file(module)
        whole = target.read_text(encoding="utf-8")
        target.write_text(mutant.code, encoding="utf-8")
        try:
            return self._run(files_for(self._tree / "tests", module))
        finally:
            target.write_text(whole, encoding="utf-8")

    def _run(self, files: list[str]) -> Verdict:
        child = os.fork()
        if child == 0:
            os._exit(_try(self._tree, files))
        ends = time.monotonic() + self._patience
        while time.monotonic() < ends:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return "survived" if status == 0 else "killed"
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "timeout"


def files_for(tests: Path, module: str) -> list[str]:
    """List the tests of a module's room: its own, its folder's, the others, the longest last."""
    room = tests / module.partition(".")[0]
    own = tests / _file(module, "test_")
    others = sorted(room.rglob("test_*.py"), key=lambda path: path.stat().st_size)
    others.sort(key=lambda path: (path != own, path.parent != own.parent))
    hours = [str(path) for path in others if path.name in LAST]
    rest = [str(path) for path in others if path.name not in LAST]
    return [*rest, *(f"{each}::{HOURS}[{seed}]" for each in hours for seed in range(SEEDS))]


def _file(module: str, prefix: str = "") -> str:
    *rooms, name = module.split(".")
    return "/".join([*rooms, f"{prefix}{name}.py"])


def _try(tree: Path, files: list[str]) -> int:
    """Run in a child: what is imported here dies with it."""
    import pytest  # noqa: PLC0415 - in the parent already, where it costs once
    from hypothesis import Phase, settings  # noqa: PLC0415 - the same

    for name in [each for each in sys.modules if each.partition(".")[0] in _OURS]:
        del sys.modules[name]
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    sys.dont_write_bytecode = True
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    quick = settings(
        max_examples=25,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        deadline=None,
    )
    settings.register_profile("mutation", quick)
    return int(
        pytest.main(
            [
                "-x",
                "-q",
                "-p",
                "no:cacheprovider",
                "--tb=no",
                "-W",
                "ignore::pytest.PytestAssertRewriteWarning",
                "--hypothesis-profile=mutation",
                *files,
            ]
        )
    )


_OURS = ("exo_supervisor", "tests")
