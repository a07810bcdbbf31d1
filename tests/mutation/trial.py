"""Whether any test of the core notices a mutant."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Literal

from tests.mutation.mutants import Mutant

Verdict = Literal["killed", "survived", "timeout"]
PATIENCE = 60.0
"""Seconds after which a mutant is taken to hang, which a test has then noticed."""
LAST = ("test_simulation.py",)
SEEDS = 3
"""Simulated hours that a mutant has to live through at the very end."""


class Bench:
    """A copy of the tree in which one mutant after another is tried."""

    def __init__(self, root: Path, place: Path) -> None:
        self._root, self._tree = root, place
        for name in ("exo_supervisor", "tests"):
            ignored = shutil.ignore_patterns("__pycache__", "recordings")
            shutil.copytree(root / name, place / name, ignore=ignored)
        shutil.copy(root / "pyproject.toml", place)

    def attempt(self, mutant: Mutant) -> Verdict:
        """Run the tests of the core, those of the module first, until one fails."""
        target = self._tree / "exo_supervisor" / "core" / _file(mutant.module)
        whole = target.read_text(encoding="utf-8")
        target.write_text(mutant.code, encoding="utf-8")
        try:
            return self._run(self._files(mutant.module))
        finally:
            target.write_text(whole, encoding="utf-8")

    def _files(self, module: str) -> list[str]:
        tests = self._tree / "tests" / "core"
        own = tests / _file(module, "test_")
        others = sorted(tests.rglob("test_*.py"), key=lambda path: path.stat().st_size)
        first = [own] if own.exists() else []
        rest = [path for path in others if path != own and path.name not in LAST]
        hours = f"{tests / LAST[0]}::test_the_promises_hold_through_random_hours"
        return [*map(str, [*first, *rest]), *(f"{hours}[{seed}]" for seed in range(SEEDS))]

    def _run(self, files: list[str]) -> Verdict:
        child = os.fork()
        if child == 0:
            os._exit(_try(self._tree, files))
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return "survived" if status == 0 else "killed"
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "timeout"


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
